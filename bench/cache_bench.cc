// What lookup's cache and a resolution out of it cost.
//
//   BM_CacheHit/N       find() of a random key among N entries, all in the cache
//   BM_CacheMiss/N      find() of keys that are not there
//   BM_CacheTurnover/N  insert() into a full cache of N entries: each one drives another out
//   BM_HotResolve/N     user@dN.org among N users through mailbox, uid and gid tables: what a
//                       recipient costs lookup when everything is cached
//
// Octets per entry are shown as `octets` (cache_memory is counted in them).

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "lookup/answer_cache.h"
#include "lookup/cached_table.h"
#include "lookup/resolver.h"

namespace lmtpd::lookup {
namespace {

std::string key_of(std::size_t i) { return fmt::format("{}user@domain{}.org", i, i % 100); }

AnswerCache make_cache(std::size_t entries) {
  return {
      AnswerCache::Limits{entries, UINT64_C(1) << 32, std::chrono::hours(1), std::chrono::hours(1)},
      [] { return Clock::now(); }};
}

std::vector<std::string> random_keys(std::size_t among) {
  std::mt19937_64 random(1);
  std::vector<std::string> keys(1 << 20);  // of all entries: not what a processor's cache holds
  for (std::string& key : keys) key = key_of(random() % among);
  return keys;
}

void BM_CacheHit(benchmark::State& state) {
  const auto entries = static_cast<std::size_t>(state.range(0));
  AnswerCache cache = make_cache(entries);
  for (std::size_t i = 0; i < entries; ++i) {
    cache.insert(0, key_of(i), Found{{fmt::format("domain{}.org/mails/{}user/", i % 100, i)}});
  }
  const std::vector<std::string> keys = random_keys(entries);
  std::size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(cache.find(0, keys[at++ % keys.size()]));
  }
  state.counters["octets"] = static_cast<double>(cache.octets()) / static_cast<double>(entries);
}
BENCHMARK(BM_CacheHit)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);

void BM_CacheMiss(benchmark::State& state) {
  const auto entries = static_cast<std::size_t>(state.range(0));
  AnswerCache cache = make_cache(entries);
  for (std::size_t i = 0; i < entries; ++i) cache.insert(0, key_of(i), Found{{"1001"}});
  std::vector<std::string> keys = random_keys(entries);
  for (std::string& key : keys) key += ".net";
  std::size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(cache.find(0, keys[at++ % keys.size()]));
  }
}
BENCHMARK(BM_CacheMiss)->Arg(100'000)->Arg(1'000'000);

void BM_CacheTurnover(benchmark::State& state) {
  const auto entries = static_cast<std::size_t>(state.range(0));
  AnswerCache cache = make_cache(entries);
  const Answer answer = Found{{"domain1.org/mails/1user/"}};
  std::size_t next = 0;
  for (; next < entries; ++next) cache.insert(0, key_of(next), answer);
  for (auto _ : state) cache.insert(0, key_of(next++), answer);
}
BENCHMARK(BM_CacheTurnover)->Arg(100'000)->Arg(1'000'000);

// Every user has a row; nobody else.
class UserTable final : public Table {
 public:
  UserTable(std::string name, std::string value)
      : name_(std::move(name)), value_(std::move(value)) {}
  std::optional<Answer> lookup(std::string_view key, Asker&, std::uint64_t) override {
    if (key.starts_with('@')) return Absent{};
    return Found{{value_}};
  }
  const std::string& name() const override { return name_; }

 private:
  std::string name_;
  std::string value_;
};

class NoClient final : public Resolver::Client {
 public:
  void on_outcome(std::uint64_t, const Resolution&) override {}
};

void BM_HotResolve(benchmark::State& state) {
  const auto users = static_cast<std::size_t>(state.range(0));
  AnswerCache cache = make_cache(users * 4);
  const RecentChanges changes;
  const CachedTable::Shared shared{cache, changes};
  CachedTable mailbox(std::make_unique<UserTable>("mailbox", "d.org/mails/user/"), shared, 1);
  CachedTable uid(std::make_unique<UserTable>("uid", "1001"), shared, 2);
  CachedTable gid(std::make_unique<UserTable>("gid", "1001"), shared, 3);
  ResolverSettings settings;
  settings.virtual_mailbox_maps = {&mailbox};
  settings.virtual_uid_maps = {&uid};
  settings.virtual_gid_maps = {&gid};
  Resolver resolver(settings);
  NoClient client;
  std::vector<Address> addresses;
  for (const std::string& key : random_keys(users)) addresses.push_back(*Address::parse(key));
  for (const Address& address : addresses) {
    benchmark::DoNotOptimize(resolver.resolve(address, client, 0));
  }
  std::size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(resolver.resolve(addresses[at++ % addresses.size()], client, 0));
  }
}
BENCHMARK(BM_HotResolve)->Arg(1'000)->Arg(100'000);

}  // namespace
}  // namespace lmtpd::lookup
BENCHMARK_MAIN();
