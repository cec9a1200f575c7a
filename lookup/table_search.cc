#include "lookup/table_search.h"

#include <array>

#include "lmtpd/base/utf8.h"

namespace lmtpd::lookup {
namespace {

using Outcome = Search::Outcome;

Search pending() { return {Outcome::pending, nullptr, nullptr, {}}; }
Search failed(std::string why) { return {Outcome::failed, nullptr, nullptr, std::move(why)}; }

std::array<std::string_view, 2> forms(const AddressKey& key) {
  return {key.external, key.internal};
}

void note(const Table*& first_old, const Table& table, bool was) {
  if (was && first_old == nullptr) first_old = &table;
}

}  // namespace

std::vector<std::string_view> values_without_dummy(const Found& answer) {
  std::vector<std::string_view> values;
  for (const std::string& value : answer.values) {
    if (value != "dummy") values.push_back(value);
  }
  return values;
}

Search TableSearch::look(Table& table, const AddressKey* key, std::string_view text) {
  const Answer* answer = answers_->need(table, text);
  if (answer == nullptr) return pending();
  if (const auto* unavailable = std::get_if<Unavailable>(answer)) {
    return failed(unavailable->why);
  }
  if (const auto* absent = std::get_if<Absent>(answer)) {
    note(old_, table, absent->was);
    note(astray_, table, absent->was);
    return {};
  }
  const auto& found = std::get<Found>(*answer);
  note(old_, table, found.was);
  for (const std::string& value : found.values) {
    if (!valid_utf8(value)) return failed(table.name() + ": answer is not valid UTF-8");
  }
  return {Outcome::found, key, &found, {}};
}

std::optional<Error> TableSearch::doubt_of(const Table* table) {
  if (table == nullptr) return std::nullopt;
  return Error{Reason::lookup_failed,
               table->name() + ": the database does not answer, and an old answer refuses nobody"};
}

Search TableSearch::certain(Search found) const {
  if (std::optional<Error> doubt = doubt_of(astray_)) return failed(std::move(doubt->text));
  return found;
}

Search TableSearch::applies(const AddressKey& key, std::string_view domain) {
  if (!key.is_local()) return {Outcome::found, nullptr, nullptr, {}};
  return find_domain(settings_->local_domains, domain);
}

Search TableSearch::find_alias(std::span<const AddressKey> keys, std::string_view domain) {
  for (const AddressKey& key : keys) {
    Search step = applies(key, domain);
    if (step.outcome == Outcome::absent) continue;
    if (step.outcome != Outcome::found) return step;
    for (Table* table : settings_->virtual_alias_maps) {
      step = look(*table, &key, key.external);
      if (step.outcome == Outcome::absent) continue;
      if (step.outcome != Outcome::found) return step;
      if (key.is_catch_all()) step = certain(std::move(step));
      if (step.outcome == Outcome::found) note(astray_, *table, step.answer->was);
      return step;
    }
  }
  return {};
}

Search TableSearch::find_value(const Tables& tables, std::span<const AddressKey> keys,
                               std::string_view domain) {
  for (const AddressKey& key : keys) {
    Search step = applies(key, domain);
    if (step.outcome == Outcome::absent) continue;
    if (step.outcome != Outcome::found) return step;
    bool dummy = false;
    for (const std::string_view form : forms(key)) {
      if (form.empty()) continue;
      for (Table* table : tables) {
        step = look(*table, &key, form);
        if (step.outcome == Outcome::absent) continue;
        if (step.outcome != Outcome::found) return step;
        if (!values_without_dummy(*step.answer).empty()) {
          return key.is_catch_all() ? certain(std::move(step)) : step;
        }
        dummy = true;
      }
    }
    if (dummy && key.is_address()) return {Outcome::dummy, &key, nullptr, {}};
  }
  return {};
}

Search TableSearch::find_domain(const DomainList& list, std::string_view domain) {
  for (const DomainItem& item : list) {
    Search step;
    if (item.table != nullptr) {
      step = look(*item.table, nullptr, domain);
    } else if (item.name == domain) {
      step.outcome = Outcome::found;
    }
    if (step.outcome == Outcome::absent) continue;
    if (step.outcome == Outcome::found && item.negated) {
      if (item.table != nullptr) note(astray_, *item.table, step.answer->was);
      return {};
    }
    return step;
  }
  return {};
}

void TableSearch::prefetch_alias(std::span<const AddressKey> keys, std::string_view domain) {
  for (const AddressKey& key : keys) {
    if (applies(key, domain).outcome != Outcome::found) continue;
    for (Table* table : settings_->virtual_alias_maps) answers_->prefetch(*table, key.external);
  }
}

void TableSearch::prefetch_value(const Tables& tables, std::span<const AddressKey> keys,
                                 std::string_view domain) {
  for (const AddressKey& key : keys) {
    if (applies(key, domain).outcome != Outcome::found) continue;
    for (const std::string_view form : forms(key)) {
      if (form.empty()) continue;
      for (Table* table : tables) answers_->prefetch(*table, form);
    }
  }
}

}  // namespace lmtpd::lookup
