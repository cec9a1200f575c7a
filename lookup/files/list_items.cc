#include "lookup/files/list_items.h"

#include "lookup/files/logical_lines.h"

namespace lmtpd::lookup {

std::vector<std::string_view> list_items(std::string_view list) {
  std::vector<std::string_view> items;
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= list.size(); ++i) {
    const bool ends = i == list.size();
    if (!ends && list[i] == '{') ++depth;
    if (!ends && list[i] == '}') --depth;
    if (!ends && (depth > 0 || (list[i] != ',' && !is_space(list[i])))) continue;
    if (i > begin) items.push_back(list.substr(begin, i - begin));
    begin = i + 1;
  }
  return items;
}

std::optional<std::string_view> braced(std::string_view text) {
  text = trimmed(text);
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') return std::nullopt;
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0 && i + 1 < text.size()) return std::nullopt;
  }
  if (depth != 0) return std::nullopt;
  return trimmed(text.substr(1, text.size() - 2));
}

}  // namespace lmtpd::lookup
