#include "lmtpd/session/trace.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "lmtpd/session/recipient_log.h"

namespace lmtpd::session {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

TEST(Trace, ReturnPath) {  // D3
  EXPECT_EQ(return_path_field(std::nullopt), "Return-Path: <>\n");
  EXPECT_EQ(return_path_field(*Address::parse("a@x.org")), "Return-Path: <a@x.org>\n");
  EXPECT_EQ(return_path_field(*Address::parse("\"a b\"@x.org")), "Return-Path: <\"a b\"@x.org>\n");
}

TEST(Trace, OriginalTo) {
  EXPECT_EQ(original_to_field("a@x.org", "b@x.org"), "X-Original-To: a@x.org\n");
  EXPECT_EQ(original_to_field("B@X.org", "b@x.ORG"), "");
}

TEST(Trace, NothingFromOutsideBreaksALine) {  // D6
  EXPECT_EQ(original_to_field("a\r\nX: y\0z"s, "b"), "X-Original-To: a??X: y?z\n");
  EXPECT_EQ(delivered_to_field("a\nBcc: b"), "Delivered-To: a?Bcc: b\n");
  EXPECT_EQ(delivered_to_field(std::string(1000, 'a')),
            "Delivered-To: " + std::string(1000, 'a') + "\n");
}

TEST(Trace, Received) {  // D4, D5
  setenv("TZ", "UTC", 1);
  Hop hop;
  hop.lhlo_name = "client.example";
  hop.received_from = "[192.0.2.1]";
  hop.hostname = "mx.test";
  hop.protocol = "LMTP";
  hop.id = "S1.2";
  hop.time = 1763852700;
  EXPECT_EQ(received_field(hop),
            "Received: from client.example ([192.0.2.1])\n\tby mx.test with LMTP id S1.2;\n"
            "\tSat, 22 Nov 2025 23:05:00 +0000\n");
  hop.for_recipient = "a@x.org";
  hop.lhlo_name = "a) (b; c\r\nX: y\xFF\x80";
  EXPECT_EQ(received_field(hop),
            "Received: from a? ?b? c??X: y?? ([192.0.2.1])\n\tby mx.test with LMTP id S1.2\n"
            "\tfor <a@x.org>;\n\tSat, 22 Nov 2025 23:05:00 +0000\n");
}

TEST(Trace, ReceivedNamesTlsAndLetsNoCertificateWriteIntoIt) {
  setenv("TZ", "UTC", 1);
  TlsFacts tls{"TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256", 128, 128};
  Hop hop;
  hop.lhlo_name = "c";
  hop.received_from = "[192.0.2.1]";
  hop.hostname = "mx.test";
  hop.protocol = "LMTPS";
  hop.id = "S1.2";
  hop.tls = &tls;
  const auto comment = [&] {
    const std::string field = received_field(hop);
    const std::size_t begin = field.find("\n\t", field.find("bits)")) + 2;
    return field.substr(begin, field.find("\n\tby") - begin);
  };
  EXPECT_TRUE(received_field(hop).starts_with(
      "Received: from c ([192.0.2.1])\n"
      "\t(using TLSv1.2 with cipher ECDHE-RSA-AES128-GCM-SHA256 (128/128 bits))\n\t"));
  EXPECT_EQ(comment(), "(No client certificate requested)");
  tls.client = TlsFacts::Client::none;
  EXPECT_EQ(comment(), "(Client did not present a certificate)");
  tls.client = TlsFacts::Client::untrusted;
  tls.client_name = "a\") (b\r\nX: y\\";
  tls.client_issuer = "CA";
  EXPECT_EQ(comment(), "(Client CN \"a?? ?b??X: y?\", Issuer \"CA\" (not verified))");
  tls.client = TlsFacts::Client::verified;
  EXPECT_TRUE(comment().ends_with("(verified OK))"));
}

TEST(Trace, DateFollowsTheTimeZone) {
  setenv("TZ", "XXX+03:30", 1);
  tzset();
  EXPECT_EQ(date_time(1763852700), "Sat, 22 Nov 2025 19:35:00 -0330");
  setenv("TZ", "XXX-05:45", 1);
  tzset();
  EXPECT_EQ(date_time(1763852700), "Sun, 23 Nov 2025 04:50:00 +0545");
  setenv("TZ", "UTC", 1);
  tzset();
}

RecipientLine example() {
  RecipientLine line;
  line.id = "S1.1";
  line.to = "a@x.org";
  line.original = "a@x.org";
  line.mailbox = "x.org/mails/a";
  line.until_rcpt = 100ms;
  line.until_resolved = 1200us;
  line.until_dot = 12s;
  line.until_stored = 20ms;
  line.message = {1234, "<1@y>"};
  line.client = "unix";
  return line;
}

TEST(RecipientLog, Sent) {
  EXPECT_EQ(format_line(example(), Reply(250, "2.0.0", "Stored")),
            "S1.1: to=<a@x.org>, relay=x.org/mails/a, delay=12.121, delays=0.1/0.001/12/0.02, "
            "dsn=2.0.0, status=sent (250 2.0.0 Stored), size=1234, client=unix, "
            "message-id=<1@y>");
}

TEST(RecipientLog, RefusedAtRcpt) {
  RecipientLine line = example();
  line.original = "alias@x.org";
  line.mailbox = {};
  line.message.reset();
  line.until_dot = line.until_stored = 0s;
  EXPECT_EQ(format_line(line, Reply(451, "4.3.0", "no server")),
            "S1.1: to=<a@x.org>, orig_to=<alias@x.org>, relay=none, delay=0.101, "
            "delays=0.1/0.001/0/0, dsn=4.3.0, status=deferred (451 4.3.0 no server), "
            "client=unix");
  EXPECT_NE(format_line(line, kBadRecipient).find("status=bounced (553 5.1.3"), std::string::npos);
}

TEST(RecipientLog, SaysWhereTheClientHadTheMessage) {
  RecipientLine line = example();
  Origin origin{"mx.example", "192.0.2.7", "4Z1X"};
  line.origin = &origin;
  EXPECT_TRUE(format_line(line, kOk).ends_with(
      "client=unix, orig_queue_id=4Z1X, orig_client=mx.example[192.0.2.7], message-id=<1@y>"));
  origin = {};
  EXPECT_TRUE(format_line(line, kOk).ends_with("client=unix, message-id=<1@y>"));
}

TEST(RecipientLog, EscapesAndCuts) {  // H20
  RecipientLine line = example();
  const std::string id = "<\n\x1B" + std::string(1000, 'x');
  line.to = "a\r\nS2: to=<b>\xFF";
  line.message->message_id = id;
  const std::string text = format_line(line, kOk);
  EXPECT_NE(text.find("to=<a??S2:?to=?b?\?>,"), std::string::npos);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_LT(text.size(), 600U);
}

}  // namespace
}  // namespace lmtpd::session
