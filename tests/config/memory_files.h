// tests/config/memory_files.h -- configurations that are on no disk.
#pragma once

#include <cerrno>
#include <map>
#include <string>

#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/log.h"

namespace lmtpd::test {

using Files = std::map<std::string, std::string>;

inline constexpr const char* kOwnFile = "/etc/lmtpd/lmtpd.cf";
inline constexpr const char* kMainFile = "/etc/postfix/main.cf";

// What Settings cannot do without.
inline constexpr const char* kMinimum =
    "virtual_mailbox_base = /srv/mail\n"
    "virtual_mailbox_maps = pgsql:/etc/postfix/mailboxes.cf\n"
    "virtual_uid_maps = pgsql:/etc/postfix/uids.cf\n"
    "virtual_gid_maps = pgsql:/etc/postfix/gids.cf\n";

inline Result<Parameters> load(const Files& files, const std::string& host = "mx.example.org") {
  return Parameters::load(
      kOwnFile,
      [&](const std::string& path) -> Result<std::string> {
        const auto found = files.find(path);
        if (found == files.end()) return fail(Reason::lookup_failed, errno_text(path, ENOENT));
        return found->second;
      },
      host);
}

// lmtpd.cf alone.
inline Result<Parameters> load_own(const std::string& text) { return load({{kOwnFile, text}}); }

// `main_text` beneath an lmtpd.cf that only names it and adds `own_text`.
inline Result<Parameters> load_both(const std::string& main_text, const std::string& own_text = "",
                                    const std::string& host = "mx.example.org") {
  return load(
      {{kOwnFile, "postfix_config_directory = /etc/postfix\n" + own_text}, {kMainFile, main_text}},
      host);
}

}  // namespace lmtpd::test
