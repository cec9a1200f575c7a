"""TLS on the whole daemon: STARTTLS and inets:, what is refused, certificates and their reload."""

import contextlib
import re
import socket
import ssl
import subprocess

import pytest

from testsite import PATIENCE, Authority, Lmtp, client_context, free_port, newest, stored, wait_until

MESSAGE = b"Subject: protected\n\nbody\n"


class Certificates:
    """`server` and `client` by the authority `ours`; `stranger` by another."""

    def __init__(self, directory):
        self.directory = directory
        self.ours = Authority(directory, "ours")
        self.others = Authority(directory, "others")
        self.issue_server()
        self.ours.issue("client.test", *self.pair("client"))
        self.others.issue("stranger.test", *self.pair("stranger"))

    def pair(self, name):
        return self.directory / f"{name}.crt", self.directory / f"{name}.key"

    def issue_server(self):
        certificate, key = self.pair("server")
        self.ours.issue("mx.host.test", certificate, key)
        key.chmod(0o600)  # root alone: master opens it


@pytest.fixture(scope="module")
def certificates(site):
    return Certificates(site.make("server-certificates"))


class Site:
    """A daemon with one port for each way to TLS."""

    def __init__(self, make_daemon, certificates, **parameters):
        self.may, self.must, self.first, self.plain = (("127.0.0.1", free_port()) for _ in range(4))
        certificate, key = certificates.pair("server")
        self.daemon = make_daemon(**{
            "listen": f"unix:private/dovecot-lmtp {{inet:127.0.0.1:{self.may[1]} tls=may}} "
                      f"inet:127.0.0.1:{self.must[1]} inets:127.0.0.1:{self.first[1]} "
                      f"{{inet:127.0.0.1:{self.plain[1]}, tls=none}}",
            "trusted_clients": "127.0.0.1",
            "tls_security_level": "encrypt",
            "tls_cert_file": str(certificate),
            "tls_key_file": str(key),
            **parameters})


@pytest.fixture(scope="module")
def tls(make_module_daemon, certificates):
    return Site(make_module_daemon, certificates)


def keywords(client):
    return {line.split()[0] for line in client.lhlo().lines[1:]}


def deliver(client):
    outcome = client.deliver("sender@remote.example", ["user@domain.org"], MESSAGE)
    assert [reply.code for reply in outcome.final] == [250], client.dialogue()


def test_each_listener_has_its_own_options(tls):
    with Lmtp(tls.daemon.socket_path) as unix, Lmtp(tls.plain) as plain:
        for client in (unix, plain):
            assert "STARTTLS" not in keywords(client)
            assert client.command("STARTTLS").code == 502  # K1
            deliver(client)
    with Lmtp(tls.may) as client:
        assert "STARTTLS" in keywords(client)
        deliver(client)
    with Lmtp(tls.must) as client:
        assert "STARTTLS" in keywords(client)
        reply = client.command("MAIL FROM:<>")  # K7
        assert (reply.code, reply.enhanced) == (530, "5.7.0")


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_starttls(tls, certificates, mail_base, version):
    most = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}[version]
    context = client_context(verify=certificates.ours.certificate, most=most)
    with Lmtp(tls.must) as client:
        client.lhlo()
        client.starttls(context)
        assert client.command("MAIL FROM:<>").code == 503  # K2
        assert "STARTTLS" not in keywords(client)  # K3
        assert client.command("STARTTLS").code == 503
        deliver(client)
        deliver(client)
        cipher = client.socket.cipher()
        assert client.quit().code == 221
    (received,) = newest(mail_base / "domain.org/mails/user").header("Received")
    assert f"(using {version} with cipher {cipher[0]} ({cipher[2]}/" in received
    assert "(No client certificate requested)" in received and " with LMTPS id " in received
    tls.daemon.wait_log(rf"client=127\.0\.0\.1:\d+, tls={version}, cipher={cipher[0]} \({cipher[2]}/")


def test_tls_from_the_first_octet(tls, mail_base):
    with Lmtp(tls.first, tls=client_context()) as client:
        assert client.greeting.code == 220
        assert "STARTTLS" not in keywords(client)
        deliver(client)
        assert client.quit().code == 221
    assert " with LMTPS id " in newest(mail_base / "domain.org/mails/user").header("Received")[0]


def test_large_messages_and_deep_pipelines(tls, mail_base):
    body = b"Subject: large\n\n" + b"0123456789abcdef" * 4 * 1024 * 256
    with Lmtp(tls.first, tls=client_context()) as client:
        client.lhlo()
        outcome = client.deliver("", ["user@domain.org"] * 50, body)
        assert [reply.code for reply in outcome.final] == [250] * 50
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<user@domain.org>\r\nRSET\r\n" * 1000)
        assert {client.reply().code for _ in range(3000)} == {250}
    assert newest(mail_base / "domain.org/mails/user").octets.endswith(body.rstrip(b"\n") + b"\n")


@pytest.mark.parametrize("way", ["may", "first"])
def test_tls_1_1_is_refused(tls, way):
    context = client_context(least=ssl.TLSVersion.TLSv1, most=ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        if way == "first":
            Lmtp(tls.first, tls=context)
        else:
            with Lmtp(tls.may) as client:
                client.lhlo()
                client.starttls(context)
    tls.daemon.wait_log(r"TLS handshake failed \((unsupported protocol|version too low)\)",
                        1 if way == "may" else 2)


def test_plain_text_behind_starttls_is_thrown_away(tls):  # K4, E13
    with Lmtp(tls.may) as client:
        client.lhlo()
        client.send(b"STARTTLS\r\nLHLO evil\r\nMAIL FROM:<evil@remote.example>\r\n")
        assert client.reply().code == 220
        client.socket = client_context().wrap_socket(client.socket)
        assert client.command("NOOP").code == 250
        assert client.command("RCPT TO:<user@domain.org>").code == 503


@pytest.mark.parametrize("way", ["may", "first"])
def test_what_is_no_handshake_ends_the_connection(tls, way):  # K5
    with contextlib.closing(socket.create_connection(getattr(tls, way), PATIENCE)) as client:
        if way == "may":
            client.sendall(b"LHLO c\r\nSTARTTLS\r\n")
            got = b""
            while b"220 2.0.0" not in got:
                got += client.recv(4096)
        client.sendall(b"MAIL FROM:<>\r\nRCPT TO:<user@domain.org>\r\nDATA\r\n")
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while octets := client.recv(4096):
                answer += octets
    assert b"250" not in answer and b"530" not in answer
    with Lmtp(tls.may) as client:
        assert client.lhlo().code == 250


def test_a_slow_handshake_ends_at_its_time(make_daemon, certificates):
    site = Site(make_daemon, certificates, starttls_timeout="5s")
    slow = socket.create_connection(site.first, PATIENCE)
    slow.sendall(b"\x16\x03\x01\x02")  # the beginning of a ClientHello
    with Lmtp(site.first, tls=client_context()) as other:
        assert other.lhlo().code == 250
    assert slow.recv(1) == b""
    site.daemon.wait_log(r"TLS handshake failed \(timeout\)")
    counters = site.daemon.counters()
    assert (counters["starttls_timeout_hits"], counters["tls_failures"], counters["tls_sessions"]) == (1, 1, 1)


def test_a_message_that_is_cut_off_is_not_delivered(tls, mail_base):  # K8
    count = len(stored(mail_base / "domain.org/mails/user"))
    with Lmtp(tls.first, tls=client_context()) as client:
        client.lhlo()
        assert client.envelope("", ["user@domain.org"])[2].code == 354
        client.send(MESSAGE.replace(b"\n", b"\r\n"))
        client.socket.shutdown(socket.SHUT_RDWR)
    with Lmtp(tls.first, tls=client_context()) as client:
        client.lhlo()
        assert client.envelope("", ["user@domain.org"])[2].code == 354
        client.send(MESSAGE.replace(b"\n", b"\r\n") + b".")
        client.socket.unwrap()
    deliver_later(tls)
    assert len(stored(mail_base / "domain.org/mails/user")) == count + 1


def deliver_later(tls):
    with Lmtp(tls.first, tls=client_context()) as client:
        client.lhlo()
        deliver(client)


def test_it_says_that_nothing_follows(tls):  # K8
    with Lmtp(tls.first, tls=client_context()) as client:
        client.lhlo()
        assert client.command("QUIT").code == 221
        assert client.socket.recv(1) == b""  # and not SSLEOFError


def test_sessions_are_resumed(tls):  # K8
    context = client_context()
    with Lmtp(tls.first, tls=context) as client:
        client.lhlo()
        session = client.socket.session
    with socket.create_connection(tls.first, PATIENCE) as plain:
        with context.wrap_socket(plain, session=session) as again:
            assert again.recv(3) == b"220"
            assert again.session_reused


def test_openssl_delivers(tls, certificates, mail_base):
    shown = subprocess.run(
        ["openssl", "s_client", "-starttls", "lmtp", "-connect", "127.0.0.1:%d" % tls.must[1], "-CAfile",
         certificates.ours.certificate, "-verify_return_error", "-quiet", "-crlf"],
        input=b"LHLO c\nMAIL FROM:<s_client@remote.example>\nRCPT TO:<user@domain.org>\nDATA\n" + MESSAGE +
              b".\nQUIT\n",
        capture_output=True, timeout=PATIENCE, check=False)
    assert b"250-SIZE" in shown.stdout and b"221 2.0.0" in shown.stdout, shown
    assert newest(mail_base / "domain.org/mails/user").header("Return-Path") == ["<s_client@remote.example>"], shown
    assert newest(mail_base / "domain.org/mails/user").octets.endswith(b"\n" + MESSAGE)


def common_name_of_server(address):
    with Lmtp(address, tls=client_context()) as client:
        return client.socket.getpeercert(binary_form=True)


def test_certificates_are_read_again_at_a_reload(make_daemon, certificates):
    site = Site(make_daemon, certificates)
    before = common_name_of_server(site.first)
    open_session = Lmtp(site.first, tls=client_context())
    certificates.issue_server()
    assert site.daemon.ctl("reload").returncode == 0
    wait_until(lambda: common_name_of_server(site.first) != before, "the new certificate is shown")
    # The old frontend ends its idle sessions in order.
    assert open_session.reply().code == 421

    certificate, _ = certificates.pair("server")
    good = certificate.read_bytes()
    certificate.write_text("no certificate\n")
    site.daemon.ctl("reload")
    site.daemon.wait_log(r"tls_cert_file: .*server\.crt: it holds no certificate")
    site.daemon.wait_log("reload refused")
    with Lmtp(site.first, tls=client_context()) as client:
        assert client.lhlo().code == 250
    certificate.write_bytes(good)


def test_what_is_wrong_is_said(make_daemon, certificates):
    certificate, key = certificates.pair("server")
    other_key = certificates.pair("client")[1]
    port = free_port()
    for parameters, what in [
            ({"tls_cert_file": str(certificate), "tls_key_file": str(other_key)}, "the private key is not the certificate's"),
            ({"tls_cert_file": str(certificate)}, "it holds no private key"),
            ({"tls_cert_file": "/no/such/file"}, "tls_cert_file: /no/such/file"),
            ({"tls_chain_files": str(certificate)}, "a private key has to come before"),
            ({"tls_cert_file": str(certificate), "tls_key_file": str(key), "tls_cipherlist": "NONESUCH"},
             "tls_cipherlist: no cipher match"),
            ({}, "TLS needs a certificate")]:
        daemon = make_daemon(start=False, listen=f"inets:127.0.0.1:{port}",
                             trusted_clients="127.0.0.1", **parameters)
        checked = daemon.run("-t")
        assert checked.returncode == 78 and what in checked.stderr, (parameters, checked.stderr)


def test_a_certificate_that_has_expired_is_warned_of(make_daemon, certificates):
    """At -t, at the start and at a reload: once, of two frontends."""
    certificate, key = certificates.directory / "expired.crt", certificates.directory / "expired.key"
    certificates.ours.issue("expired.test", certificate, key, days=-1)
    end = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in", certificate],
                         capture_output=True, text=True, check=True).stdout[len("notAfter="):][:len("2026-12-01 00:00")]
    words = (rf"frontend\[\d+\]: warning: tls_cert_file: {certificate}: the certificate of CN=expired.test "
             rf"has expired on {end} UTC$")
    daemon = Site(make_daemon, certificates, tls_cert_file=str(certificate), tls_key_file=str(key),
                  frontend_processes="2").daemon
    daemon.wait_log(words)
    assert daemon.ctl("reload").returncode == 0
    daemon.wait_log("ready:", 2)
    with daemon.client() as client:
        deliver(client)
    assert len(re.findall(words, daemon.log_text(), re.MULTILINE)) == 2, daemon.log_text()
    # Also where the daemon's log is elsewhere.
    daemon.parameters["log"] = "syslog"
    daemon.write()
    checked = daemon.run("-t")
    assert checked.returncode == 0 and len(re.findall(words, checked.stderr, re.MULTILINE)) == 1, checked.stderr
    daemon.parameters.update(tls_cert_file=str(certificates.pair("server")[0]),
                             tls_key_file=str(certificates.pair("server")[1]))
    daemon.write()
    assert "certificate" not in daemon.run("-t").stderr


def test_keys_and_chains_in_one_file(make_daemon, certificates):
    certificate, key = certificates.pair("server")
    chain = certificates.directory / "chain.pem"
    chain.write_bytes(key.read_bytes() + certificate.read_bytes() + certificates.ours.certificate.read_bytes())
    site = Site(make_daemon, certificates, tls_cert_file=None, tls_key_file=None, tls_chain_files=str(chain))
    with Lmtp(site.first, tls=client_context(verify=certificates.ours.certificate)) as client:
        assert client.lhlo().code == 250


@pytest.mark.parametrize("who, words", [
    ("client", '(Client CN "client.test", Issuer "ours" (verified OK))'),
    ("stranger", '(Client CN "stranger.test", Issuer "others" (not verified))'),
    (None, "(Client did not present a certificate)"),
])
def test_client_certificates_are_asked_for(make_daemon, certificates, mail_base, who, words):
    site = Site(make_daemon, certificates, tls_client_ca=str(certificates.ours.certificate))
    with Lmtp(site.first, tls=client_context(who and certificates.pair(who))) as client:
        client.lhlo()
        deliver(client)
    assert words in newest(mail_base / "domain.org/mails/user").header("Received")[0]


@pytest.mark.parametrize("passwords, refusal", [
    (None, (450, "4.7.1")),  # nobody can authenticate
    ("static:unusable", (530, "5.7.0")),
])
def test_a_certificate_of_the_authority_opens(make_daemon, certificates, passwords, refusal):
    """And nothing else does where no address of the client's is trusted (L11)."""
    site = Site(make_daemon, certificates, trusted_clients="192.0.2.1",  # for the port without TLS
                tls_client_ca=str(certificates.ours.certificate), auth_password_maps=passwords)

    def connect(way, who):
        """`who` names the certificate; None is TLS without one, "" no TLS."""
        context = client_context(who and certificates.pair(who))
        client = Lmtp(getattr(site, way), tls=context if way == "first" else None)
        client.lhlo()
        if way == "may" and who != "":
            client.starttls(context)
            client.lhlo()
        return client
    for way in ("first", "may"):
        with connect(way, "client") as client:
            deliver(client)
    assert site.daemon.counters()["untrusted_refused"] == 0
    refused = [("first", "stranger"), ("first", None), ("may", "stranger"), ("may", None), ("may", "")]
    for number, (way, who) in enumerate(refused, 1):
        with connect(way, who) as client:
            reply = client.command("MAIL FROM:<sender@remote.example>")
            assert (reply.code, reply.enhanced) == refusal, (way, who)
            assert client.command("RCPT TO:<user@domain.org>").code == 503
        assert site.daemon.counters()["untrusted_refused"] == number


def test_client_certificates_are_needed(make_daemon, certificates):
    site = Site(make_daemon, certificates, tls_client_ca=str(certificates.ours.certificate),
                tls_req_ccert="yes")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = client_context(certificates.pair("client"), most=version)
        with Lmtp(site.first, tls=context) as client:
            assert client.lhlo().code == 250
        for who in ("stranger", None):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                Lmtp(site.first, tls=client_context(who and certificates.pair(who), most=version))
    site.daemon.wait_log(r"TLS handshake failed \(peer did not return a certificate\)", 2)
    site.daemon.wait_log(r"TLS handshake failed \(certificate verify failed\)", 2)
