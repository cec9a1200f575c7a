"""Thousands of clients that are connected and say nothing, or very little, cost memory only, and not much of it."""

import re
import resource
from pathlib import Path

import pytest

from testsite import Authority, Lmtp, SlowClients, client_context, free_port
from testsite.daemon import descendants

CONNECTIONS = 10_000
# A handshake takes CPU: what one costs is measured on these.
TLS_CONNECTIONS = 2_000
KIBIBYTE = 1 << 10
MEBIBYTE = 1 << 20
MESSAGE = b"Subject: beside them\n\nbody\n"
# What stands behind RSET waits in the frontend for the lookup of RCPT.
GROUP = [b"MAIL FROM:<>", b"RCPT TO:<user@domain.org>", b"RSET", *[b"NOOP " + b"x" * 400] * 70]


@pytest.fixture
def descriptors():
    """Enough of them for this process's ends."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert before[1] >= CONNECTIONS + 1000
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def resident(master):
    """Octets of master and its children; what they share is counted once."""
    pages = 0
    for pid in [master, *descendants(master)]:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        pages += int(re.search(r"^Pss:\s+(\d+) kB$", rollup, re.MULTILINE)[1])
    return pages * 1024


def test_idle_connections(daemon, descriptors):
    clients = [daemon.client() for _ in range(CONNECTIONS)]
    for client in clients:
        assert client.command("LHLO client.example").code == 250
    assert [reply.code for reply in daemon.deliver("user@domain.org", MESSAGE).final] == [250]
    octets = resident(daemon.master)
    print(f"{CONNECTIONS} connections: {octets / MEBIBYTE:.1f} MiB in all processes")
    assert octets < 100 * MEBIBYTE
    for client in clients:
        client.close()


@pytest.fixture
def tls_port(site):
    return free_port()


@pytest.fixture
def tls_daemon(site, make_daemon, tls_port):
    directory = site.make("idle-certificates")
    certificate, key = directory / "server.crt", directory / "server.key"
    Authority(directory, "ours").issue("mx.host.test", certificate, key)
    return make_daemon(listen=f"inets:127.0.0.1:{tls_port}", trusted_clients="127.0.0.1",
                       tls_cert_file=str(certificate), tls_key_file=str(key))


def test_idle_connections_over_tls(tls_daemon, tls_port, descriptors):
    """OpenSSL's own objects are what is left: neither its buffers nor ours."""
    context = client_context()

    def connect():
        client = Lmtp(("127.0.0.1", tls_port), tls=context)
        assert client.lhlo().code == 250
        client.send(b"".join(line + b"\r\n" for line in GROUP))
        assert {client.reply().code for _ in GROUP} == {250}
        return client

    clients = [connect()]
    before = resident(tls_daemon.master)
    clients += [connect() for _ in range(TLS_CONNECTIONS)]
    each = (resident(tls_daemon.master) - before) / TLS_CONNECTIONS
    print(f"{TLS_CONNECTIONS} connections over TLS: {each / KIBIBYTE:.1f} KiB each in all processes")
    assert each < 20 * KIBIBYTE
    for client in clients:
        client.close()


def test_slow_connections(make_daemon):
    """Half of them have begun a message, of which they have declared much."""
    daemon = make_daemon()
    with SlowClients(f"unix:{daemon.socket_path}", CONNECTIONS // 2, "user2@domain.org", declare=100_000) as slow:
        assert [reply.code for reply in daemon.deliver("user@domain.org", MESSAGE).final] == [250]
        octets = resident(daemon.master)
        report = slow.stop()
    print(f"{CONNECTIONS // 2} slow connections: {octets / MEBIBYTE:.1f} MiB in all processes")
    assert sum(report["connected"].values()) == CONNECTIONS // 2
    assert octets < 100 * MEBIBYTE
