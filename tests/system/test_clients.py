"""Clients that others wrote, over TCP, with TLS and passwords. openssl's s_client is in test_tls.py."""

import re
import subprocess

import pytest

from testsite import Authority, PrivateExim, PrivatePostfix, dovecot_hash, free_port, stored

PASSWORD = "open sesame"
RECIPIENTS = ["foo@foo.org", "user@domain.org", "user2@domain.org"]


class Ports:
    """`anyone` asks nobody for a password, `users` everybody; both have STARTTLS. `tls` begins with it."""

    def __init__(self):
        self.anyone, self.users, self.tls = (free_port() for _ in range(3))

    def listen(self):
        return (f"{{inet:127.0.0.1:{self.anyone} tls=may auth=no}} {{inet:127.0.0.1:{self.users} tls=may}} "
                f"{{inets:127.0.0.1:{self.tls} auth=no}}")


@pytest.fixture(scope="module")
def ports():
    return Ports()


@pytest.fixture(scope="module")
def authority(site):
    """What it issued for lmtpd is localhost.crt and localhost.key."""
    made = Authority(site.make("clients-certificates"), "ours")
    made.issue("localhost", made.directory / "localhost.crt", made.directory / "localhost.key")
    return made


@pytest.fixture(scope="module")
def daemon(make_module_daemon, postgres, tables, authority, ports):
    postgres.sql("ALTER TABLE users ALTER password TYPE text; UPDATE users SET password = "
                 f"'{dovecot_hash('SCRAM-SHA-256', PASSWORD)}' WHERE userid = 'user@foo.org'")
    return make_module_daemon(listen=f"unix:private/dovecot-lmtp {ports.listen()}", **tls_files(authority),
                              auth_password_maps=tables.map("passwords"),
                              auth_mechanisms="SCRAM-SHA-256, PLAIN, LOGIN")


def tls_files(authority):
    return {f"tls_{what}_file": str(authority.directory / f"localhost.{ending}")
            for what, ending in (("cert", "crt"), ("key", "key"))}


def by_subject(mail_base, subject):
    """The messages of that subject in the mailboxes of RECIPIENTS."""
    mailboxes = ("foo.org/mails/user", "domain.org/mails/user", "domain.org/mails/user2")
    return [message for mailbox in mailboxes for message in stored(mail_base / mailbox)
            if message.header("Subject") == [subject]]


def protocols(messages):
    """`with` of the Received that lmtpd wrote."""
    return [re.search(r" with (\w+) id ", message.header("Received")[0])[1] for message in messages]


# ---- swaks

def swaks(port, protocol, subject, *arguments):
    return subprocess.run(
        ["swaks", "--protocol", protocol, "--server", "127.0.0.1", "--port", str(port), "--from", "s@remote.example",
         "--to", ",".join(RECIPIENTS), "--header", f"Subject: {subject}", *arguments],
        capture_output=True, text=True, timeout=60, check=False)


def credentials(mechanism, password=PASSWORD):
    return ["--auth", mechanism, "--auth-user", "user@foo.org", "--auth-password", password]


@pytest.mark.parametrize("protocol, port, mechanism, stored_with", [
    ("LMTP", "anyone", None, "LMTP"),
    ("LMTPS", "anyone", None, "LMTPS"),
    ("LMTPSA", "users", "PLAIN", "LMTPSA"),
    ("LMTPSA", "users", "LOGIN", "LMTPSA"),
])
def test_swaks_delivers(daemon, ports, authority, mail_base, protocol, port, mechanism, stored_with):
    subject = f"swaks, {protocol} {mechanism}"
    verified = ["--tls-verify", "--tls-ca-path", authority.certificate] if "S" in protocol[4:] else []
    done = swaks(getattr(ports, port), protocol, subject, *verified, *credentials(mechanism) if mechanism else ())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("250 2.0.0 ") == len(RECIPIENTS), done.stdout
    assert protocols(by_subject(mail_base, subject)) == [stored_with] * len(RECIPIENTS)


@pytest.mark.parametrize("protocol, mechanism, stored_with", [
    ("LMTP", None, "LMTPS"),
    ("LMTPA", "PLAIN", "LMTPSA"),
])
def test_swaks_delivers_by_tls_from_the_first_octet(
        daemon, ports, authority, mail_base, protocol, mechanism, stored_with):
    subject = f"swaks, inets {protocol}"
    done = swaks(ports.tls, protocol, subject, "--tls-on-connect", "--tls-verify", "--tls-ca-path",
                 authority.certificate, *credentials(mechanism) if mechanism else ())
    assert done.returncode == 0, done.stdout + done.stderr
    assert protocols(by_subject(mail_base, subject)) == [stored_with] * len(RECIPIENTS)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_with_a_wrong_password(daemon, ports, mail_base, mechanism):
    done = swaks(ports.users, "LMTPSA", "swaks, wrong", *credentials(mechanism, "sesame"))
    assert done.returncode == 28, done.stdout + done.stderr  # error in AUTH transaction
    assert "535 5.7.8" in done.stdout
    assert by_subject(mail_base, "swaks, wrong") == []


def test_swaks_may_not_send_a_password_in_clear(daemon, ports, mail_base):
    """LMTPA by itself has no TLS, and swaks no mechanism that keeps the password to itself."""
    done = swaks(ports.users, "LMTPA", "swaks, clear", *credentials("PLAIN"))
    assert done.returncode == 28, done.stdout + done.stderr
    assert "AUTH SCRAM-SHA-256\n" in done.stdout and "AUTH PLAIN" not in done.stdout
    assert by_subject(mail_base, "swaks, clear") == []


# ---- Postfix

SENT = r"status=sent \(250 2\.0\.0"


@pytest.fixture(scope="module")
def any_postfix(site, tables, mail_base, authority):
    """Not started; all that the tests' main.cf have in common."""
    server = PrivatePostfix(site, tables, mail_base, {
        "transport_maps": None,
        "lmtp_host_lookup": "native",  # localhost is in no DNS
        "lmtp_tls_CAfile": str(authority.certificate),
        "lmtp_tls_loglevel": "1",
        # So that its log has the dialogue.
        "debug_peer_list": "127.0.0.1",
        "debug_peer_level": "1"}, name="clients-postfix")
    yield server
    server.stop()


@pytest.fixture
def postfix(any_postfix):
    before = dict(any_postfix.parameters)
    yield any_postfix
    any_postfix.parameters = before


def send(postfix, subject, count):
    """To all of RECIPIENTS; what Postfix's log says from then on, once `count` more of them are done."""
    before = len(postfix.log_text())
    already = len(re.findall(SENT, postfix.log_text()))
    assert postfix.send("tester@remote.example", RECIPIENTS, f"Subject: {subject}\r\n\r\nHello.\r\n") == {}
    postfix.wait_log(SENT, already + count)
    return postfix.log_text()[before:]


def dialogue(log):
    """[("C" or "S", line)] of lmtp(8)."""
    return [("CS"[way == "<"], line) for way, line in
            re.findall(r"lmtp\[\d+\]: ([<>]) localhost\[127\.0\.0\.1\]:\d+: (.*)", log)]


def test_postfix_pipelines_on_a_connection_with_tls_that_it_uses_again(daemon, ports, postfix, mail_base):
    postfix.change({
        "virtual_transport": f"lmtp:inet:localhost:{ports.anyone}",
        "lmtp_tls_security_level": "secure",
        "lmtp_tls_secure_cert_match": "nexthop",
        "lmtp_tls_connection_reuse": "yes",
        "smtp_tls_security_level": "may",  # or tlsproxy(8) does nothing, for lmtp(8) neither
        # Else only while its queue has more for the same destination, and for 2 s.
        "lmtp_connection_cache_destinations": "localhost",
        "lmtp_connection_cache_time_limit": "100s",
        "connection_cache_ttl_limit": "100s"})
    # It stores a connection after it has logged the delivery, and may need another where the next comes too soon.
    for number in range(20):
        subject = f"postfix, reuse {number}"
        log = send(postfix, subject, len(RECIPIENTS))
        assert protocols(by_subject(mail_base, subject)) == ["LMTPS"] * len(RECIPIENTS)
        if reused := re.findall(r"conn_use=3, .* id=\w+\.(\d+)\)", log):
            break
    # lmtpd's own count of the messages of a session.
    assert reused == ["3"] * len(RECIPIENTS), postfix.log_text()
    assert "Verified TLS connection reused to localhost[127.0.0.1]" in log
    said = dialogue(log)
    mail = next(at for at, (_, line) in enumerate(said) if line.startswith("MAIL FROM:"))
    assert [line.split(":")[0] for _, line in said[mail:mail + 5]] == ["MAIL FROM", *["RCPT TO"] * 3, "DATA"]
    assert [who for who, _ in said[mail:mail + 11]] == [*"CCCCC", *"SSSSS", "C"], said


@pytest.mark.parametrize("mechanism, tls, stored_with", [
    ("scram-sha-256", "encrypt", "LMTPSA"),
    ("scram-sha-256", "none", "LMTPA"),
    ("plain", "encrypt", "LMTPSA"),
    ("login", "encrypt", "LMTPSA"),
])
def test_postfix_authenticates(daemon, ports, postfix, mail_base, mechanism, tls, stored_with):
    write_password(postfix, ports.users, PASSWORD)
    postfix.change(authenticating(postfix, ports.users, mechanism, tls))
    subject = f"postfix, {mechanism} {tls}"
    send(postfix, subject, len(RECIPIENTS))
    assert protocols(by_subject(mail_base, subject)) == [stored_with] * len(RECIPIENTS)
    daemon.wait_log(rf"sasl_method={mechanism.upper()}, sasl_username=user@foo\.org")


def test_postfix_authenticates_by_default_against_a_hash_of_crypt(
        make_daemon, postgres, tables, authority, postfix, mail_base):
    """It takes the best mechanism that it knows, and no other when that one is refused."""
    postgres.sql(f"UPDATE users SET password = '{dovecot_hash('SHA512-CRYPT', PASSWORD)}' "
                 "WHERE userid = 'user2@domain.org'")
    port = free_port()
    daemon = make_daemon(listen=f"{{inet:127.0.0.1:{port} tls=may}}", auth_password_maps=tables.map("passwords"),
                         **tls_files(authority))
    write_password(postfix, port, PASSWORD, "user2@domain.org")
    postfix.change(authenticating(postfix, port, "", "encrypt"))
    send(postfix, "postfix, default", len(RECIPIENTS))
    assert protocols(by_subject(mail_base, "postfix, default")) == ["LMTPSA"] * len(RECIPIENTS)
    daemon.wait_log(r"sasl_method=PLAIN, sasl_username=user2@domain\.org")


def authenticating(postfix, port, mechanism, tls):
    return {
        "virtual_transport": f"lmtp:inet:[localhost]:{port}",
        "lmtp_sasl_auth_enable": "yes",
        "lmtp_sasl_password_maps": f"texthash:{postfix.directory}/lmtp_passwords",
        "lmtp_sasl_security_options": "noanonymous",
        "lmtp_sasl_mechanism_filter": mechanism,
        "lmtp_tls_security_level": tls}


def write_password(postfix, port, password, user="user@foo.org"):
    (postfix.directory / "lmtp_passwords").write_text(f"[localhost]:{port} {user}:{password}\n")


def test_postfix_keeps_the_mail_while_its_password_is_wrong(daemon, ports, postfix, mail_base):
    write_password(postfix, ports.users, "sesame")
    postfix.change(authenticating(postfix, ports.users, "scram-sha-256, plain", "encrypt"))
    deferred = r"status=deferred .*SASL authentication failed; server localhost\S* said: 535 5\.7\.8"
    before = len(re.findall(deferred, postfix.log_text()))
    postfix.send("tester@remote.example", ["user@domain.org"], "Subject: postfix, wrong\r\n\r\n")
    postfix.wait_log(deferred, before + 1)
    assert by_subject(mail_base, "postfix, wrong") == []
    write_password(postfix, ports.users, PASSWORD)
    before = len(re.findall(SENT, postfix.log_text()))
    postfix.restart()
    postfix.flush()
    postfix.wait_log(SENT, before + 1)
    assert len(by_subject(mail_base, "postfix, wrong")) == 1


def test_postfix_delivers_by_its_certificate(make_daemon, authority, postfix, mail_base):
    """Nobody is trusted by his address: without the certificate the mail stays in the queue (L11)."""
    certificate, key = (authority.directory / f"postfix.{kind}" for kind in ("crt", "key"))
    authority.issue("relay.test", certificate, key)
    port = free_port()
    daemon = make_daemon(listen=f"{{inet:127.0.0.1:{port} tls=encrypt}}",
                         tls_client_ca=str(authority.certificate), **tls_files(authority))
    postfix.change({"virtual_transport": f"lmtp:inet:localhost:{port}", "lmtp_tls_security_level": "encrypt"})
    deferred = r"status=deferred \(host localhost\S* said: 450 4\.7\.1"
    before = len(re.findall(deferred, postfix.log_text()))
    postfix.send("tester@remote.example", ["user@domain.org"], "Subject: postfix, certificate\r\n\r\n")
    postfix.wait_log(deferred, before + 1)
    assert by_subject(mail_base, "postfix, certificate") == []
    assert daemon.counters()["untrusted_refused"] > 0
    before = len(re.findall(SENT, postfix.log_text()))
    postfix.change({"lmtp_tls_cert_file": str(certificate), "lmtp_tls_key_file": str(key)})
    postfix.flush()
    postfix.wait_log(SENT, before + 1)
    (message,) = by_subject(mail_base, "postfix, certificate")
    assert '(Client CN "relay.test", Issuer "ours" (verified OK))' in message.header("Received")[0]


# ---- Exim

@pytest.mark.parametrize("tls, stored_with", [(False, "LMTP"), (True, "LMTPS")])
def test_exim_sends_chunks(daemon, ports, authority, site, mail_base, tls, stored_with):
    """The header as one, pipelined with MAIL and RCPT, the body as another (G1)."""
    subject = f"exim, {stored_with}"
    options = ["hosts_try_chunking = *"]
    options += ([f"tls_verify_certificates = {authority.certificate}", "hosts_require_tls = *"] if tls else
                ["hosts_avoid_tls = *"])
    exim = PrivateExim(site, ports.anyone, options, name=f"exim-{stored_with}")
    body = b"".join(b"%06d.....................................................\n" % n for n in range(4000))
    status, said = exim.send("s@remote.example", RECIPIENTS, f"Subject: {subject}\n\n.dot\n".encode() + body)
    assert status == 0, said
    assert ":MAIL|:RCPT|:RCPT|:RCPT|:BDAT:250:250:250:250:250:BDAT:QUIT:250:250:250:221'\n" in said
    first, last = re.findall(r"> BDAT \d+(.*)", said)
    assert (first, last) == ("", " LAST"), said
    messages = by_subject(mail_base, subject)
    assert protocols(messages) == [stored_with] * len(RECIPIENTS)
    for message in messages:
        assert message.octets.endswith(b"\n\n.dot\n" + body)
