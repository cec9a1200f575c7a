"""Postfix looks its tables up at lmtpd (socketmap_table(5)): postmap, and a whole delivery."""

import contextlib
import socket
import subprocess

import pytest

from testsite import PATIENCE, PrivatePostfix, newest, stored

LMTP = "lmtp:unix:private/dovecot-lmtp"
SOCKETMAP = "socketmap:unix:private/lmtpd-maps:"


@pytest.fixture(scope="module")
def postfix(site, tables, mail_base):
    """Knows no other tables."""
    maps = {"virtual_maps": None, "virtual_uid_maps": None, "virtual_gid_maps": None,
            "virtual_alias_maps": SOCKETMAP + "virtual", "virtual_alias_domains": "",
            "virtual_mailbox_maps": SOCKETMAP + "mailbox",
            "virtual_mailbox_domains": SOCKETMAP + "domain",
            "transport_maps": SOCKETMAP + "transport", "recipient_delimiter": "+"}
    server = PrivatePostfix(site, tables, mail_base, maps)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def daemon(make_daemon, tables, postfix):
    return make_daemon(queue_directory=postfix.queue_directory, recipient_delimiter="+",
                       socketmap_listen="unix:private/lmtpd-maps",
                       transport_maps=tables.map("transport"))


def postmap(postfix, map_, key):
    done = subprocess.run(["postmap", "-c", postfix.configuration, "-q", key, SOCKETMAP + map_],
                          capture_output=True, text=True, check=False, cwd=postfix.queue_directory)
    return done.returncode, done.stdout.strip(), done.stderr


@pytest.mark.parametrize("map_, key, value", [
    ("virtual", "foo@foo.org", "user@foo.org"),
    ("virtual", "Foo+Ext@FOO.org", "user+Ext@foo.org"),
    ("virtual", "user@domain.org", "user@domain.org"),
    ("virtual", "nobody@domain.org", None),
    ("virtual", "domain.org", None),
    ("mailbox", "User+ext@domain.org", "domain.org/mails/user/"),
    ("mailbox", "nobody@domain.org", None),
    ("domain", "domain.org", "domain.org"),
    ("domain", "elsewhere.org", None),
    ("transport", "user+ext@domain.org", "virtual:"),
    ("transport", "user@elsewhere.org", None),
    ("uid", "user@foo.org", "1002"),
])
def test_postmap_gets_what_the_tables_say(daemon, postfix, map_, key, value):
    returncode, found, errors = postmap(postfix, map_, key)
    assert (returncode, found, errors) == ((0, value, "") if value else (1, "", ""))


def test_a_database_failure_is_no_absence(daemon, postfix, postgres):
    postgres.sql("REVOKE SELECT ON postfix_virtual FROM mailreader")
    try:
        returncode, found, errors = postmap(postfix, "virtual", "cold@domain.org")
    finally:
        postgres.sql("GRANT SELECT ON postfix_virtual TO mailreader")
    assert (returncode, found) == (1, "")
    assert "permission denied" in errors
    assert postmap(postfix, "nosuch", "user@domain.org")[0] == 1


def test_mail_goes_through_with_no_tables_of_postfix_own(daemon, postfix, postgres, mail_base):
    postgres.sql(f"UPDATE transport SET transport = '{LMTP}'")
    try:
        daemon.ctl("flush")
        mailboxes = [mail_base / "foo.org/mails/user", mail_base / "domain.org/mails/user2"]
        before = [len(stored(mailbox)) for mailbox in mailboxes]
        sent = postfix.log_text().count("status=sent (250 2.0.0")
        assert postfix.send("tester@remote.example", ["FOO+box@foo.org", "user2@domain.org"],
                            "Subject: maps\r\n\r\nHello.\r\n") == {}
        postfix.wait_log(r"status=sent \(250 2\.0\.0", sent + 2)
        assert [len(stored(mailbox)) for mailbox in mailboxes] == [count + 1 for count in before]
        assert newest(mailboxes[0]).header("Delivered-To") == ["user+box@foo.org"]
        with postfix.smtp() as client:
            client.ehlo()
            client.mail("tester@remote.example")
            code, text = client.rcpt("nobody@domain.org")
        assert code == 550 and b"5.1.1" in text
    finally:
        postgres.sql("UPDATE transport SET transport = 'virtual:'")


def connect(postfix):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE)
    client.connect(str(postfix.queue_directory / "private" / "lmtpd-maps"))
    return client


def test_requests_in_a_row_and_in_pieces(daemon, postfix):
    with connect(postfix) as client:
        request = b"23:virtual user@domain.org,"
        for octet in request:
            client.sendall(bytes([octet]))
        assert client.recv(100) == b"18:OK user@domain.org,"
        client.sendall(20 * request)
        answers = b""
        while len(answers) < 20 * len(b"18:OK user@domain.org,"):
            answers += client.recv(4096)
        assert answers == 20 * b"18:OK user@domain.org,"


@pytest.mark.parametrize("junk", [b"hello\n", b"99999999:", b"3:a b;", b"10:" + b"x" * 20])
def test_junk_ends_the_connection_and_nothing_else(daemon, postfix, junk):
    with connect(postfix) as other, connect(postfix) as client:
        client.sendall(junk)
        assert client.recv(100) == b""
        other.sendall(b"17:domain domain.org,")
        assert other.recv(100) == b"13:OK domain.org,"
    daemon.wait_log("socketmap: a request is no netstring")


def test_who_does_not_read_is_not_read(daemon, postfix):
    """And goes on where he left off."""
    request = b"23:virtual user@domain.org,"
    answer = b"18:OK user@domain.org,"
    with connect(postfix) as client:
        client.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 100_000_000:
                sent += client.send(1000 * request)
        client.settimeout(PATIENCE)
        expected = sent // len(request) * len(answer)
        received = 0
        while received < expected:
            received += len(client.recv(1 << 20))
        assert received == expected


def test_many_connections_stay(daemon, postfix):
    clients = [connect(postfix) for _ in range(300)]
    for client in clients:
        client.sendall(b"23:virtual user@domain.org,")
    assert {client.recv(100) for client in clients} == {b"18:OK user@domain.org,"}
    for client in clients:
        client.close()


# ---- a reload

@contextlib.contextmanager
def old_generation_kept(daemon):
    """By a session in the midst of its message, over the reload within."""
    with daemon.client() as slow:
        slow.envelope("sender@remote.example", ["user@foo.org"])
        slow.send(b"Subject: slow\r\n")
        frontends = set(daemon.role("frontend"))
        yield
        assert frontends <= set(daemon.role("frontend"))
        slow.send(b"\r\nbody\r\n.\r\n")
        assert slow.reply().code == 250


def reload(daemon, **parameters):
    daemon.parameters.update(parameters)
    daemon.write()
    ready = daemon.log_text().count("ready:")
    assert daemon.ctl("reload").returncode == 0
    daemon.wait_log("ready:", ready + 1)


def ask(client, request):
    client.sendall(f"{len(request)}:{request},".encode())
    return client.recv(100)


def test_a_domain_that_a_reload_adds_is_there_at_once(daemon, postfix):
    reload(daemon, virtual_mailbox_domains="domain.org")
    with old_generation_kept(daemon), connect(postfix) as kept:
        assert ask(kept, "domain new.example") == b"9:NOTFOUND ,"
        reload(daemon, virtual_mailbox_domains="domain.org, new.example")
        for _ in range(50):
            with connect(postfix) as client:
                assert ask(client, "domain new.example") == b"14:OK new.example,"
        assert kept.recv(100) == b""


def test_a_postfix_that_keeps_its_connection_hears_of_a_reload(daemon, postfix, tables):
    users = daemon.directory / "users"
    users.write_text("")
    reload(daemon, virtual_mailbox_maps=f"{tables.map('mailboxes')}, texthash:{users}")
    with old_generation_kept(daemon), postfix.smtp() as client:
        client.ehlo()
        client.mail("tester@remote.example")
        code, text = client.rcpt("new@domain.org")
        assert code == 550 and b"5.1.1" in text
        users.write_text("new@domain.org domain.org/new/\n")
        failures = postfix.log_text().count("lookup error")
        reload(daemon)
        assert client.rcpt("new@domain.org")[0] == 250
        assert postfix.log_text().count("lookup error") == failures
