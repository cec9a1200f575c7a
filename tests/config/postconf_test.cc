// Compares the expansion of main.cf with that of the real postconf(1), where it is installed.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "lmtpd/base/config/parameters.h"

namespace lmtpd {
namespace {

constexpr const char* kPostconf = "/usr/sbin/postconf";

// postconf(1) prints runs of blanks as one.
std::string squeezed(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool blank = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (!blank) out += c;
    if (blank && !out.empty() && out.back() != ' ') out += ' ';
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

class Postconf : public testing::Test {
 protected:
  void SetUp() override {
    if (::access(kPostconf, X_OK) != 0) GTEST_SKIP() << kPostconf << " is not installed";
    folder_ = std::filesystem::path(testing::TempDir()) /
              ("lmtpd-postconf-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ / "master.cf");
    std::ofstream(folder_ / "lmtpd.cf")
        << "postfix_config_directory = " << folder_.string() << "\n";
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  // As if an hour ago: Postfix waits a second for a file that may still be being written.
  void write_main(const std::string& text) {
    std::ofstream(folder_ / "main.cf") << text;
    std::filesystem::last_write_time(
        folder_ / "main.cf", std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  }

  // "name = value" for each of the words, or "fatal" where postconf(1) gives up.
  std::string theirs(const std::string& name) {
    const std::string command =
        std::string(kPostconf) + " -c " + folder_.string() + " -x " + name + " 2>/dev/null";
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "re"), ::pclose);
    std::string out;
    std::array<char, 4096> chunk{};
    while (const std::size_t got = std::fread(chunk.data(), 1, chunk.size(), pipe.get())) {
      out.append(chunk.data(), got);
    }
    return out.empty() ? "fatal" : squeezed(out);
  }

  std::string ours(const std::vector<std::string>& names) {
    const auto parameters = Parameters::load(folder_ / "lmtpd.cf");
    if (!parameters) return "fatal";
    std::string out;
    for (const std::string& name : names) out += name + " = " + parameters->value(name) + "\n";
    return squeezed(out);
  }

  std::filesystem::path folder_;
};

TEST_F(Postconf, ExpandsEachValueAlike) {
  const std::vector<std::string> values = {
      "",
      "plain",
      "a  b \t c",
      "$a",
      "x${a}y$(a)z",
      "${ a }",
      "$a.b-$a",
      "$$a$$$$",
      "${a?yes}${e?no}|${a:no}|${e:yes}",
      "${a?{ yes }:{ no }}|${e?{yes}:{ no }}|",
      "${a ?{yes}:{no}}",
      "${a?{yes} : {no}}|${a? {yes}:{no}}",
      "${a?x:y}|${e:x?y}",
      "${a?$e${a}}",
      "${a?{x}:y z}|${e?{x}:y z}",
      "${a:{x}}q${e:{x}}",
      "${nosuch?x}${nosuch:y}",
      "$(a?(b))|${a?(b)}",
      "${a?}|${a:}",
      "${a?{b{c}d}:{}}",
      "${{$a} == {va} ? {eq} : {ne}}",
      "${{$a}=={va}}|${{3} < {20}}|${{3x} < {20}}",
      "${{ va } == {va}?same:differ}|",
      "${{2} >= {10} ? {l}:{g}}",
      "${{007} == {7} ? {yes} : {no}}",
      "${{} == {} ? {yes} : {no}}",
      "${{-3} < {2}}",
      "${{a} <= {b}}${{a} > {b}}|${{a}!={b}}",
      "${{va} == {$a} : {n}}|",
      "${{a{b}}=={a{b}}}",
      "${ {a}=={b} }|",
      "${{3.5} <level {3.6} ? {l}:{g}}",
      "${{3.10} >level {3.6} ? {l}:{g}}",
      "${{1} ==level {1.0} ? {y}:{n}}",
      "${{$compatibility_level} <level {1} ? {yes} : {no}}",
      "$config_directory $mail_owner $queue_directory $default_database_type",
      "$mail_spool_directory $recipient_delimiter $virtual_minimum_uid",
      "$virtual_mailbox_domains|$virtual_transport|$relayhost|$mail_name",
      "$hopcount_limit $message_size_limit $append_dot_mydomain $setgid_group",
      "$myhostname $mydomain $myorigin $mydestination",
      "$virtual_alias_maps",
  };
  // In one file, so that postconf(1) runs once.
  std::string all;
  for (std::size_t i = 0; i < values.size(); ++i) {
    all += "\n [" + std::to_string(i) + "] " + values[i];
  }
  write_main("a = va\ne =\nvirtual_mailbox_base =" + all + "\n");
  EXPECT_EQ(ours({"virtual_mailbox_base"}), theirs("virtual_mailbox_base"));
}

TEST_F(Postconf, RefusesAlike) {
  for (const std::string value :
       {"$", "$-", "${a", "${}", "${a-b}", "${a?{x}z}", "${a?{x}:{y}z}", "${{a} =~ {b}}",
        "${{a} == b}", "${{a}}", "${{a} <level {1}}", "${virtual_mailbox_base}"}) {
    write_main("a = va\nvirtual_mailbox_base = " + value + "\n");
    EXPECT_EQ(ours({"virtual_mailbox_base"}), "fatal") << value;
    EXPECT_EQ(theirs("virtual_mailbox_base"), "fatal") << value;
  }
}

TEST_F(Postconf, ReadsEachFileAlike) {
  const std::vector<std::string> files = {
      "",
      "virtual_mailbox_base = a  \n   \t b\n#c\n\tc d \n\n  \n e\nx=1\n",
      "virtual_mailbox_base = a\r\n b\r\n",
      "virtual_mailbox_base = a\n  # c\n b",
      "virtual_mailbox_base=a=b\nvirtual_mailbox_base  =c",
      "virtual_mailbox_base = a # no comment",
      " virtual_mailbox_base = a\nmydomain = b\n",
      "# c\n\nvirtual_mailbox_base =\n  a\n",
      "virtual_mailbox_base\n",
      "= 1\n",
      "two words = 1\n",
      "mydomain = x.org\nvirtual_mailbox_base = $mydomain $myhostname\n",
      "myhostname = h.x.org\nvirtual_mailbox_base = $mydomain $myorigin\n",
      "myhostname = h\nvirtual_mailbox_base = $mydomain $mydestination\n",
      "myhostname = h.$mydomain\nmydomain = y.org\nvirtual_mailbox_base = $myhostname\n",
      "virtual_alias_maps = hash:/a\nvirtual_mailbox_base = $virtual_alias_domains\n",
      "compatibility_level = 3.6\nvirtual_mailbox_base = $append_dot_mydomain\n",
  };
  for (const std::string& file : files) {
    write_main(file);
    EXPECT_EQ(ours({"virtual_mailbox_base"}), theirs("virtual_mailbox_base")) << file;
  }
}

TEST_F(Postconf, HasTheDefaultsThatWeName) {
  write_main("");
  // All that are not departures (design: recipient_delimiter, hopcount_limit, message_size_limit).
  const std::vector<std::string> names = {"virtual_mailbox_base",
                                          "virtual_mailbox_maps",
                                          "virtual_uid_maps",
                                          "virtual_gid_maps",
                                          "virtual_minimum_uid",
                                          "virtual_mailbox_domains",
                                          "transport_maps",
                                          "queue_directory",
                                          "myhostname",
                                          "mydomain",
                                          "myorigin",
                                          "mydestination",
                                          "append_at_myorigin",
                                          "append_dot_mydomain",
                                          "allow_percent_hack",
                                          "owner_request_special",
                                          "propagate_unmatched_extensions",
                                          "virtual_alias_recursion_limit",
                                          "virtual_alias_expansion_limit",
                                          "virtual_alias_address_length_limit",
                                          "strict_rfc821_envelopes",
                                          "disable_vrfy_command",
                                          "mail_owner",
                                          "setgid_group"};
  std::string words;
  for (const std::string& name : names) words += name + " ";
  EXPECT_EQ(ours(names), theirs(words));
}

}  // namespace
}  // namespace lmtpd
