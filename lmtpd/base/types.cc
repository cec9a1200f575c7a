#include "lmtpd/base/types.h"

namespace lmtpd {
namespace {
constexpr std::size_t kLongest = 4095;  // PATH_MAX less the terminating NUL
}

Result<MailboxPath> MailboxPath::parse(std::string_view table_value) {
  const auto refuse = [&](std::string_view why) {
    return fail(Reason::bad_mailbox,
                "mailbox path \"" + std::string(table_value) + "\" " + std::string(why));
  };
  if (table_value.find('\0') != std::string_view::npos) {
    return fail(Reason::bad_mailbox, "mailbox path holds a NUL");
  }
  if (!table_value.ends_with('/')) return refuse("does not end in a slash: not a maildir");

  std::string path;
  std::string_view rest = table_value;
  while (!rest.empty()) {
    const std::size_t slash = rest.find('/');
    const std::string_view component = rest.substr(0, slash);
    rest.remove_prefix(slash + 1);
    if (component.empty()) continue;
    if (component == "." || component == "..") return refuse("has a '.' or '..' component");
    if (!path.empty()) path += '/';
    path += component;
  }
  if (path.empty()) return refuse("is virtual_mailbox_base itself");
  if (path.size() > kLongest) return refuse("is too long");
  return MailboxPath(std::move(path));
}

}  // namespace lmtpd
