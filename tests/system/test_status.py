"""lmtpctl status: limits are hit and the counters move, and go on where frontends come and go."""

import base64
import os
import pathlib
import re
import signal

from testsite import Lmtp, free_port, wait_until

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "status.md"
MESSAGE = b"Subject: counted\n\nbody\n"
SENDER = "s@remote.example"


def delivered(daemon):
    """Not, while a new frontend does not know lookup yet."""
    final = daemon.deliver("user@domain.org", MESSAGE).final
    return bool(final) and final[0].code == 250


def guess(client):
    """A proof of SCRAM's that is of nobody's password."""
    def encoded(text):
        return base64.b64encode(text.encode()).decode()
    reply = client.command("AUTH SCRAM-SHA-256 " + encoded("n,,n=nobody,r=abc"))
    nonce = base64.b64decode(reply.text).decode().split(",")[0]
    return client.command(encoded(f"c=biws,{nonce},p=" + encoded("x" * 32)))


def test_every_name_is_documented(daemon):
    documented = re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text(), re.MULTILINE)
    assert sorted(daemon.counters()) == sorted(documented)


def test_limits_are_counted_and_a_frontends_death_loses_nothing(make_daemon):
    port = free_port()
    daemon = make_daemon(
        listen=f"unix:private/dovecot-lmtp, {{inet:127.0.0.1:{port} auth=yes}}",
        auth_password_maps="static:unusable", auth_mechanisms="SCRAM-SHA-256, PLAIN", client_connection_limit="2",
        recipient_limit="2", message_size_limit="1000", error_limit="3", junk_command_limit="20")
    assert not any(value for name, value in daemon.counters().items()
                   if name.endswith(("limit_hits", "timeout_hits")))
    with daemon.client() as client:
        outcome = client.deliver(SENDER, ["user@domain.org", "nobody@domain.org", "user@foo.org",
                                          "user2@domain.org"], MESSAGE)
        assert [reply.code for reply in outcome.recipients] == [250, 550, 250, 452]
        assert [reply.code for reply in outcome.final] == [250, 250]
        assert client.deliver(SENDER, ["user@foo.org"], b"x\n" * 1000).final[0].code == 552
        with daemon.client() as second, daemon.client() as third:
            assert second.command(f"MAIL FROM:<{SENDER}>").code == 250
            assert third.command(f"MAIL FROM:<{SENDER}>").code == 451
        assert [client.command("FOO").code for _ in range(4)] == [500, 500, 500, 421]
    with daemon.client() as client:
        assert [client.command("NOOP").code for _ in range(20)] == [250] * 19 + [421]
    with Lmtp(("127.0.0.1", port)) as client:
        client.lhlo()
        assert guess(client).code == 535
    expected = {
        "connections": 5, "recipients_accepted": 3, "recipients_refused": 1,
        "recipients_deferred": 1, "recipient_limit_hits": 1, "messages_stored": 1,
        "messages_refused": 1, "deliveries_stored": 2, "deliveries_refused": 1,
        "message_size_limit_hits": 1, "protocol_errors": 4, "error_limit_hits": 1,
        "junk_command_limit_hits": 1, "auth_failures": 1, "client_connection_limit_hits": 1}

    def counted(*names):
        now = daemon.counters()
        return {name: now[name] for name in names}
    # Of refused connections the frontend tells once a second.
    wait_until(lambda: counted(*expected) == expected, expected)

    (killed,) = daemon.role("frontend")
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: delivered(daemon), "a delivery by another frontend")
    assert daemon.ctl("reload").returncode == 0
    daemon.wait_log("ready: ", 2)
    wait_until(lambda: delivered(daemon), "a delivery by another generation")
    assert counted("messages_stored", "deliveries_stored", "junk_command_limit_hits") == {
        "messages_stored": 3, "deliveries_stored": 4, "junk_command_limit_hits": 1}
    assert daemon.counters()["connections"] >= 7


def test_who_waits_for_room_is_counted(make_daemon):
    daemon = make_daemon(spool_limit="1048576")
    with daemon.client() as first, daemon.client() as second:
        assert first.envelope(SENDER, ["user@domain.org"], " SIZE=900000")[2].code == 354
        assert daemon.counters()["spool_waits"] == 0
        second.send(f"MAIL FROM:<{SENDER}> SIZE=900000\r\nRCPT TO:<user@domain.org>\r\nDATA\r\n".encode())
        wait_until(lambda: daemon.counters()["spool_waits"] == 1, "the second waits")
        first.close()
        assert [second.reply().code for _ in range(3)] == [250, 250, 354]
    assert daemon.counters()["spool_limit_hits"] == 0
