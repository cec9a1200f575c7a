#include "lookup/files/table_files.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <set>
#include <string_view>

#include "lmtpd/base/config/values.h"
#include "lmtpd/base/log.h"
#include "lookup/files/match_list.h"
#include "lookup/files/sql_parameters.h"
#include "lookup/files/table_file.h"

namespace lmtpd::lookup {
namespace {

constexpr int kDeepestTable = 8;

class Collector {
 public:
  explicit Collector(const FileReader& read_file)
      : read_file_([this, &read_file](const std::string& path) {
          paths_.insert(path);
          return read_file(path);
        }) {}

  Result<void> add(const MatchList& list, int depth) {
    const auto items = with_files_read(list, read_file_);
    if (!items) return tl::unexpected(items.error());
    for (const MatchItem& item : *items) {
      if (item.kind != MatchItem::Kind::table) continue;
      if (auto added = add(item.table, depth); !added) return added;
    }
    return {};
  }

  [[nodiscard]] std::vector<std::string> paths() const { return {paths_.begin(), paths_.end()}; }

 private:
  Result<void> add(const TableRef& table, int depth) {
    if (!table.has_file() || !paths_.insert(table.name).second) return {};
    if (table.kind == TableKind::text_file) return {};
    if (depth == kDeepestTable) {
      return fail(Reason::lookup_failed,
                  fmt::format("{}: `domain` tables are nested too deeply", escaped(table.text())));
    }
    const auto text = read_file_(table.name);
    if (!text) return tl::unexpected(text.error());
    const auto file = TableFile::parse(table.name, *text, known_parameters(table.kind));
    if (!file) return tl::unexpected(file.error());
    const auto list = parse_match_list(file->text("domain"));
    if (!list) return file->error("domain", escaped(list.error()));
    const auto added = add(*list, depth + 1);
    if (!added) return file->error("domain", added.error().text);
    return {};
  }

  std::set<std::string> paths_;
  FileReader read_file_;
};

// Of what postmap(1) makes from the source file.
std::string_view database_suffix(std::string_view type) {
  if (type == "hash" || type == "btree") return ".db";
  if (type == "lmdb") return ".lmdb";
  if (type == "cdb") return ".cdb";
  return {};
}

bool is_newer(const timespec& a, const timespec& b) {
  return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

}  // namespace

Result<std::vector<std::string>> files_of(const MatchList& items, const FileReader& read_file) {
  Collector collector(read_file);
  if (const auto added = collector.add(items, 0); !added) return tl::unexpected(added.error());
  return collector.paths();
}

std::optional<std::string> stale_database(const TableRef& table) {
  const std::string_view suffix = database_suffix(table.type);
  if (suffix.empty()) return std::nullopt;
  const std::string database = table.name + std::string(suffix);
  struct stat source_status{};
  struct stat database_status{};
  if (stat(table.name.c_str(), &source_status) != 0 ||
      stat(database.c_str(), &database_status) != 0 ||
      !is_newer(source_status.st_mtim, database_status.st_mtim)) {
    return std::nullopt;
  }
  return fmt::format("{} is newer than {}: Postfix answers from the older one until postmap is run",
                     table.name, database);
}

}  // namespace lmtpd::lookup
