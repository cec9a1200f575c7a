"""The committer fails, is stopped, or is slow, or a worker is hostile: deliveries sync by themselves, and nothing is
called stored that may not be."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import time

import pytest

from testsite import PATIENCE, newest, stored, wait_until
from testsite.injection import NOT_KNOWN, STORED, codes
from testsite.syncs import shared_memory, stopped, sync_page
from testsite.trace import Trace

# It crosses in a memfd, so that a delivery waits for a shared sync though it is the only one; less than a large
# file, which would be synced by itself first.
MESSAGE = b"Subject: shared\n\n" + b"a line of a body that crosses in a memfd\n" * 2000


class Sharing:
    """A daemon with a committer, and one mailbox, whose deliveries are looked at."""

    def __init__(self, daemon, site):
        self.daemon = daemon
        self.site = site
        self.mailbox = daemon.mail_base / "foo.org/mails/user"
        assert self.deliver() == [STORED]
        self.worker = daemon.worker(1002)
        (self.committer,) = daemon.role("committer")

    def deliver(self):
        return codes(self.daemon.deliver("user@foo.org", MESSAGE).final)

    def shares(self):
        """Whether the next delivery is synced by the committer and not by itself, and those after it may be."""
        begun = sync_page(self.daemon).begun
        with Trace(self.site.path, [self.worker]) as trace:
            assert self.deliver() == [STORED]
        return not own_syncs(trace.calls) and sync_page(self.daemon).begun >= begun + 2 and self.may_share()

    def wait(self, what):
        """Until shares(): after each sync that a busy disk makes slow, nobody shares for 10 s."""
        wait_until(self.shares, what, timeout=5 * PATIENCE)

    def may_share(self):
        """No sync is under way, and none was slow or failed of late."""
        page = sync_page(self.daemon)
        return page.begun == page.ended and page.rests_until < time.monotonic_ns()

    def arrives(self, expected, pids, inject=None):
        """One delivery, while `inject` is in force for `pids`: its reply, and the message is whole. The calls."""
        before, left = len(stored(self.mailbox)), stored(self.mailbox, "tmp")
        with Trace(self.site.path, pids, Trace.SYSCALLS + ",futex", inject) as trace:
            assert self.deliver() == [expected]
        assert len(stored(self.mailbox)) == before + 1
        assert newest(self.mailbox).octets.endswith(MESSAGE)
        assert stored(self.mailbox, "tmp") == left
        return trace.calls


def own_syncs(calls):
    """What was synced of the mailbox by itself, in order: "tmp" for a file, "new" for the directory."""
    found = [re.search(r"/mails/user/(tmp|new)[/>]", call.arguments) for call in calls
             if call.name in ("fsync", "fdatasync")]
    return [match.group(1) for match in found if match]


def counted(daemon):
    """By the committer, as lmtpctl tells: syncs, requests, and rests."""
    counters = daemon.counters()
    return tuple(counters["shared_sync" + each] for each in ("s", "_requests", "_rests"))


def shared_waits(calls):
    """Those for a sync; those of threads for each other are FUTEX_WAIT_BITSET_PRIVATE."""
    return [call for call in calls if call.name == "futex" and " FUTEX_WAIT_BITSET," in call.arguments]


@pytest.fixture
def make_sharing(make_daemon, shared_syncs, site):
    return lambda **parameters: Sharing(make_daemon(**shared_syncs, **parameters), site)


def test_a_failed_sync_before_the_message_is_published_costs_nothing(make_sharing):
    """It is synced by itself: the failure may be another's. For a while all are, and then they share again."""
    sharing = make_sharing(commit_timeout="30s")
    sharing.wait("shared syncs")
    era = sync_page(sharing.daemon).era
    calls = sharing.arrives(STORED, [sharing.worker, sharing.committer], "syncfs:error=EIO:when=1")
    assert len([call for call in calls if call.injected]) == 1
    assert own_syncs(calls) == ["tmp", "new"]
    sharing.daemon.wait_log(r"committer\[\d+\]: warning: /\S+: syncfs: Input/output error; "
                            r"deliveries sync by themselves for 10s$")
    assert sync_page(sharing.daemon).era == era + 1
    sharing.wait("shared syncs after the rest")
    def counts_agree():
        page = sync_page(sharing.daemon)
        return counted(sharing.daemon) == (page.begun, page.heard, 1)
    wait_until(counts_agree, "the same numbers by lmtpctl")


def test_a_failed_sync_after_the_message_was_published_is_451_and_it_stays(make_sharing):
    """Twice in the mailbox when it comes again, never lost."""
    sharing = make_sharing(commit_timeout="30s")
    calls = sharing.arrives(NOT_KNOWN, [sharing.worker, sharing.committer], "syncfs:error=EIO:when=2")
    assert len([call for call in calls if call.injected]) == 1
    assert own_syncs(calls) == []
    sharing.daemon.wait_log(r"status=deferred \(451 4\.3\.0 ")
    assert sharing.arrives(STORED, [sharing.worker])


@contextlib.contextmanager
def stopped_while_idle(sharing):
    """The committer does nothing meanwhile, and the others do not know it yet."""
    while True:
        sharing.wait("shared syncs")
        with stopped(sharing.committer):
            # On a busy machine a sync that somebody rang for was still to come.
            if sharing.may_share():
                yield
                return


def test_while_the_committer_is_stopped_deliveries_sync_by_themselves(make_sharing):
    sharing = make_sharing(commit_timeout="1s")
    with stopped_while_idle(sharing):
        begun = sync_page(sharing.daemon).begun
        calls = [sharing.arrives(STORED, [sharing.worker]) for _ in range(2)]
        assert [own_syncs(each) for each in calls] == [["tmp", "new"]] * 2
        # Who comes later does not wait as long.
        assert [bool(shared_waits(each)) for each in calls] == [True, False]
        assert sync_page(sharing.daemon).begun == begun
    # What was rung meanwhile is heard.
    wait_until(lambda: sync_page(sharing.daemon).begun > begun, "a sync for those who rang")
    sharing.wait("shared syncs again")


def test_after_a_slow_sync_nobody_waits_for_one_for_a_while(make_sharing):
    sharing = make_sharing(commit_timeout="1ms")
    wait_until(lambda: sync_page(sharing.daemon).rests_until < time.monotonic_ns(), "the end of a rest")
    sharing.arrives(STORED, [sharing.worker, sharing.committer], "syncfs:delay_enter=50000:when=1")
    sharing.daemon.wait_log(r"committer\[\d+\]: warning: /\S+: syncfs took \d+ms; "
                            r"deliveries sync by themselves for 10s$")
    begun = sync_page(sharing.daemon).begun
    calls = sharing.arrives(STORED, [sharing.worker])
    assert own_syncs(calls) == ["tmp", "new"] and not shared_waits(calls)
    assert sync_page(sharing.daemon).begun == begun


# ---- a worker that was taken over

RINGER = pathlib.Path(__file__).parent / "testsite" / "bell_ringer.py"


@contextlib.contextmanager
def taken_over(sharing, what):
    """The ringer as the owner of other mailboxes, with what a worker of his has."""
    # The tree may lie where only root can read.
    program = sharing.site.path / RINGER.name
    program.write_text(RINGER.read_text())
    descriptors = [os.open(shared_memory(sharing.daemon, "syncs"), os.O_RDONLY),
                   os.open(shared_memory(sharing.daemon, "bell"), os.O_RDWR)]
    process = subprocess.Popen(["/usr/bin/python3", program, what, *map(str, descriptors)], user=1001, group=1001,
                               extra_groups=[], pass_fds=descriptors, stdout=subprocess.PIPE, text=True)
    for descriptor in descriptors:
        os.close(descriptor)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_it_cannot_write_the_page_nor_make_either_memory_smaller(make_sharing):
    sharing = make_sharing()
    with taken_over(sharing, "try") as process:
        succeeded = json.loads(process.stdout.read())
    assert succeeded["page"] == []
    # Control: these are attempts that can succeed.
    assert succeeded["bell"] == ["write", "map for writing", "make a map writable", "punch"]
    sharing.wait("shared syncs")


@pytest.mark.parametrize("what", ["ring", "silence", "divert", "punch"])
def test_whatever_it_does_to_the_bell_others_have_their_mail(make_sharing, what):
    """They sync by themselves where no sync comes, and share again once it is over."""
    sharing = make_sharing(commit_timeout="200ms")
    with taken_over(sharing, what) as process:
        assert process.stdout.readline() == "begins\n"
        begun = sync_page(sharing.daemon).begun
        for _ in range(5):
            sharing.arrives(STORED, [sharing.worker])
        assert process.poll() is None
        if what == "ring":
            wait_until(lambda: sync_page(sharing.daemon).begun > begun + 10, "syncs that it asks for")
    sharing.wait("shared syncs again")
