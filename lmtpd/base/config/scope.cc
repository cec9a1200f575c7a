#include "lmtpd/base/config/scope.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace lmtpd {
namespace {

// Postfix's limit; bounds the stack.
constexpr std::size_t kDeepest = 100;

}  // namespace

Scope::Scope(std::string path, std::vector<Assignment> assignments)
    : path_(std::move(path)), assignments_(std::move(assignments)) {
  for (std::size_t i = 0; i < assignments_.size(); ++i) index_of_[assignments_[i].name] = i;
}

void Scope::add_fallback(Fallback fallback) {
  fallbacks_.push_back(std::move(fallback));
  values_.clear();
}

const Assignment* Scope::find(std::string_view name) const {
  const auto found = index_of_.find(name);
  return found == index_of_.end() ? nullptr : &assignments_[found->second];
}

std::string Scope::origin(const Assignment& assignment) const {
  return fmt::format("{}:{}", path_, assignment.line);
}

Expanded<std::optional<Scope::Definition>> Scope::definition(std::string_view name) const {
  if (const Assignment* const own = find(name)) return Definition{own->value};
  for (const Fallback& fallback : fallbacks_) {
    auto found = fallback(name);
    if (!found || *found) return found;
  }
  return std::nullopt;
}

Expanded<std::optional<std::string>> Scope::value(std::string_view name) {
  if (const auto known = values_.find(name); known != values_.end()) return known->second;
  if (std::find(under_way_.begin(), under_way_.end(), name) != under_way_.end()) {
    return tl::unexpected(
        fmt::format("refers to itself: ${} -> ${}", fmt::join(under_way_, " -> $"), name));
  }
  if (under_way_.size() >= kDeepest) {
    return tl::unexpected(fmt::format("refers to others more than {} levels deep", kDeepest));
  }
  under_way_.emplace_back(name);
  auto value = [&]() -> Expanded<std::optional<std::string>> {
    auto found = definition(name);
    if (!found) return tl::unexpected(found.error());
    std::optional<Definition>& defined = *found;
    if (!defined) return std::nullopt;
    if (defined->final) return std::move(defined->text);
    return expanded(defined->text);
  }();
  under_way_.pop_back();
  if (value && value->has_value()) values_.emplace(name, value->value());
  return value;
}

Expanded<std::string> Scope::expanded(std::string_view text) {
  return expand(text, [this](std::string_view name) { return value(name); });
}

}  // namespace lmtpd
