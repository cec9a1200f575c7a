"""Every system call of a delivery fails in turn: the right reply, nothing partial, nothing left in tmp/.

strace lets the Nth call of a kind fail in each thread of the live worker; which calls there are is seen in
a delivery that nothing fails in, and that CALLS names them all is a test of its own.
"""

import itertools
import re
from typing import NamedTuple

import pytest

from testsite.filesystem import LoopFileSystem, run
from testsite.injection import NOT_KNOWN, REPLY, STORED, numbers
from testsite.transaction import SCENARIOS, Transactions, about, names_in, of_delivery


class Row(NamedTuple):
    """In each scenario each call of that name whose arguments match fails with each error, one at a time."""

    scenarios: str
    call: str
    errors: str
    where: str = ""
    reply: tuple = None    # whatever the error; by default the error's own
    in_new: bool = False   # the message may stand in new/ all the same: the client sends it again

    @property
    def name(self):
        return f"{self.call}{self.where and '-' + self.where}-{self.scenarios}".replace(" ", "+")


FILE = r"mails/\w+/tmp/"
CHAIN = r"^\d+</(?!memfd:|[^>]*/mails/\w+/)"  # a directory above new/
NEW = "/new>"
BODY = r"^\d+</memfd:"
DIRECTORY = "/(tmp|new)>"
CALLS = (
    Row("lone group", "openat2", "EIO EACCES ELOOP EMFILE ENOMEM"),
    Row("lone", "newfstatat", "EIO EACCES ENOMEM"),
    Row("lone", "openat", "EIO ENOSPC EDQUOT EACCES EROFS EMFILE ENFILE ENOMEM"),
    Row("lone", "writev", "EIO ENOSPC EDQUOT EACCES EROFS EFBIG ENOMEM"),
    Row("group", "openat", "EDQUOT"),
    Row("group", "writev", "ENOSPC"),
    Row("group", "newfstatat", "EIO"),
    Row("group", "pread64", "EIO ENOMEM"),
    Row("group", "sync_file_range", "EIO ENOSPC"),
    Row("lone", "fsync", "EIO ENOSPC EDQUOT EROFS ENOMEM", where=FILE),
    Row("group", "fsync", "EIO", where=FILE),
    Row("lone group threads", "fstatfs", "EIO", reply=STORED),  # it is looked at as an ext4
    Row("lone", "lseek", "EIO ENXIO EINVAL", reply=REPLY["EIO"]),
    Row("group threads", "lseek", "ENXIO", reply=REPLY["EIO"]),
    Row("lone", "close", "EIO ENOSPC EDQUOT", where=FILE),
    Row("lone", "close", "EIO", where=DIRECTORY, reply=STORED),
    Row("group", "close", "EIO", where=BODY, reply=STORED),
    Row("lone", "linkat", "EIO ENOSPC EDQUOT EACCES EROFS ENOMEM EMLINK"),
    Row("group", "linkat", "EDQUOT"),
    # It stands in new/, or its outcome is on the way: never a bounce.
    Row("lone group", "fsync", "EIO EDQUOT", where=NEW, reply=NOT_KNOWN, in_new=True),
    Row("lone group", "unlinkat", "EIO EROFS EDQUOT", reply=NOT_KNOWN, in_new=True),
    Row("lone", "sendmsg", "EPIPE ECONNRESET", reply=NOT_KNOWN, in_new=True),
    Row("lone", "sendmsg", "ENOMEM ENOBUFS", reply=STORED),  # sent again
    Row("lone", "recvmsg", "EIO ECONNRESET", reply=NOT_KNOWN),
    Row("group", "fcntl", "EIO", reply=NOT_KNOWN),  # a body whose seals cannot be seen
    # In two threads at the same time.
    Row("threads", "openat2", "EMFILE"),
    Row("threads", "openat", "ENOSPC"),
    Row("threads", "pread64", "EIO"),
    Row("threads", "writev", "EDQUOT"),
    Row("threads", "fsync", "EIO", where=FILE),
    Row("threads", "linkat", "EDQUOT"),
    Row("threads", "fsync", "EIO", where=NEW, reply=NOT_KNOWN, in_new=True),
    Row("threads", "unlinkat", "EIO", reply=NOT_KNOWN, in_new=True),
    # The mailbox's folders, and the directories above a young one.
    Row("new", "mkdirat", "EIO ENOSPC EDQUOT EACCES EROFS ENOMEM EMLINK"),
    Row("young", "openat", "EIO EMFILE", where=r'"\.\."'),
    Row("young", "newfstatat", "EIO"),
    Row("young", "syncfs", "EIO ENOSPC EDQUOT", reply=NOT_KNOWN),  # another's, perhaps
    # All of them made, and where they can be read synced one by one.
    Row("new owned", "openat2", "EIO EMFILE"),
    Row("owned", "mkdirat", "ENOSPC EACCES"),
    Row("owned", "newfstatat", "EIO"),
    Row("owned", "openat", "EMFILE", where=r'"\.\."'),
    Row("owned", "fsync", "EIO ENOSPC EDQUOT", where=CHAIN, reply=NOT_KNOWN),
    Row("owned", "close", "EIO", where=CHAIN, reply=STORED),
)

# By about(), and why no row has it.
NOT_IN_A_ROW = {
    "poll": "test_the_loop_cannot_wait",
    "read of an eventfd": "a counter that is not 0: poll(2) has just said so",
    "write of an eventfd": "a counter that is far from its end",
    "write of the log": "what cannot be said is not said",
}
TRACED = ",".join(sorted({row.call for row in CALLS}))


@pytest.fixture(scope="module")
def mail_base(site, mail_base):
    """On ext4, whatever the site lies on: elsewhere nobody minds where a file has a hole."""
    if run("findmnt", "-no", "FSTYPE", "-T", mail_base).strip() == "ext4":
        yield mail_base
        return
    with LoopFileSystem(site, "home-ext4", size=64 << 20) as mounted:
        yield mounted.path


@pytest.fixture(scope="module")
def transactions(daemon, site, readable_mail_base, postgres):
    """transactions(scenario)"""
    made = {name: Transactions(daemon, site, readable_mail_base, postgres, scenario)
            for name, scenario in SCENARIOS.items()}
    return made.__getitem__


@pytest.mark.parametrize("row", CALLS, ids=lambda row: row.name)
def test_a_call_fails(row, transactions):
    for name in row.scenarios.split():
        one = transactions(name)
        worker = one.worker()
        places = numbers(one.healthy(TRACED), row.call, row.where)
        for nth, error in itertools.product(places, row.errors.split()):
            check(row, one, nth, error)
        assert one.worker() == worker


def check(row, one, nth, error):
    case = f"{row.call} {nth}: {error}"
    replies, calls = one.run(f"{row.call}:error={error}:when={nth}", TRACED)
    injected = [call for call in calls if call.injected]
    # In each thread: only the first of two has got as far where it took both recipients.
    assert 1 <= len(injected) <= max(one.scenario.threads, 1), case
    assert all(re.search(row.where, call.arguments) for call in injected), case
    expected = row.reply or REPLY[error]
    struck = set().union(*map(names_in, injected))
    for name, reply in replies.items():
        assert reply in (expected, STORED), case
        if struck:
            assert reply == (expected if name in struck else STORED), case
        arrived = one.arrived(name)
        assert arrived == 1 if reply == STORED else arrived <= row.in_new, case
        left = one.in_tmp(name)
        if row.call == "unlinkat" and name in struck:
            (name_that_could_not_go,) = left
            name_that_could_not_go.unlink()
        else:
            assert left == [], case
    assert expected in replies.values(), case
    for failed in injected if row.call == "fsync" else ():
        descriptor = failed.arguments.split("<")[1]
        again = [call for call in calls if call.name == "fsync" and descriptor in call.arguments]
        assert len(again) == 1, f"{case}: a second fsync of the same pages would succeed"
    assert one.goes_on(), case


@pytest.mark.parametrize("first", [0, 1, 200])
def test_a_hole_is_found_wherever_it_is(first, transactions):
    """As ext4 says of a file after its fsync, where it had no blocks for some of it: tests/crash/test_lost_blocks.py"""
    one = transactions("lone")
    replies, calls = one.run(f"lseek:retval={first}:when=1", "lseek,linkat")
    assert [call.name for call in calls] == ["lseek"]
    (name,) = replies
    assert replies[name] == REPLY["EIO"]
    assert one.arrived(name) == 0 and one.in_tmp(name) == []
    assert one.goes_on()


@pytest.mark.parametrize("error", ["EINTR", "ENOMEM"])
def test_the_loop_cannot_wait(error, transactions):
    """It looks whether there is something to do; any other error is one of its own, and ends it."""
    one = transactions("lone")
    replies, calls = one.run(f"poll:error={error}:when=1", "poll")
    assert [call.name for call in calls if call.injected] == ["poll"]
    assert set(replies.values()) == {STORED}
    assert one.goes_on()


def test_every_call_of_a_delivery_is_made_to_fail(transactions):
    """A call that is new to a delivery, or is about something new, has no row yet, and shows here."""
    seen, failed = set(), set()
    for name in SCENARIOS:
        calls = of_delivery(transactions(name).healthy())
        seen |= {about(call) for call in calls}
        for row in CALLS:
            if name in row.scenarios.split():
                failed |= {about(call) for call in calls
                           if call.name == row.call and re.search(row.where, call.arguments)}
    assert seen - failed - set(NOT_IN_A_ROW) == set()
