#include "lookup/pgsql_hosts.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libpq-fe.h>

#include <array>
#include <charconv>
#include <map>
#include <memory>
#include <optional>

#include "lmtpd/base/config/values.h"
#include "lmtpd/base/log.h"

namespace lmtpd::lookup {
namespace {

// Where a URI does not say otherwise.
constexpr std::array<std::pair<const char*, const char*>, 5> kDefaults = {{
    {"fallback_application_name", "lmtpd"},
    // Looking for Kerberos credentials blocks, on the network even.
    {"gssencmode", "disable"},
    // An idle connection whose server has vanished is found out before a lookup has to wait for it.
    {"keepalives_idle", "30"},
    {"keepalives_interval", "10"},
    {"keepalives_count", "3"},
}};

struct ConninfoDeleter {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

bool is_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  return failure == std::errc() && end == text.data() + text.size() && port > 0 && port < 65536;
}

tl::unexpected<Error> wrong(std::string text) {
  return fail(Reason::lookup_failed, std::move(text));
}

std::string host_and_port(const std::string& host, const std::string& port) {
  return port.empty() ? host : fmt::format("{}:{}", host, port);
}

// Adds `host`, which may be a name, an address or a directory; where it has an `address`, that is
// connected to.
void add_host(PgsqlHost& entry, const std::string& host, const std::string& address,
              const std::string& port) {
  if (!port.empty()) entry.parameters.emplace_back("port", port);
  if (!host.empty()) entry.parameters.emplace_back("host", host);
  if (!address.empty()) entry.parameters.emplace_back("hostaddr", address);
  const bool is_name =
      !host.empty() && host.front() != '/' && host.front() != '@' && !is_address(host);
  if (is_name && address.empty()) entry.name = host;
  const std::string& shown = host.empty() ? address : host;
  entry.shown = escaped(host_and_port(shown.empty() ? "the default socket" : shown, port));
}

Result<PgsqlHost> plain_host(std::string_view item, const PgsqlLogin& login) {
  std::string_view rest = item;
  if (rest.starts_with("unix:") || rest.starts_with("inet:")) rest.remove_prefix(5);
  std::string host;
  std::string port;
  if (rest.starts_with('[') && rest.find(']') != std::string_view::npos) {
    const std::size_t close = rest.find(']');
    host = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
    if (!rest.empty() && rest.front() != ':') {
      return wrong(fmt::format("\"{}\": neither host nor host:port", escaped(item, 60)));
    }
    port = rest.substr(rest.empty() ? 0 : 1);
  } else {
    const std::size_t colon = rest.rfind(':');
    host = rest.substr(0, colon);
    if (colon != std::string_view::npos) port = rest.substr(colon + 1);
  }
  if (!port.empty() && !is_port(port)) {
    return wrong(fmt::format("\"{}\": \"{}\" is no port", escaped(item, 60), escaped(port, 60)));
  }
  if (login.dbname.empty()) return wrong("needs a dbname");

  PgsqlHost entry;
  add_host(entry, host, "", port);
  const auto add = [&](const char* keyword, const std::string& value) {
    if (!value.empty()) entry.parameters.emplace_back(keyword, value);
  };
  add("user", login.user);
  add("password", login.password);
  add("dbname", login.dbname);
  add("client_encoding", login.encoding);
  for (const auto& [keyword, value] : kDefaults) add(keyword, value);
  return entry;
}

// The items of a URI's comma list; one empty item where it is empty.
std::vector<std::string> comma_list(const std::string& text) {
  std::vector<std::string> items;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    items.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return items;
}

Result<std::vector<PgsqlHost>> uri_hosts(const std::string& uri, const PgsqlLogin& login) {
  const std::unique_ptr<PQconninfoOption, ConninfoDeleter> options(
      PQconninfoParse(uri.c_str(), nullptr));
  if (!options) return wrong("a URI is malformed");
  std::map<std::string, std::string> values;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) values.emplace(option->keyword, option->val);
  }
  const auto take = [&](const char* keyword) {
    auto node = values.extract(keyword);
    return node.empty() ? std::string() : std::move(node.mapped());
  };
  values.try_emplace("client_encoding", login.encoding);
  for (const auto& [keyword, value] : kDefaults) values.try_emplace(keyword, value);
  // They pair up by position; one port is for all (libpq, 34.1.1).
  std::vector<std::string> addresses = comma_list(take("hostaddr"));
  std::vector<std::string> names = comma_list(take("host"));
  const std::vector<std::string> ports = comma_list(take("port"));
  const std::size_t count = std::max(addresses.size(), names.size());
  for (auto* list : {&addresses, &names}) {
    if (list->size() == 1 && list->front().empty()) list->resize(count);  // it was not there
  }
  if (names.size() != addresses.size()) return wrong("a URI has not as many addresses as hosts");
  if (ports.size() != 1 && ports.size() != count) {
    return wrong("a URI has not as many ports as hosts");
  }
  std::vector<PgsqlHost> hosts;
  for (std::size_t i = 0; i < count; ++i) {
    PgsqlHost& entry = hosts.emplace_back();
    entry.parameters.assign(values.begin(), values.end());
    add_host(entry, names[i], addresses[i], ports.size() == 1 ? ports[0] : ports[i]);
  }
  return hosts;
}

}  // namespace

PgsqlLogin pgsql_login(const TableFile& file) {
  return {file.text("hosts", "localhost"), file.text("user"), file.text("password"),
          file.text("dbname"), file.text("encoding", "UTF8")};
}

Result<std::vector<PgsqlHost>> parse_pgsql_hosts(const PgsqlLogin& login) {
  const auto items = split_list(login.hosts);
  if (!items) return wrong(escaped(items.error()));
  std::vector<PgsqlHost> hosts;
  for (const std::string_view item : *items) {
    if (item.starts_with("postgresql://") || item.starts_with("postgres://")) {
      auto several = uri_hosts(std::string(item), login);
      if (!several) return several;
      for (PgsqlHost& host : *several) hosts.push_back(std::move(host));
    } else {
      auto host = plain_host(item, login);
      if (!host) return tl::unexpected(host.error());
      hosts.push_back(*std::move(host));
    }
  }
  if (hosts.empty()) return wrong("names no host");
  return hosts;
}

}  // namespace lmtpd::lookup
