"""Clients behind a proxy: HAProxy's PROXY protocol, version 2, and XCLIENT."""

import ipaddress
import re
import socket
import struct

import pytest

from testsite import PATIENCE, Authority, DovecotProxy, Lmtp, client_context, free_port, newest

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
TCP4, TCP6, UNIX, UNSPECIFIED = 0x11, 0x21, 0x31, 0x00
MESSAGE = b"Subject: by way of a proxy\n\n"


def header(command, family, behind=b""):
    return SIGNATURE + struct.pack(">BBH", command, family, len(behind)) + behind


def client_at(address, port=25001):
    """The header for a TCP client there."""
    source = ipaddress.ip_address(address)
    ours = ipaddress.ip_address("192.0.2.1" if source.version == 4 else "2001:db8::1")
    return header(PROXY, TCP4 if source.version == 4 else TCP6,
                  source.packed + ours.packed + struct.pack(">HH", port, 24))


CLIENT_AT_A_SOCKET = header(PROXY, UNIX, b"/run/client".ljust(216, b"\0"))


@pytest.fixture(scope="module")
def port():
    return free_port()


@pytest.fixture(scope="module")
def daemon(make_module_daemon, port):
    return make_module_daemon(
        listen=f"unix:private/dovecot-lmtp, {{inet:127.0.0.1:{port} proxy=yes auth=no}}",
        trusted_clients="127.0.0.1, 192.0.2.128/25")


def newest_received(mail_base):
    return newest(mail_base / "domain.org/mails/user").header("Received")[0]


@pytest.mark.parametrize("preamble, named, logged, trusted", [
    (client_at("192.0.2.7"), "[192.0.2.7]", "192.0.2.7:25001", False),
    (client_at("192.0.2.129", 4), "[192.0.2.129]", "192.0.2.129:4", True),
    (client_at("::ffff:192.0.2.129"), "[192.0.2.129]", "192.0.2.129:25001", True),
    (client_at("2001:db8::7"), "[IPv6:2001:db8::7]", "[2001:db8::7]:25001", False),
    # Whoever says that it is the proxy's own host is still no proxy.
    (CLIENT_AT_A_SOCKET, "localhost", "unix", False),
    (header(PROXY, UNSPECIFIED), "unknown [unknown]", "unknown[unknown]", False),
])
def test_the_client_is_the_one_that_the_header_names(
        daemon, port, mail_base, preamble, named, logged, trusted):
    with Lmtp(("127.0.0.1", port), preamble=preamble) as client:
        keywords = {line.split()[0] for line in client.lhlo().lines[1:]}
        assert ({"XCLIENT", "XFORWARD"} <= keywords) == trusted
        assert client.command("XFORWARD IDENT=4Z1X").code == (250 if trusted else 550)
        assert client.deliver("s@remote.example", ["user@domain.org"], MESSAGE).final[0].code == 250
    assert f"from client.test ({named})" in newest_received(mail_base)
    daemon.wait_log(rf"to=<user@domain\.org>, .*, client={re.escape(logged)}"
                    + (", orig_queue_id=4Z1X" if trusted else "") + ", message-id=$")


def test_a_proxy_that_speaks_for_itself_is_its_own_client(daemon, port):
    with Lmtp(("127.0.0.1", port), preamble=header(LOCAL, UNSPECIFIED)) as client:
        own = client.socket.getsockname()[1]
        assert "XCLIENT" in {line.split()[0] for line in client.lhlo().lines[1:]}
        assert client.command("VRFY").code == 501
    daemon.wait_log(rf"client=127\.0\.0\.1:{own}, command=VRFY")


def test_the_client_may_speak_at_once(daemon, port):
    with Lmtp(("127.0.0.1", port), preamble=client_at("192.0.2.7") + b"LHLO eager\r\n") as client:
        assert client.reply().code == 250


def tls_client(make_daemon, directory, preamble, **parameters):
    """(a daemon behind a proxy that leaves TLS to it, its client who begins with `preamble`)"""
    port, certificate, key = free_port(), directory / "crt", directory / "key"
    Authority(directory, "ca").issue("mx.host.test", certificate, key)
    daemon = make_daemon(listen=f"{{inets:127.0.0.1:{port} proxy=yes}}", trusted_clients="127.0.0.1, 192.0.2.128/25",
                         tls_cert_file=str(certificate), tls_key_file=str(key), **parameters)
    return daemon, Lmtp(("127.0.0.1", port), preamble=preamble, tls=client_context())


def test_tls_begins_behind_the_header(make_daemon, tmp_path, mail_base):
    _, connected = tls_client(make_daemon, tmp_path, client_at("192.0.2.129"))
    with connected as client:
        client.lhlo()
        assert client.deliver("s@remote.example", ["user@domain.org"], MESSAGE).final[0].code == 250
    received = newest_received(mail_base)
    assert "from client.test ([192.0.2.129])" in received and " with LMTPS id " in received


def test_a_failed_login_without_an_address_has_the_kind_of_its_socket(make_daemon, tmp_path):
    daemon, connected = tls_client(make_daemon, tmp_path, CLIENT_AT_A_SOCKET,
                                   auth_password_maps="static:{PLAIN}secret")
    with connected as client:
        client.lhlo()
        assert client.command("AUTH PLAIN AHVzZXIAd3Jvbmc=").code == 535
    daemon.wait_log("client=unix: SASL PLAIN authentication failed: ")


@pytest.mark.parametrize("octets, words", [
    (b"LHLO client.test\r\n", "not of version 2"),
    (b"PROXY TCP4 192.0.2.7 192.0.2.1 25001 24\r\n", "not of version 2"),
    (header(PROXY, TCP4, b"short"), "addresses cut short"),
    (SIGNATURE + struct.pack(">BBH", PROXY, TCP4, 0xFFFF), "too long"),
])
def test_a_bad_header_gets_no_greeting(daemon, port, octets, words):
    refused = daemon.counters()["connections_refused"]
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(octets)
        own = client.getsockname()[1]
        try:
            assert client.recv(1) == b""
        except ConnectionResetError:
            pass  # closed with octets unread
    daemon.wait_log(rf"client=127\.0\.0\.1:{own}, closed without a greeting, "
                    rf"bad PROXY header \({words}\)$")
    assert daemon.counters()["connections_refused"] == refused + 1


def test_nobody_else_is_believed(daemon, port):
    """127.0.0.2 can reach the listener, and could call itself a trusted client."""
    refused = daemon.counters()["connections_refused"]
    with socket.create_connection(("127.0.0.1", port), PATIENCE, ("127.0.0.2", 0)) as client:
        own = client.getsockname()[1]
        try:
            client.sendall(client_at("192.0.2.129"))
            assert client.recv(1) == b""
        except (ConnectionResetError, BrokenPipeError):
            pass
    daemon.wait_log(rf"client=127\.0\.0\.2:{own}, closed without a greeting, PROXY headers of others")
    assert daemon.counters()["connections_refused"] == refused + 1


def test_a_stranger_behind_a_trusted_proxy_has_to_authenticate(make_daemon):
    port = free_port()
    make_daemon(listen=f"{{inet:127.0.0.1:{port} proxy=yes}}", trusted_clients="127.0.0.1, 192.0.2.128/25")
    for address, code in (("192.0.2.7", 450), ("192.0.2.129", 250)):
        with Lmtp(("127.0.0.1", port), preamble=client_at(address)) as client:
            client.lhlo()
            assert client.command("MAIL FROM:<s@remote.example>").code == code, address


def test_limits_count_the_clients_behind_the_proxy(make_daemon):
    port = free_port()
    make_daemon(listen=f"{{inet:127.0.0.1:{port} proxy=yes auth=no}}", trusted_clients="127.0.0.1",
                client_connection_limit="1")
    clients = [Lmtp(("127.0.0.1", port), preamble=client_at(address))
               for address in ("192.0.2.7", "192.0.2.8", "192.0.2.7")]
    for client in clients:
        client.lhlo()
    assert [client.command("MAIL FROM:<s@remote.example>").code for client in clients] == [250, 250, 451]
    for client in clients:
        client.close()


@pytest.mark.parametrize("first, second, code", [
    ("192.0.2.129", "::ffff:192.0.2.129", 451),
    ("2001:db8:0:1::7", "2001:db8:0:1:8::", 451),  # of one /64
    ("2001:db8:0:1::7", "2001:db8:0:2::7", 250),
])
def test_who_counts_as_one_client(make_daemon, first, second, code):
    port = free_port()
    make_daemon(listen=f"{{inet:127.0.0.1:{port} proxy=yes auth=no}}", trusted_clients="127.0.0.1",
                client_connection_limit="1")
    with Lmtp(("127.0.0.1", port), preamble=client_at(first)) as holder, \
            Lmtp(("127.0.0.1", port), preamble=client_at(second)) as other:
        for client, expected in ((holder, 250), (other, code)):
            client.lhlo()
            assert client.command("MAIL FROM:<s@remote.example>").code == expected


@pytest.mark.parametrize("named, code", [
    ("192.0.2.129", 250),
    ("IPv6:2001:db8::7", 250),
    ("192.0.2.7", 450),
    ("192.0.2.130", 450),
    ("[UNAVAILABLE]", 450),
])
def test_whom_xclient_names_is_trusted_by_his_own_address(make_daemon, named, code):
    port = free_port()
    make_daemon(listen=f"inet:127.0.0.1:{port}",
                trusted_clients="127.0.0.1, !192.0.2.130, 192.0.2.128/25, [2001:db8::]/32")
    with Lmtp(("127.0.0.1", port)) as client:
        client.lhlo()
        assert client.command(f"XCLIENT HELO=mx.example PROTO=LMTP PORT=25001 ADDR={named}").code == 220
        client.lhlo()
        assert client.command("MAIL FROM:<s@remote.example>").code == code


def test_a_client_of_dovecots_proxy(make_daemon, site, mail_base):
    """Where it is offered XCLIENT, it says unasked whom it has the mail from."""
    port = free_port()
    make_daemon(listen=f"inet:127.0.0.1:{port}", trusted_clients="127.0.0.1, 127.0.0.2")
    proxy = DovecotProxy(site, port)
    try:
        proxy.start()
        for source, code in (("127.0.0.2", 250), ("127.0.0.3", 450)):
            with Lmtp(("127.0.0.1", proxy.port), source=source) as client:
                client.lhlo()
                outcome = client.deliver("s@remote.example", ["user@domain.org"], MESSAGE)
                assert (outcome.final or outcome.recipients)[0].code == code, client.dialogue()
    finally:
        proxy.stop()
    assert "from client.test ([127.0.0.2])" in newest_received(mail_base)
