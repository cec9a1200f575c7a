"""The site taken to the letter, behind a real Postfix, in both ways of routing to lmtpd."""

import re

import pytest

from testsite import PrivatePostfix, newest, stored

LMTP = "lmtp:unix:private/dovecot-lmtp"
RECIPIENTS = ["foo@foo.org", "user@domain.org", "user2@domain.org"]
MAILBOXES = {
    "foo.org/mails/user": (1002, 1002),
    "domain.org/mails/user": (1001, 1001),
    "domain.org/mails/user2": (1001, 1001),
}


@pytest.fixture(scope="module")
def postfix(site, tables, mail_base):
    server = PrivatePostfix(site, tables, mail_base, {"lmtp_send_xforward_command": "yes"})
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="module", params=["transport rows", "virtual_transport"])
def routed(request, postfix, postgres):
    if request.param == "transport rows":
        postgres.sql(f"UPDATE transport SET transport = '{LMTP}'")
        changed = {"transport_maps": postfix.parameters["transport_maps"], "virtual_transport": None}
    else:
        # The rows are the seed's again: without transport_maps they only say which domains there are.
        postgres.sql("UPDATE transport SET transport = 'virtual:'")
        changed = {"transport_maps": None, "virtual_transport": LMTP}
    before = dict(postfix.parameters)
    postfix.change(changed)
    yield request.param
    postfix.parameters = before


@pytest.fixture
def daemon(make_daemon, postfix):
    return make_daemon(queue_directory=postfix.queue_directory)


def test_three_recipients_reach_their_maildirs_under_two_uids(routed, postfix, daemon, mail_base):
    before = {mailbox: len(stored(mail_base / mailbox)) for mailbox in MAILBOXES}
    earlier = len(postfix.log_text())
    sent_before = postfix.log_text().count("status=sent (250 2.0.0")
    marker = f"by way of {routed}"
    assert postfix.send("tester@remote.example", RECIPIENTS,
                        f"From: tester@remote.example\r\nSubject: {marker}\r\n\r\nHello.\r\n") == {}
    postfix.wait_log(r"status=sent \(250 2\.0\.0", sent_before + 3)
    for mailbox, owner in MAILBOXES.items():
        assert len(stored(mail_base / mailbox)) == before[mailbox] + 1, mailbox
        message = newest(mail_base / mailbox)
        assert (message.owner, message.mode) == (owner, 0o600)
        assert message.header("Subject") == [marker]
        assert message.header("Return-Path") == ["<tester@remote.example>"]
    daemon.wait_log(r"to=<user@foo\.org>.*status=sent")
    daemon.wait_log(r"to=<user@domain\.org>.*status=sent")
    daemon.wait_log(r"to=<user2@domain\.org>.*status=sent")
    assert not re.findall(r"status=(?!sent).*", postfix.log_text()[earlier:])


def test_the_log_names_postfix_client_and_queue_id(routed, postfix, daemon):
    """XFORWARD, pipelined with the envelope; Postfix's next message on the connection has its own."""
    sent = r"lmtp\[\d+\]: (\w+): to=<user@domain\.org>.*status=sent"
    before = len(re.findall(sent, postfix.log_text()))
    for number in (1, 2):
        postfix.send("tester@remote.example", ["user@domain.org"], f"Subject: {number}\r\n\r\n")
        queue_id = postfix.wait_log(sent, before + number)[-1]
        daemon.wait_log(r"to=<user@domain\.org>, .*status=sent .*, client=unix, "
                        rf"orig_queue_id={queue_id}, orig_client=localhost\[127\.0\.0\.1\], message-id=")
    assert "XFORWARD" not in postfix.log_text()  # nothing that it would complain of


@pytest.mark.parametrize("address", ["nobody@domain.org", "nobody@foo.org"])
def test_an_unknown_user_is_refused_by_postfix_and_by_lmtpd(routed, postfix, daemon, address):
    with postfix.smtp() as client:
        client.ehlo()
        client.mail("tester@remote.example")
        code, text = client.rcpt(address)
    assert (code, text.split(b" ", 1)[0]) == (550, b"5.1.1")
    with daemon.client() as client:
        client.command("MAIL FROM:<tester@remote.example>")
        refused = client.command(f"RCPT TO:<{address}>")
    assert (refused.code, refused.enhanced) == (550, "5.1.1")


def test_an_unknown_user_beside_a_known_one(routed, postfix, daemon, mail_base):
    """The known one's mail is not held back, and the sender learns of the other at once."""
    before = len(stored(mail_base / "domain.org/mails/user"))
    sent_before = postfix.log_text().count("status=sent (250 2.0.0")
    refused = postfix.send("tester@remote.example", ["nobody@domain.org", "user@domain.org"],
                           "Subject: one of two\r\n\r\n")
    assert refused["nobody@domain.org"][0] == 550
    postfix.wait_log(r"status=sent \(250 2\.0\.0", sent_before + 1)
    assert len(stored(mail_base / "domain.org/mails/user")) == before + 1


def test_a_burst_over_cached_connections(routed, postfix, daemon, mail_base):
    """Postfix reuses sessions (RSET) and drops them without QUIT; nothing is lost or doubled."""
    before = len(stored(mail_base / "domain.org/mails/user2"))
    sent_before = postfix.log_text().count("status=sent (250 2.0.0")
    with postfix.smtp() as client:
        for number in range(40):
            client.sendmail("tester@remote.example", ["user2@domain.org"],
                            f"Subject: burst {number}\r\n\r\n{number}\r\n")
    postfix.wait_log(r"status=sent \(250 2\.0\.0", sent_before + 40)
    messages = stored(mail_base / "domain.org/mails/user2")
    assert len(messages) == before + 40
    subjects = [subject for message in messages for subject in message.header("Subject")]
    assert sorted({s for s in subjects if s.startswith("burst")}) == sorted(
        f"burst {number}" for number in range(40))


def test_postfix_defers_while_lmtpd_is_away_and_delivers_when_it_is_back(
        routed, postfix, make_daemon, mail_base):
    before = len(stored(mail_base / "domain.org/mails/user"))
    sent_before = postfix.log_text().count("status=sent (250 2.0.0")
    deferred_before = postfix.log_text().count("status=deferred")
    postfix.send("tester@remote.example", ["user@domain.org"], "Subject: early\r\n\r\n")
    postfix.wait_log(r"status=deferred", deferred_before + 1)
    make_daemon(queue_directory=postfix.queue_directory)
    postfix.flush()
    postfix.wait_log(r"status=sent \(250 2\.0\.0", sent_before + 1)
    assert len(stored(mail_base / "domain.org/mails/user")) == before + 1


def test_a_kept_session_of_refused_recipients_is_no_junk(postfix, postgres, make_daemon):
    """Postfix says RSET behind each message that came to nothing, and before the next (B43)."""
    messages = 60
    postfix.parameters.update(transport_maps=None, virtual_transport=LMTP,
                              lmtp_destination_concurrency_limit="1")
    postfix.write()
    postfix.restart()
    bounced_before = postfix.log_text().count("status=bounced")
    with postfix.smtp() as client:
        for number in range(messages):  # while nobody delivers them
            client.sendmail("", ["user2@domain.org"], f"Subject: refused {number}\r\n\r\n")
    daemon = make_daemon(queue_directory=postfix.queue_directory, junk_command_limit="20",
                         virtual_mailbox_maps="inline:{user@domain.org=user/}")
    postfix.flush()
    postfix.wait_log("status=bounced", bounced_before + messages)
    counters = daemon.counters()
    assert counters["recipients_refused"] == messages
    # On some session far more was said than the limit would have allowed.
    assert counters["connections"] <= messages / 10
    assert counters["junk_command_limit_hits"] == counters["error_limit_hits"] == 0
