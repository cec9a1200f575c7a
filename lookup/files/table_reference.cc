#include "lookup/files/table_reference.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "lmtpd/base/log.h"
#include "lookup/files/match_list.h"
#include "lookup/files/sql_parameters.h"
#include "lookup/files/table_file.h"

namespace lmtpd::lookup {
namespace {

struct KnownType {
  std::string_view name;
  TableType type;
  std::string_view database_suffix;  // of what postmap(1) makes from the source file
};
constexpr std::array kTypes = {
    KnownType{"pgsql", TableType::pgsql, ""},
    KnownType{"sqlite", TableType::sqlite, ""},
    KnownType{"static", TableType::static_value, ""},
    KnownType{"inline", TableType::inline_pairs, ""},
    KnownType{"texthash", TableType::text_file, ""},
    KnownType{"hash", TableType::text_file, ".db"},
    KnownType{"btree", TableType::text_file, ".db"},
    KnownType{"lmdb", TableType::text_file, ".lmdb"},
    KnownType{"cdb", TableType::text_file, ".cdb"},
};

const KnownType* find_type(std::string_view name) {
  const auto* found = std::find_if(kTypes.begin(), kTypes.end(),
                                   [&](const KnownType& known) { return known.name == name; });
  return found == kTypes.end() ? nullptr : found;
}

std::string_view advice(std::string_view type) {
  if (type == "regexp" || type == "pcre" || type == "cidr") {
    return "write the addresses out in a texthash: file, or put them in the database";
  }
  if (type == "unionmap" || type == "pipemap" || type == "randmap") {
    return "name the tables themselves";
  }
  if (type == "dbm" || type == "sdbm" || type == "internal" || type == "unix") {
    return "print its entries with `postmap -s` into a texthash: file";
  }
  return "use pgsql:, sqlite:, texthash:, hash:, inline: or static:";
}

constexpr int kDeepest = 8;

Result<void> collect(std::string_view reference, const FileReader& read_file,
                     std::vector<std::string>& files, int depth) {
  const auto parsed = parse_table_reference(reference);
  if (!parsed) return tl::unexpected(parsed.error());
  if (parsed->type == TableType::static_value || parsed->type == TableType::inline_pairs) return {};
  if (std::find(files.begin(), files.end(), parsed->name) != files.end()) return {};
  files.push_back(parsed->name);
  if (parsed->type == TableType::text_file) return {};
  if (depth == kDeepest) {
    return fail(Reason::lookup_failed,
                fmt::format("{}: `domain` tables are nested too deeply", escaped(reference)));
  }
  const auto text = read_file(parsed->name);
  if (!text) return tl::unexpected(text.error());
  const auto file = TableFile::parse(parsed->name, *text,
                                     parsed->type == TableType::pgsql
                                         ? std::span<const std::string_view>(kPgsqlParameters)
                                         : std::span<const std::string_view>(kSqliteParameters));
  if (!file) return tl::unexpected(file.error());
  const auto items = parse_match_list(file->text("domain"), [&](const std::string& path) {
    files.push_back(path);
    return read_file(path);
  });
  if (!items) return file->error("domain", items.error().text);
  for (const MatchItem& item : *items) {
    if (!item.is_table) continue;
    auto collected = collect(item.text, read_file, files, depth + 1);
    if (!collected) return collected;
  }
  return {};
}

}  // namespace

Result<TableReference> parse_table_reference(std::string_view reference) {
  const std::string shown = escaped(reference.substr(0, reference.find('{')));
  if (reference.starts_with("proxy:")) reference.remove_prefix(6);
  const std::size_t colon = reference.find(':');
  if (colon == std::string_view::npos) {
    return fail(
        Reason::lookup_failed,
        fmt::format("\"{}\" is no table: it has no type, as in pgsql:/etc/postfix/x.cf", shown));
  }
  const std::string_view type = reference.substr(0, colon);
  const std::string_view name = reference.substr(colon + 1);
  const KnownType* known = find_type(type);
  if (known == nullptr) {
    return fail(Reason::lookup_failed,
                fmt::format("{}: tables of type \"{}\" are not supported: {}", shown,
                            escaped(type, 60), advice(type)));
  }
  const bool is_file =
      known->type != TableType::static_value && known->type != TableType::inline_pairs;
  if (is_file && !name.starts_with('/')) {
    const bool sql = known->type == TableType::pgsql || known->type == TableType::sqlite;
    return fail(
        Reason::lookup_failed,
        fmt::format("{}: \"{}\" is no absolute path{}", shown, escaped(name, 60),
                    sql ? ": move its parameters from main.cf to a file of their own" : ""));
  }
  return TableReference{known->type, std::string(type), std::string(name)};
}

Result<std::vector<std::string>> files_of_table(std::string_view reference,
                                                const FileReader& read_file) {
  std::vector<std::string> files;
  const auto collected = collect(reference, read_file, files, 0);
  if (!collected) return tl::unexpected(collected.error());
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

std::optional<std::string> stale_database(std::string_view reference) {
  const auto parsed = parse_table_reference(reference);
  if (!parsed) return std::nullopt;
  const KnownType* known = find_type(parsed->type_name);
  if (known == nullptr || known->database_suffix.empty()) return std::nullopt;
  const std::string database = parsed->name + std::string(known->database_suffix);
  struct stat source_status{};
  struct stat database_status{};
  if (stat(parsed->name.c_str(), &source_status) != 0 ||
      stat(database.c_str(), &database_status) != 0) {
    return std::nullopt;
  }
  const timespec& source_time = source_status.st_mtim;
  const timespec& database_time = database_status.st_mtim;
  if (source_time.tv_sec < database_time.tv_sec || (source_time.tv_sec == database_time.tv_sec &&
                                                    source_time.tv_nsec <= database_time.tv_nsec)) {
    return std::nullopt;
  }
  return fmt::format("{} is newer than {}: Postfix answers from the older one until postmap is run",
                     parsed->name, database);
}

}  // namespace lmtpd::lookup
