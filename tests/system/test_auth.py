"""AUTH on the whole daemon: PLAIN, LOGIN and SCRAM against passwords in PostgreSQL, and in SQLite."""

import base64
import hashlib
import hmac
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess

import pytest

from testsite import REPOSITORY, Authority, Lmtp, client_context, dovecot_hash, free_port, newest

MESSAGE = b"Subject: authenticated\n\nbody\n"
PASSWORD = "p\u00e4ss word"
MACHINE_ID = pathlib.Path("/etc/machine-id")


@pytest.fixture(scope="module")
def users(postgres):
    """[(name, stored password)]: user@domain.org with a hash, user@foo.org with a verifier, user2@domain.org in
    clear text."""
    postgres.sql("ALTER TABLE users ALTER password TYPE text")
    rows = [("user@domain.org", dovecot_hash("SHA512-CRYPT", PASSWORD)),
            ("user@foo.org", dovecot_hash("SCRAM-SHA-256", PASSWORD)),
            ("user2@domain.org", "{PLAIN}" + PASSWORD)]
    for user, stored_password in rows:
        postgres.sql(f"UPDATE users SET password = '{stored_password}' WHERE userid = '{user}'")
    return rows


@pytest.fixture(scope="module")
def password_maps(site, tables, users):
    """By scheme: the same passwords, and the same table file but for the login."""
    folder = site.make("sqlite-passwords")
    with sqlite3.connect(folder / "mail.db") as database:
        database.execute("CREATE TABLE users (userid text PRIMARY KEY, password text)")
        database.executemany("INSERT INTO users VALUES (?, ?)", users)
    of_postgres = tables.path("passwords").read_text()
    of_sqlite, replaced = re.subn(r"(?m)^(hosts|user|password|dbname)=.*\n", "", of_postgres)
    assert replaced == 4
    (folder / "passwords.cf").write_text(f"dbpath={folder}/mail.db\n{of_sqlite}")
    return {"pgsql": tables.map("passwords"), "sqlite": f"sqlite:{folder}/passwords.cf"}


class Site:
    """A daemon with one TCP port, TLS on it if the client likes."""

    def __init__(self, make_daemon, password_map, directory):
        self.target = ("127.0.0.1", free_port())
        certificate, key = directory / "crt", directory / "key"
        Authority(directory, "ca").issue("mx.host.test", certificate, key)
        self.daemon = make_daemon(
            listen=f"unix:private/dovecot-lmtp {{inet:127.0.0.1:{self.target[1]} tls=may}}",
            auth_password_maps=password_map, tls_cert_file=str(certificate),
            tls_key_file=str(key), auth_mechanisms="SCRAM-SHA-256, PLAIN, LOGIN")

    def client(self, tls=True):
        client = Lmtp(self.target)
        client.lhlo()
        if tls:
            client.starttls(client_context())
        client.offers = client.lhlo().lines
        return client


@pytest.fixture
def scheme():
    """Of the table of passwords, where a test says no other."""
    return "pgsql"


# Each test has a daemon of its own: what one fails at would slow down the next.
@pytest.fixture
def auth(make_daemon, password_maps, scheme, tmp_path):
    return Site(make_daemon, password_maps[scheme], tmp_path)


def encoded(octets):
    return base64.b64encode(octets).decode()


def plain(client, user, password):
    return client.command("AUTH PLAIN " + encoded(f"\0{user}\0{password}".encode()))


def login(client, user, password):
    assert client.command("AUTH LOGIN").text == encoded(b"Username:")
    assert client.command(encoded(user.encode())).text == encoded(b"Password:")
    return client.command(encoded(password.encode()))


def scram(client, user, password):
    """A client of RFC 7677; asserts that the server proves itself."""
    first = f"n={user},r={encoded(os.urandom(12))}"
    reply = client.command("AUTH SCRAM-SHA-256 " + encoded(b"n,," + first.encode()))
    assert reply.code == 334, reply
    server_first = base64.b64decode(reply.text).decode()
    nonce, salt, iterations = (field[2:] for field in server_first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt),
                                 int(iterations))

    def signed(key, text):
        return hmac.digest(key, text.encode(), "sha256")
    client_key = signed(salted, "Client Key")
    final = f"c=biws,r={nonce}"
    message = f"{first},{server_first},{final}"
    signature = signed(hashlib.sha256(client_key).digest(), message)
    proof = bytes(a ^ b for a, b in zip(client_key, signature))
    reply = client.command(encoded(f"{final},p={encoded(proof)}".encode()))
    if reply.code == 334:
        expected = "v=" + encoded(signed(signed(salted, "Server Key"), message))
        assert base64.b64decode(reply.text).decode() == expected
        reply = client.command("")
    return reply


@pytest.mark.parametrize("scheme", ["pgsql", "sqlite"])
@pytest.mark.parametrize("mechanism, user, tls, protocol", [
    (plain, "user@domain.org", True, "LMTPSA"),
    (login, "User@Domain.ORG", True, "LMTPSA"),
    (plain, "user@foo.org", True, "LMTPSA"),
    (scram, "user@foo.org", True, "LMTPSA"),
    (scram, "user@foo.org", False, "LMTPA"),
])
def test_who_has_the_password_delivers(auth, mail_base, mechanism, user, tls, protocol):
    with auth.client(tls) as client:
        assert client.command("MAIL FROM:<s@remote.example>").code == 530
        reply = mechanism(client, user, PASSWORD)
        assert (reply.code, reply.enhanced) == (235, "2.7.0")
        outcome = client.deliver("s@remote.example", ["user@domain.org"], MESSAGE, " AUTH=<>")
        assert outcome.final[0].code == 250
    assert f" with {protocol} " in newest(mail_base / "domain.org/mails/user").header("Received")[0]
    auth.daemon.wait_log(rf"client=127.0.0.1:\d+, sasl_method=\S+, sasl_username={user}")
    counters = auth.daemon.counters()
    assert (counters["auth_successes"], counters["tls_sessions"]) == (1, int(tls))


def test_what_is_wrong_is_one_reply_and_a_line_each(auth):  # L7
    with auth.client() as client:
        # As many times as fit before the waits grow; each would be followed by a longer one.
        for user, mechanism, why in (("nobody@domain.org", plain, "no such user"),
                                     ("user2@domain.org", plain, r"pgsql:.*\{PLAIN\} .* not supported"),
                                     ("user@domain.org", scram, "none for SCRAM"),
                                     ("user@domain.org", login, "wrong password")):
            password = "wrong" if why == "wrong password" else PASSWORD
            reply = mechanism(client, user, password)
            assert str(reply) == "535 5.7.8 Authentication failed"
            auth.daemon.wait_log(rf"client=127.0.0.1: SASL \S+ authentication failed: .*{why}"
                                 rf".*sasl_username={user}")
        assert client.command("MAIL FROM:<s@remote.example>").code == 530
    assert PASSWORD not in auth.daemon.log_text()


def test_fail2ban_bans_whom_the_log_names_and_nobody_else(auth, tmp_path):
    """By the filter of docs/authentication.md, in lines as syslog's daemon writes them and as fail2ban has the
    journal's."""
    document = (REPOSITORY / "docs" / "authentication.md").read_text()
    text, = re.findall(r"(?s)```\n# /etc/fail2ban/filter.d/lmtpd.conf\n(.*?)```", document)
    rule = tmp_path / "lmtpd.conf"
    rule.write_text(text)
    shutil.copy("/etc/fail2ban/filter.d/common.conf", tmp_path)  # which it includes
    forged = "warning: client=198.51.100.9: SASL PLAIN authentication failed: no such user"
    with auth.client() as client:
        for user in (f"joe@domain.org: {forged}", "user@domain.org"):
            assert plain(client, user, "wrong").code == 535
    auth.daemon.deliver("user@domain.org", f"Message-ID: <{forged}>\n\n".encode())
    auth.daemon.wait_log(f"message-id=<{re.escape(forged)}")
    lines = auth.daemon.log_text().splitlines()
    assert sum(forged in line for line in lines) == 2
    for prefix in ("", "lmtpd[7]: "):
        log = tmp_path / "log"
        log.write_text("".join(f"Nov 27 04:05:06 mx {prefix}{line}\n" for line in lines))
        banned = subprocess.run(["fail2ban-regex", "-o", "ip", log, rule], capture_output=True, text=True, check=True)
        assert banned.stdout.split() == ["127.0.0.1"] * 2, banned.stdout + banned.stderr


@pytest.mark.skipif(not MACHINE_ID.exists() or not MACHINE_ID.read_text().strip(),
                    reason=f"the salts of users who are not there are made of {MACHINE_ID}")
def test_a_restart_does_not_show_who_is_there_either(auth):
    def salt(user):
        with auth.client() as client:
            first = f"n,,n={user},r=abc".encode()
            reply = client.command("AUTH SCRAM-SHA-256 " + encoded(first))
            return base64.b64decode(reply.text).decode().split(",")[1]
    users = "user@foo.org", "nobody@foo.org"
    before = [salt(user) for user in users]
    auth.daemon.stop()
    auth.daemon.start()
    assert [salt(user) for user in users] == before


def test_a_password_is_not_taken_in_clear(auth):
    with auth.client(tls=False) as client:
        assert "AUTH SCRAM-SHA-256" in client.offers
        assert plain(client, "user@domain.org", PASSWORD).code == 538
    with auth.client() as client:
        assert "AUTH SCRAM-SHA-256 PLAIN LOGIN" in client.offers


def test_who_could_not_authenticate_anyway_may_come_again(make_daemon, tables, users):
    """For want of TLS, though somebody else is trusted: the site's slip, for which nothing bounces (L11)."""
    target = ("127.0.0.1", free_port())
    daemon = make_daemon(listen=f"unix:private/dovecot-lmtp {{inet:127.0.0.1:{target[1]}}}",
                         auth_password_maps=tables.map("passwords"), trusted_clients="192.0.2.1")
    with Lmtp(target) as client:
        assert not [line for line in client.lhlo().lines if line.startswith("AUTH")]
        assert client.command("MAIL FROM:<>").code == 450
        assert client.command("AUTH PLAIN AHUAcA==").code == 502
    assert daemon.counters()["untrusted_refused"] == 1


def test_a_changed_password_counts_at_once_and_a_lost_database_is_no_refusal(auth, postgres):  # L8
    with auth.client() as client:
        assert plain(client, "user@domain.org", PASSWORD).code == 235
    old = postgres.sql("SELECT password FROM users WHERE userid = 'user@domain.org'").strip()
    try:
        postgres.sql("UPDATE users SET password = '$1$TMbyNXba$aovNosx3T45nfzC8IMzNj/' "
                     "WHERE userid = 'user@domain.org'")
        with auth.client() as client:
            assert plain(client, "user@domain.org", "pencil").code == 235
    finally:
        postgres.sql(f"UPDATE users SET password = '{old}' WHERE userid = 'user@domain.org'")
    postgres.stop()
    try:
        with auth.client() as client:
            reply = plain(client, "user@domain.org", PASSWORD)
            assert (reply.code, reply.enhanced) == (454, "4.7.0")
        assert auth.daemon.counters()["auth_unavailable"] == 1
    finally:
        postgres.start()


def test_a_unix_socket_asks_for_no_password(auth):  # L14
    with auth.daemon.client() as client:
        assert client.command("AUTH PLAIN AAAA").code == 502
    assert auth.daemon.deliver("user@domain.org", MESSAGE).final[0].code == 250
