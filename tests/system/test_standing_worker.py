"""A worker that stands still, as one whose owner has stopped it: its mail keeps no other owner's waiting."""

import contextlib
import os
import select
import signal

import pytest

from testsite import stored, wait_until
from testsite.lmtp import dotted

MESSAGE = b"Subject: one of many\n\nbody\n"
LARGE = MESSAGE + (b"x" * 99 + b"\n") * 10_000
STANDING, OTHER = "user@domain.org", "user@foo.org"
SENDER = "sender@remote.example"


@pytest.fixture
def daemon(make_daemon):
    """One worker of two stands still. Half of its room is kept back for the oldest message."""
    daemon = make_daemon(spool_limit=str(16 << 20))
    assert [reply.code for reply in daemon.deliver([STANDING, OTHER], MESSAGE).final] == [250, 250]
    os.kill(daemon.worker(1001), signal.SIGSTOP)
    yield daemon
    os.kill(daemon.worker(1001), signal.SIGCONT)


def hand_in(daemon, stack, message, times):
    """Sessions that have sent a message to whom nothing is delivered now."""
    clients = [stack.enter_context(daemon.client()) for _ in range(times)]
    for client in clients:
        assert client.envelope(SENDER, [STANDING])[2].code == 354
        client.send(dotted(message))
    return clients


def answered(clients):
    return select.select([client.socket for client in clients], [], [], 0)[0]


def test_much_for_its_owner_leaves_room_to_others(daemon, mail_base):
    before = len(stored(mail_base / "domain.org/mails/user"))
    with contextlib.ExitStack() as stack:
        clients = hand_in(daemon, stack, LARGE, 30)
        # The part of one of two owners is 4 MiB, and the message that leads beyond.
        wait_until(lambda: len(answered(clients)) == 25, "the rest is answered at once")
        refused = answered(clients)
        replies = [client.reply() for client in clients if client.socket in refused]
        assert {(reply.code, reply.enhanced) for reply in replies} == {(451, "4.3.0")}
        counters = daemon.counters()
        assert counters["owner_deferrals"] == 25

        for message in (MESSAGE, LARGE):
            outcome = daemon.deliver([STANDING, OTHER], message)
            assert [reply.code for reply in outcome.final] == [451, 250]
        assert daemon.counters()["spool_waits"] == counters["spool_waits"]
        taken = [client for client in clients if client.socket not in refused]
        assert not answered(taken)

        os.kill(daemon.worker(1001), signal.SIGCONT)
        assert [client.reply().code for client in taken] == [250] * 5
    assert [reply.code for reply in daemon.deliver(STANDING, LARGE).final] == [250]
    assert len(stored(mail_base / "domain.org/mails/user")) == before + 6


def test_many_small_messages_for_its_owner_take_no_more_than_they_are(daemon):
    """Each has booked 64 KiB at first, and there is room for 254 of those."""
    with contextlib.ExitStack() as stack:
        clients = hand_in(daemon, stack, MESSAGE, 300)
        assert [reply.code for reply in daemon.deliver(OTHER, MESSAGE).final] == [250]
        assert daemon.counters()["spool_waits"] == 0
        os.kill(daemon.worker(1001), signal.SIGCONT)
        assert {client.reply().code for client in clients} == {250}
