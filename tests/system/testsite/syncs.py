"""Shared syncs (lmtpd/base/shared_sync.h) from outside: what the committer has counted, and many deliveries at once."""

import contextlib
import os
import pathlib
import signal
import struct
from typing import NamedTuple

from .daemon import status
from .directory import wait_until
from .lmtp import dotted


class SyncPage(NamedTuple):
    """What stands in the memory that the committer writes."""

    begun: int
    ended: int
    era: int
    heard: int
    begun_at: int     # nanoseconds of CLOCK_MONOTONIC
    rests_until: int


def shared_memory(daemon, name):
    """The path of the page ("syncs") or the bell ("bell") of the one file system that has a shared sync: master has
    both open."""
    (memory,) = [entry for entry in pathlib.Path(f"/proc/{daemon.master}/fd").iterdir()
                 if os.readlink(entry).startswith(f"/memfd:lmtpd-{name} ")]
    return memory


def sync_page(daemon):
    return SyncPage(*struct.unpack("=4I2q", shared_memory(daemon, "syncs").read_bytes()))


@contextlib.contextmanager
def stopped(*pids):
    """They do nothing meanwhile; what they were doing in the kernel is over."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: all(map(_is_stopped, pids)), "they are stopped")
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _is_stopped(pid):
    """All its threads that are there still; one that is traced stops for its tracer."""
    return all(status(f"{pid}/task/{thread}").get("State", "X")[0] in "TtX"
               for thread in os.listdir(f"/proc/{pid}/task"))


def deliver_at_once(daemon, recipients, workers, message):
    """A transaction for each recipient; the workers find all of them waiting. Each one's last reply."""
    clients = [daemon.client() for _ in recipients]
    with stopped(*workers):
        for client, recipient in zip(clients, recipients):
            assert client.envelope("sender@remote.example", [recipient])[2].code == 354
            client.send(dotted(message))
        # The frontend is one thread and reads in the order of arrival. So before it answers this it has read all
        # messages, and before it answers again it has passed them on.
        with daemon.client() as another:
            for _ in range(2):
                assert another.command("NOOP").code == 250
    replies = []
    for client in clients:
        replies.append(client.reply())
        client.close()
    return replies
