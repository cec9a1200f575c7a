"""TLS to PostgreSQL: libpq's options in a table's URI."""

import os
import pwd
import shutil

import pytest

from testsite import Authority, Tables, wait_until


@pytest.fixture(scope="module")
def right(site):
    return Authority(site.make("certificates"), "right")


@pytest.fixture(scope="module")
def certificates(right, postgres):
    """PostgreSQL with a certificate for `localhost` by the authority `right`; another is `wrong`."""
    directory = right.directory
    Authority(directory, "wrong")
    right.issue("localhost", postgres.data / "server.crt", postgres.data / "server.key")
    owner = pwd.getpwnam("postgres")
    for file in ("server.key", "server.crt"):
        os.chown(postgres.data / file, owner.pw_uid, owner.pw_gid)
        (postgres.data / file).chmod(0o600)
    postgres.sql("ALTER SYSTEM SET ssl = on")
    postgres.restart()
    yield directory
    postgres.sql("ALTER SYSTEM RESET ssl")
    postgres.restart()


@pytest.fixture
def answer(site, postgres, certificates, make_daemon):
    """answer(options, host, login): the daemon that reads its tables so, and its reply to a RCPT."""
    def ask(options, host="localhost", login="mailreader:secret"):
        name = f"tls-tables{sum(1 for _ in site.path.glob('tls-tables*'))}"
        uri = (f"postgresql://{login}@{host}:{postgres.port}/mails?"
               + options.format(certificates))
        daemon = make_daemon(**Tables(site.make(name), postgres, hosts=uri).parameters())
        (reply,) = daemon.deliver("user@domain.org", b"x\n").recipients
        return daemon, str(reply)
    return ask


def test_a_server_of_the_right_authority_is_believed(answer, postgres):
    _, reply = answer("sslmode=verify-full&sslrootcert={}/right.crt")
    assert reply.startswith("250 ")
    # The tables' connection and that of the notices.
    assert postgres.sql("SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                        " WHERE usename = 'mailreader'") == "t\n"


@pytest.mark.parametrize("options, host, words", [
    ("sslmode=verify-full&sslrootcert={}/wrong.crt", "localhost", "SSL error: certificate verify failed"),
    ("sslmode=verify-full&sslrootcert={}/right.crt", "127.0.0.1",
     'server certificate for "localhost".* does not match host name "127.0.0.1"'),
    ("sslmode=verify-full&sslrootcert={}/missing.crt", "localhost",
     'root certificate file ".*/missing.crt" does not exist'),
    ("sslmode=require&ssl_min_protocol_version=TLSv1&ssl_max_protocol_version=TLSv1", "localhost",
     "SSL error"),
])
def test_another_is_not(answer, options, host, words):
    daemon, reply = answer(options, host)
    assert reply.startswith("451 4.3.0 ")
    daemon.wait_log(f"warning: PostgreSQL at {host}:.*: no connection: .*{words}")
    assert "secret" not in daemon.log_text()


def file_for(user, group, mode, path):
    shutil.chown(path, user, group)
    path.chmod(mode)
    return path


@pytest.fixture
def wants_certificates(postgres, certificates):
    """PostgreSQL lets in who has a certificate by `right` for the role's name, and asks no password."""
    rules = postgres.data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("local all all trust\nhostssl all all all cert\n")
    postgres.sql(f"ALTER SYSTEM SET ssl_ca_file = '{certificates}/right.crt'")
    postgres.sql("SELECT pg_reload_conf()")
    yield
    rules.write_text(before)
    postgres.sql("ALTER SYSTEM RESET ssl_ca_file")
    postgres.sql("SELECT pg_reload_conf()")


@pytest.mark.parametrize("user, group, mode, refusal", [
    ("lmtpd-lookup", "root", 0o600, None),
    ("root", "lmtpd-lookup", 0o640, None),
    ("lmtpd-lookup", "root", 0o640, "private key file .* has group or world access"),
])
def test_a_client_certificate_has_a_key_that_lookup_user_may_read(
        answer, certificates, right, wants_certificates, user, group, mode, refusal):
    key = certificates / "client.key"
    right.issue("mailreader", certificates / "client.crt", key)
    file_for(user, group, mode, key)
    daemon, reply = answer("sslmode=verify-full&sslrootcert={0}/right.crt&sslcert={0}/client.crt"
                           "&sslkey={0}/client.key")
    if refusal is None:
        assert reply.startswith("250 ")
    else:
        assert reply.startswith("451 4.3.0 ")
        daemon.wait_log(f"no connection: .*{refusal}")


@pytest.mark.parametrize("mode, expected", [(0o600, "250 "), (0o640, "451 4.3.0 ")])
def test_a_password_may_be_in_a_file_that_lookup_user_alone_may_read(answer, certificates, mode, expected):
    passwords = certificates / "passwords"
    passwords.write_text("*:*:mails:mailreader:secret\n")
    file_for("lmtpd-lookup", "root", mode, passwords)
    _, reply = answer("passfile={}/passwords", login="mailreader")
    assert reply.startswith(expected)


def test_no_tls_is_no_tls(answer, postgres):
    """`require` never goes on in the clear."""
    def turn(state):
        postgres.sql(f"ALTER SYSTEM SET ssl = {state}; SELECT pg_reload_conf()")
        wait_until(lambda: postgres.sql("SHOW ssl") == f"{state}\n", f"ssl is {state} for who connects now")

    turn("off")
    try:
        daemon, reply = answer("sslmode=require")
        assert reply.startswith("451 4.3.0 ")
        daemon.wait_log("no connection: .*server does not support SSL, but SSL was required")
    finally:
        turn("on")
