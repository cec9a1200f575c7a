// tests/lookup/resolving.h -- a site's tables, and addresses resolved with them.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lookup/resolver.h"
#include "tests/lookup/fake_table.h"

namespace lmtpd::lookup {

// A site as that of seed-setup: mailbox rows and dummies in one view, users also in the alias view.
class Resolving : public testing::Test, public Resolver::Client {
 protected:
  Resolving() {
    settings_.virtual_alias_maps = {&alias_};
    settings_.virtual_mailbox_maps = {&mailbox_};
    settings_.virtual_uid_maps = {&uid_};
    settings_.virtual_gid_maps = {&gid_};
    settings_.virtual_mailbox_domains = {{false, "", &mailbox_}};
    settings_.local_domains = {{false, "host.test", nullptr}};
    settings_.rewrite.origin = "host.test";
    mailbox_.add("d.org", "dummy");
    user("user@d.org");
    user("user2@d.org");
  }
  void user(const std::string& address, const std::string& uid = "1001",
            const std::string& gid = "1002") {
    mailbox_.add(address, "boxes/" + address + "/");
    uid_.add(address, uid);
    gid_.add(address, gid);
  }
  void on_outcome(std::uint64_t id, const Resolution& resolution) override {
    heard_.emplace_back(id, resolution);
  }
  Resolution resolution_of(const std::string& recipient) {
    const Result<Address> address = Address::parse(recipient);
    Resolver resolver(settings_);
    const std::optional<Resolution> resolution = resolver.resolve(*address, *this, 0);
    EXPECT_TRUE(resolution) << "not at once";
    return *resolution;
  }
  // Delivered-To of each mailbox, or why not.
  std::string resolve(const std::string& recipient) {
    const Resolution resolution = resolution_of(recipient);
    if (!resolution.mailboxes) return name_of(resolution.mailboxes.error().reason);
    std::string text;
    for (const ResolvedMailbox& mailbox : *resolution.mailboxes) {
      text += (text.empty() ? "" : " ") + mailbox.delivered_to;
    }
    return text;
  }
  static std::string name_of(Reason reason) {
    switch (reason) {
      case Reason::unknown_user:
        return "unknown";
      case Reason::lookup_failed:
        return "lookup failed";
      case Reason::alias_limit:
        return "alias limit";
      case Reason::bad_mailbox:
        return "bad mailbox";
      case Reason::remote_target:
        return "remote";
      case Reason::transport_error:
        return "transport error";
      case Reason::transport_retry:
        return "transport retry";
      default:
        return "?";
    }
  }
  void answer_in(Rounds& rounds) {
    for (FakeTable* table : {&alias_, &mailbox_, &uid_, &gid_, &transport_})
      table->answer_in(&rounds);
  }
  // Of a resolution with nothing in the cache.
  int round_trips(const std::string& recipient) {
    Rounds rounds;
    answer_in(rounds);
    Resolver resolver(settings_);
    EXPECT_FALSE(resolver.resolve(*Address::parse(recipient), *this, 0));
    rounds.play_all();
    EXPECT_EQ(heard_.size(), 1U);
    return rounds.played();
  }
  int questions() const {
    return alias_.asked() + mailbox_.asked() + uid_.asked() + gid_.asked() + transport_.asked();
  }

  FakeTable alias_{"fake:alias"}, mailbox_{"fake:mailbox"}, uid_{"fake:uid"}, gid_{"fake:gid"},
      transport_{"fake:transport"};
  ResolverSettings settings_;
  std::vector<std::pair<std::uint64_t, Resolution>> heard_;
};

}  // namespace lmtpd::lookup
