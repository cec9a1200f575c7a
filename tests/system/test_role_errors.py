"""System calls beyond the worker's fail in turn: of the frontend, and of the helper that makes a mailbox."""

import itertools
import os

import pytest

from testsite import Lmtp, stored, wait_until
from testsite.injection import NOT_KNOWN, REPLY, STORED, codes, numbers
from testsite.trace import Trace

SMALL = b"Subject: small\n\nbody\n"
LARGE = b"Subject: large\n\n" + b"a line of a body that crosses in a memfd\n" * 4000
BUSY = (451, "4.3.2")


# ---- the frontend

@pytest.fixture(scope="module")
def warm(daemon):
    assert codes(daemon.deliver("user@domain.org", LARGE).final) == [STORED]
    return daemon


def deliver(daemon, site, message, syscalls, inject=None):
    """(the last replies that were given, the frontend's calls while DATA and the message came)"""
    (frontend,) = daemon.role("frontend")
    with daemon.client() as client:
        assert client.command("MAIL FROM:<sender@remote.example>").code == 250
        assert client.command("RCPT TO:<user@domain.org>").code == 250
        with Trace(site.path, [frontend], syscalls, inject) as trace:
            reply = client.command("DATA")
            if reply.code == 354:
                client.send(message.replace(b"\n", b"\r\n") + b".\r\n")
                reply = client.reply()
        return codes([reply]), trace.calls


BODY = (
    ("memfd_create", "", "EMFILE ENFILE ENOMEM", REPLY["ENOMEM"]),
    ("write", "memfd", "ENOSPC ENOMEM", REPLY["ENOSPC"]),
    ("fcntl", "F_ADD_SEALS", "EPERM", NOT_KNOWN),
    # Others are about to be done with their descriptors.
    ("fcntl", "F_DUPFD_CLOEXEC", "EMFILE", STORED),
    ("sendmsg", "", "ENOBUFS ENOMEM", STORED),
    ("sendmsg", "", "EPIPE", NOT_KNOWN),
    ("recvmsg", "", "EIO", NOT_KNOWN),
)


@pytest.mark.parametrize("call,where,errors,expected", BODY)
def test_a_call_for_the_body_fails(warm, site, mail_base, call, where, errors, expected):
    mailbox = mail_base / "domain.org/mails/user"
    _, calls = deliver(warm, site, LARGE, call)
    first = numbers(calls, call, where)[0]
    for error in errors.split():
        before = len(stored(mailbox))
        replies, calls = deliver(warm, site, LARGE, call, f"{call}:error={error}:when={first}")
        assert len([each for each in calls if each.injected]) == 1
        assert replies == [expected], error
        arrived = len(stored(mailbox)) - before
        # What the worker was given, or said, may have been stored.
        assert arrived == 1 if expected == STORED else arrived <= (call == "recvmsg"), error
        wait_until(lambda: codes(warm.deliver("user@domain.org", LARGE).final) == [STORED],
                   f"a delivery after {call}: {error}")


@pytest.mark.parametrize("error", ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"])
def test_no_connection_is_refused(warm, site, error):
    """Those that cannot be accepted wait in the backlog until they can."""
    (frontend,) = warm.role("frontend")
    failures = warm.counters()["accept_failures"]
    with Trace(site.path, [frontend], "accept4", f"accept4:error={error}:when=1") as trace:
        clients = [Lmtp(warm.socket_path) for _ in range(3)]
    assert len([call for call in trace.calls if call.injected]) == 1
    for client in clients:
        assert client.greeting.code == 220
        client.close()
    assert warm.counters()["accept_failures"] == failures + 1


# ---- the helper

HELPER = (
    ("openat2", "EIO EACCES EMFILE ENOMEM"),
    ("newfstatat", "EIO"),
    ("mkdirat", "EIO ENOSPC EDQUOT EROFS EMLINK"),
    ("fchown", "EIO EPERM EDQUOT"),
    ("fchmod", "EIO EROFS"),
    ("fsync", "EIO ENOSPC"),
    ("renameat2", "EIO ENOSPC EROFS"),
)


class NewMailbox:
    """One that nobody has made yet: three directories are missing."""

    counter = itertools.count(1)

    def __init__(self, daemon, site, mail_base):
        self.daemon = daemon
        self.site = site
        number = next(self.counter)
        self.recipient = f"box{number}@domain.org"
        self.path = mail_base / f"injected{number}/mails/box"

    def deliver(self):
        return codes(self.daemon.deliver(self.recipient, SMALL).final)

    def deliver_with(self, syscalls, inject=None):
        """(replies, calls): master, and the helper, its child."""
        with Trace(self.site.path, [self.daemon.master], syscalls, inject) as trace:
            replies = self.deliver()
        return replies, [call for call in trace.calls if call.pid != self.daemon.master]

    def check_made(self):
        """As if nothing had ever failed."""
        (message,) = stored(self.path)
        assert message.octets.endswith(SMALL)
        for directory, owner, mode in ((self.path, 1001, 0o700), (self.path.parent, 0, 0o711),
                                       (self.path.parent.parent, 0, 0o711)):
            info = os.stat(directory)
            assert (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (owner, owner, mode), directory
            assert [entry.name for entry in directory.parent.glob(".lmtpd.*")] == []


@pytest.fixture
def new_mailbox(warm, site, mail_base, postgres):
    """new_mailbox(): a mailbox of its own at each call."""
    if not postgres.sql("SELECT 1 FROM users WHERE userid = 'box1@domain.org'"):
        postgres.sql("""INSERT INTO users (userid, uid, gid, home)
            SELECT 'box'||n||'@domain.org', 1001, 1001, 'injected'||n||'/mails/box'
            FROM generate_series(1, 300) n""")
    return lambda: NewMailbox(warm, site, mail_base)


def healthy(new_mailbox, call):
    mailbox = new_mailbox()
    replies, calls = mailbox.deliver_with(call)
    assert replies == [STORED]
    mailbox.check_made()
    return numbers(calls, call)


@pytest.mark.parametrize("call,errors", HELPER)
def test_a_call_of_the_helper_fails(new_mailbox, call, errors):
    for nth, error in itertools.product(healthy(new_mailbox, call), errors.split()):
        mailbox = new_mailbox()
        replies, calls = mailbox.deliver_with(call, f"{call}:error={error}:when={nth}")
        assert len([each for each in calls if each.injected]) == 1, (call, nth, error)
        assert replies == [REPLY[error]], (call, nth, error)
        assert mailbox.deliver() == [STORED], (call, nth, error)
        mailbox.check_made()


@pytest.mark.parametrize("call", [call for call, _ in HELPER])
def test_the_helper_is_killed(new_mailbox, call):
    """What it has left is taken up by the next."""
    for nth in healthy(new_mailbox, call):
        mailbox = new_mailbox()
        replies, _ = mailbox.deliver_with(call, f"{call}:signal=KILL:when={nth}")
        assert replies == [NOT_KNOWN], (call, nth)
        assert mailbox.deliver() == [STORED], (call, nth)
        mailbox.check_made()


@pytest.mark.parametrize("call,error", [("pipe2", "EMFILE"), ("clone", "EAGAIN")])
def test_master_has_no_room_for_a_helper(warm, site, new_mailbox, call, error):
    mailbox = new_mailbox()
    with Trace(site.path, [warm.master], call, f"{call}:error={error}:when=1") as trace:
        assert mailbox.deliver() == [BUSY]
    assert [each.name for each in trace.calls if each.injected] == [call]
    assert mailbox.deliver() == [STORED]
    mailbox.check_made()
