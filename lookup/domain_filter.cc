#include "lookup/domain_filter.h"

#include <algorithm>

#include "lookup/template.h"

namespace lmtpd::lookup {

std::optional<Answer> DomainFilter::lookup(std::string_view key, Asker& asker, std::uint64_t id) {
  const Parts parts(key);
  if (!parts.domain || parts.local.empty()) return Absent{};
  return walk({std::string(key), 0, &asker, id});
}

std::optional<Answer> DomainFilter::check(Asker& asker, std::uint64_t id) {
  return walk_check({"", 0, &asker, id});
}

std::vector<Availability*> DomainFilter::databases() const {
  std::vector<Availability*> all = table_->databases();
  for (const Item& item : items_) {
    if (!item.table) continue;
    for (Availability* one : item.table->databases()) {
      if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
    }
  }
  return all;
}

std::optional<Answer> DomainFilter::walk(Pending pending) {
  const std::string_view domain = *Parts(pending.key).domain;
  for (; pending.item < items_.size(); ++pending.item) {
    const Item& item = items_[pending.item];
    bool matches = item.domain == domain;
    if (item.table) {
      const std::uint64_t id = ++last_id_;
      auto answer = item.table->lookup(domain, *this, id);
      if (!answer) {
        pending_.emplace(id, std::move(pending));
        return std::nullopt;
      }
      if (std::holds_alternative<Unavailable>(*answer)) return answer;
      matches = std::holds_alternative<Found>(*answer);
    }
    if (!matches) continue;
    if (item.negated) return Absent{};
    return table_->lookup(pending.key, *pending.asker, pending.id);
  }
  return Absent{};
}

std::optional<Answer> DomainFilter::walk_check(Pending pending) {
  for (; pending.item < items_.size(); ++pending.item) {
    const Item& item = items_[pending.item];
    if (!item.table) continue;
    const std::uint64_t id = ++last_id_;
    auto answer = item.table->check(*this, id);
    if (!answer) {
      pending_.emplace(id, std::move(pending));
      return std::nullopt;
    }
    if (std::holds_alternative<Unavailable>(*answer)) return answer;
  }
  return table_->check(*pending.asker, pending.id);
}

void DomainFilter::on_answer(std::uint64_t id, const Answer& answer) {
  auto node = pending_.extract(id);
  Pending pending = std::move(node.mapped());
  Asker& asker = *pending.asker;
  const std::uint64_t asker_id = pending.id;
  const Item& item = items_[pending.item];
  const bool checking = pending.key.empty();
  std::optional<Answer> result;
  if (std::holds_alternative<Unavailable>(answer)) {
    result = answer;
  } else if (checking || std::holds_alternative<Absent>(answer)) {
    ++pending.item;
    result = checking ? walk_check(std::move(pending)) : walk(std::move(pending));
  } else if (item.negated) {
    result = Absent{};
  } else {
    result = table_->lookup(pending.key, asker, asker_id);
  }
  if (result) asker.on_answer(asker_id, *result);
}

}  // namespace lmtpd::lookup
