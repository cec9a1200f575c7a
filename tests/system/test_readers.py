"""Dovecot reads what lmtpd delivered: the same octets, and the files stay as they are."""

import imaplib
import poplib

import pytest

from testsite import PrivateDovecot, stored, wait_until

MESSAGES = {
    "plain": b"From: a@b.example\nSubject: plain\n\nOne line.\n",
    "dots": b"Subject: dots\n\n.\n..\n.a\n...b\nend\n",
    "8bit": "Subject: Grüße\n\nöäü\n".encode() + bytes(range(0x80, 0x100)) + b"\n",
    "long line": b"Subject: long line\n\n" + b"x" * 5000 + b"\n",
    "empty body": b"Subject: empty body\n\n",
    "large": b"Subject: large\n\n" + b"0123456789abcdef\n" * 20000,
}


@pytest.fixture(scope="module")
def delivered(daemon, mail_base):
    """What stands in the mailbox before any reader came."""
    for message in MESSAGES.values():
        outcome = daemon.deliver("user@foo.org", message)
        assert [reply.code for reply in outcome.final] == [250], outcome
    messages = stored(mail_base / "foo.org/mails/user")
    assert len(messages) == len(MESSAGES)
    return messages


@pytest.fixture(scope="module")
def dovecot(site, postgres, mail_base):
    # The example rows have no password.
    postgres.sql("UPDATE users SET password = '{PLAIN}secret'")
    server = PrivateDovecot(site, postgres, mail_base)
    try:
        yield server.start()
    finally:
        server.stop()


def with_crlf(octets):
    return octets.replace(b"\n", b"\r\n")


def assert_untouched(delivered, mail_base):
    """A reader moves a file to cur/ and appends flags; nothing else may have happened to it."""
    mailbox = mail_base / "foo.org/mails/user"
    now = {message.name: message for message in stored(mailbox, "cur") + stored(mailbox, "new")}
    assert sorted(now) == sorted(message.name for message in delivered)
    for before in delivered:
        after = now[before.name]
        assert (after.inode, after.mtime_ns, after.octets) == (
            before.inode, before.mtime_ns, before.octets)


def test_sizes_in_the_names_are_true(delivered):  # D11
    for message in delivered:
        assert message.sizes == (len(message.octets), len(with_crlf(message.octets)))


def test_what_was_sent_is_stored_below_our_headers(delivered):  # D2
    for sent in MESSAGES.values():
        assert [m for m in delivered if m.octets.endswith(b"\n" + sent)], sent[:40]


def test_imap_lists_and_fetches_the_same_octets(delivered, dovecot, mail_base):
    with imaplib.IMAP4("127.0.0.1", dovecot.imap_port) as client:
        client.login("user@foo.org", "secret")
        kind, count = client.select()
        assert (kind, int(count[0])) == ("OK", len(MESSAGES))
        fetched = []
        for number in range(1, len(MESSAGES) + 1):
            _, answer = client.fetch(str(number), "(RFC822.SIZE BODY.PEEK[])")
            fetched.append(answer[0][1])
            assert f"RFC822.SIZE {len(answer[0][1])} ".encode() in answer[0][0]
    assert sorted(fetched) == sorted(with_crlf(message.octets) for message in delivered)
    assert_untouched(delivered, mail_base)


def test_pop3_lists_and_retrieves_the_same_octets(delivered, dovecot, mail_base):
    client = poplib.POP3("127.0.0.1", dovecot.pop3_port)
    poplib._MAXLINE = 10000  # the long line
    client.user("user@foo.org")
    client.pass_("secret")
    listed = {int(line.split()[0]): int(line.split()[1]) for line in client.list()[1]}
    assert sorted(listed.values()) == sorted(message.sizes[1] for message in delivered)
    retrieved = [b"".join(line + b"\r\n" for line in client.retr(number)[1]) for number in listed]
    client.quit()
    assert sorted(retrieved) == sorted(with_crlf(message.octets) for message in delivered)
    assert_untouched(delivered, mail_base)


def test_mail_delivered_while_a_reader_is_connected_is_seen(daemon, dovecot, delivered):
    with imaplib.IMAP4("127.0.0.1", dovecot.imap_port) as client:
        client.login("user@domain.org", "secret")
        daemon.deliver("user@domain.org", b"Subject: first\n\n")
        assert client.select()[1] == [b"1"]
        daemon.deliver("user@domain.org", b"Subject: second\n\n")

        def exists():
            client.noop()
            return client.response("EXISTS")[1][-1]
        assert wait_until(exists, "Dovecot has seen it") == b"2"


def test_a_reader_that_waits_is_told_of_a_delivery(daemon, dovecot):  # N8
    """By inotify: Dovecot looks for itself only every half a minute."""
    assert daemon.deliver("user2@domain.org", MESSAGES["plain"]).final[0].code == 250
    with imaplib.IMAP4("127.0.0.1", dovecot.imap_port, timeout=15) as client:
        client.login("user2@domain.org", "secret")
        assert client.select() == ("OK", [b"1"])
        client.send(b"idle IDLE\r\n")
        assert client.readline().startswith(b"+")
        assert daemon.deliver("user2@domain.org", MESSAGES["plain"]).final[0].code == 250
        assert client.readline() == b"* 2 EXISTS\r\n"
        client.send(b"DONE\r\n")
        while not client.readline().startswith(b"idle OK"):
            continue
