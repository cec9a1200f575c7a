"""A worker that stands still, as one whose owner has stopped it: its mail gives way to that of others."""

import contextlib
import os
import signal

import pytest

from testsite import stored, wait_until
from testsite.lmtp import dotted

MESSAGE = b"Subject: one of many\n\nbody\n"
# Eight of it take what is not kept back of the room, and a little of the rest.
LARGE = MESSAGE + (b"x" * 99 + b"\n") * 10_500
STANDING, OTHER = "user@domain.org", "user@foo.org"
SENDER = "sender@remote.example"


@pytest.fixture
def daemon(make_daemon):
    """One worker of two stands still. Half of its room is kept back for the oldest message."""
    daemon = make_daemon(spool_limit=str(16 << 20))
    assert [reply.code for reply in daemon.deliver([STANDING, OTHER], MESSAGE).final] == [250, 250]
    os.kill(daemon.worker(1001), signal.SIGSTOP)
    yield daemon
    if worker := daemon.worker(1001):
        os.kill(worker, signal.SIGCONT)


def hand_in(daemon, stack, message, times):
    """Sessions that have sent a message to whom nothing is delivered now."""
    clients = [stack.enter_context(daemon.client()) for _ in range(times)]
    for client in clients:
        assert client.envelope(SENDER, [STANDING])[2].code == 354
        client.send(dotted(message))
    return clients


def test_much_for_its_owner_is_given_up_for_others(daemon, mail_base):
    with contextlib.ExitStack() as stack:
        clients = hand_in(daemon, stack, LARGE, 8)
        # The oldest that is not complete has room of its own. The next one waits.
        unfinished = stack.enter_context(daemon.client())
        assert unfinished.envelope(SENDER, [OTHER])[2].code == 354
        assert daemon.counters()["spool_waits"] == 0
        assert [reply.code for reply in daemon.deliver(OTHER, MESSAGE).final] == [250]
        assert daemon.counters()["spool_waits"] == 1
        daemon.wait_log(r"worker of uid 1001 gid \d+ has said nothing for 10 s: ended")
        assert {client.reply().code for client in clients} == {451}
    before = len(stored(mail_base / "domain.org/mails/user"))
    wait_until(lambda: daemon.deliver(STANDING, MESSAGE).final[0].code == 250, "its successor delivers")
    assert len(stored(mail_base / "domain.org/mails/user")) == before + 1


def test_many_small_messages_for_its_owner_take_no_more_than_they_are(daemon):
    """Each has booked 64 KiB at first, and there is room for 254 of those."""
    with contextlib.ExitStack() as stack:
        clients = hand_in(daemon, stack, MESSAGE, 300)
        assert [reply.code for reply in daemon.deliver(OTHER, MESSAGE).final] == [250]
        assert daemon.counters()["spool_waits"] == 0
        os.kill(daemon.worker(1001), signal.SIGCONT)
        assert {client.reply().code for client in clients} == {250}
