"""Connections beyond a limit are greeted, and their MAIL waits for a place (B36)."""

from testsite import Lmtp, free_port, wait_until


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
                    r"connection_limit 2, client_connection_limit 0$")

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
