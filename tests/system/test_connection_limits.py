"""Connections beyond a limit are greeted, and their MAIL waits for a place (B36); strangers take none."""

import contextlib
import os
import signal
import socket
import time

from testsite import PATIENCE, Lmtp, free_port, wait_until

MESSAGE = b"Subject: beside strangers\n\n"


def mail(client):
    reply = client.command("MAIL FROM:<s@remote.example>")
    if reply.code == 250:
        client.command("RSET")
    return str(reply)[:9]


def test_of_one_client_and_in_all(make_daemon):  # B36
    port = free_port()
    daemon = make_daemon(listen=f"unix:private/dovecot-lmtp, {{inet:127.0.0.1:{port} auth=no}}",
                         connection_limit="3", client_connection_limit="2")
    local = [daemon.client() for _ in range(3)]
    remote = [Lmtp(("127.0.0.1", port)) for _ in range(2)]
    for client in local + remote:
        assert client.greeting.code == 220
        client.lhlo()
    assert [mail(client) for client in local] == ["250 2.1.0", "250 2.1.0", "451 4.3.2"]
    assert [mail(client) for client in remote] == ["250 2.1.0", "451 4.3.2"]
    daemon.wait_log(r"warning: too many connections, 3 hold a place; MAILs refused since the start: "
                    r"connection_limit 1, client_connection_limit 1$")
    counters = daemon.counters()
    assert (counters["connection_limit_hits"], counters["client_connection_limit_hits"]) == (1, 1)

    local[0].close()
    wait_until(lambda: mail(local[2]) == "250 2.1.0", "the place of the one that left")
    assert mail(remote[1]) == "451 4.3.2"
    remote[0].close()
    wait_until(lambda: mail(remote[1]) == "250 2.1.0", "the place of the one that left")
    for client in (local[1], local[2], remote[1]):
        client.close()


def test_one_client_leaves_places_to_others(make_daemon):
    port = free_port()
    daemon = make_daemon(listen=f"unix:private/dovecot-lmtp, {{inet:127.0.0.1:{port} auth=no}}",
                         connection_limit="3", client_connection_limit="1")
    with daemon.client() as first, daemon.client() as second, Lmtp(("127.0.0.1", port)) as other:
        for client in (first, second, other):
            client.lhlo()
        assert [mail(client) for client in (first, second, other)] == [
            "250 2.1.0", "451 4.3.2", "250 2.1.0"]
    daemon.wait_log(r"warning: too many connections, .*: connection_limit 0, client_connection_limit 1$")


def test_a_burst_waits_to_be_greeted(make_daemon):
    """A frontend that does something else for a while refuses nobody, and then greets all of them within 5 s (A1)."""
    port, burst = free_port(), 300
    daemon = make_daemon(listen=f"unix:private/dovecot-lmtp, inet:127.0.0.1:{port}", trusted_clients="127.0.0.1")
    (frontend,) = daemon.role("frontend")
    with contextlib.ExitStack() as stack:
        os.kill(frontend, signal.SIGSTOP)
        try:
            clients = []
            for family, address in ((socket.AF_UNIX, str(daemon.socket_path)), (socket.AF_INET, ("127.0.0.1", port))):
                for _ in range(burst):
                    clients.append(stack.enter_context(socket.socket(family)))
                    clients[-1].settimeout(0.9)  # TCP asks again after a second where the backlog is full
                    clients[-1].connect(address)
        finally:
            os.kill(frontend, signal.SIGCONT)
            awake = time.monotonic()
        for client in clients:
            client.settimeout(PATIENCE)
            assert client.recv(4) == b"220 "
        assert time.monotonic() - awake < 5


@contextlib.contextmanager
def strangers(port, number):
    """Who connects from this host, and says nothing."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Lmtp(("127.0.0.1", port))) for _ in range(number)]


def test_who_has_to_authenticate_takes_no_place(make_daemon):
    port = free_port()
    daemon = make_daemon(listen=f"unix:private/dovecot-lmtp, {{inet:127.0.0.1:{port}}}",
                         auth_password_maps="static:unusable", auth_mechanisms="SCRAM-SHA-256", connection_limit="2")
    with strangers(port, 2) as connected:
        for client in connected:
            client.lhlo()
            assert client.command("MAIL FROM:<s@remote.example>").code == 530
        with daemon.client() as first, daemon.client() as second, daemon.client() as third:
            assert [mail(client) for client in (first, second, third)] == [
                "250 2.1.0", "250 2.1.0", "451 4.3.2"]


def test_a_stranger_goes_for_the_next_one(make_daemon):
    port = free_port()
    daemon = make_daemon(listen=f"unix:private/dovecot-lmtp, {{inet:127.0.0.1:{port} auth=no}}", connection_limit="3")
    with strangers(port, 5) as connected, daemon.client() as trusted:
        for client in connected[:2]:
            assert client.reply().code == 421
            assert client.at_end()
        for client in connected[2:]:
            client.lhlo()
        # Two of them send mail, and are no strangers then.
        assert [mail(client) for client in connected[2:4]] == ["250 2.1.0", "250 2.1.0"]
        with strangers(port, 3):
            assert connected[4].reply().code == 421
            assert [mail(client) for client in (*connected[2:4], trusted)] == ["250 2.1.0"] * 3
    assert daemon.counters()["connections_turned_away"] == 3
    daemon.wait_log(r"closing \(421 4\.3\.2 \S+ Too many connections", 3)


def test_strangers_leave_descriptors_to_others(make_daemon):
    """Where master may not raise their number."""
    port = free_port()
    descriptors = 300
    daemon = make_daemon(start=False, listen=f"unix:private/dovecot-lmtp, {{inet:127.0.0.1:{port}}}",
                         auth_password_maps="static:unusable", auth_mechanisms="SCRAM-SHA-256")
    daemon.start(wrapper=["setpriv", "--bounding-set=-sys_resource",
                          "prlimit", f"--nofile={descriptors}:{descriptors}"])
    with strangers(port, descriptors):
        assert daemon.deliver("user@domain.org", MESSAGE).final[0].code == 250
        with Lmtp(("127.0.0.1", port)) as next_one:
            assert next_one.greeting.code == 220
    assert daemon.counters()["accept_failures"] == 0
