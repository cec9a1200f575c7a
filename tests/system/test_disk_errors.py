"""Every system call of a delivery fails in turn: the right reply, nothing partial, nothing left in tmp/.

strace lets the Nth call of a kind fail in each thread of the live worker; which calls there are is seen in
a delivery that nothing fails in, so that a call that is new is tested as soon as CALLS names it.
"""

import itertools
import os
import re
import shutil
import subprocess
from typing import NamedTuple

import pytest

from testsite import stored, wait_until
from testsite.injection import NOT_KNOWN, REPLY, STORED, codes, numbers
from testsite.trace import Trace

SMALL = b"Subject: injected\n\nbody\n"
LARGE = b"Subject: injected\n\n" + b"a line of a body that crosses in a memfd\n" * 2000


class Scenario(NamedTuple):
    """A transaction, what is done to its mailboxes before each, and the worker that delivers it."""

    recipients: tuple
    message: bytes
    prepare: callable
    uid: int = 1001
    threads: int = 0  # beside its loop


def as_it_is(_):
    pass


def changed_just_now(mailbox):
    """So that its chain of directories is synced."""
    mailbox.chmod(0o700)


def without_folders(mailbox):
    shutil.rmtree(mailbox)
    mailbox.mkdir(mode=0o700)
    os.chown(mailbox, 1001, 1001)


# Users of this test's own: one owner's worker can start no thread, so that it takes the recipients of
# one message as one group; another's delivers to each in a thread.
GROUPED, THREADED = 1981, 1982
SCENARIOS = {
    "lone": Scenario(("user@domain.org",), SMALL, as_it_is),
    "young": Scenario(("user@domain.org",), SMALL, changed_just_now),
    "new": Scenario(("user@domain.org",), SMALL, without_folders),
    "group": Scenario(("grouped1@domain.org", "grouped2@domain.org"), LARGE, as_it_is, GROUPED),
    "threads": Scenario(("threaded1@domain.org", "threaded2@domain.org"), LARGE, as_it_is, THREADED, 2),
}


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
NEW = "/new>"
DIRECTORY = "/(tmp|new)>"
CALLS = (
    Row("lone group", "openat2", "EIO EACCES ELOOP EMFILE ENOMEM"),
    Row("lone", "newfstatat", "EIO EACCES ENOMEM"),
    Row("lone", "openat", "EIO ENOSPC EDQUOT EACCES EROFS EMFILE ENFILE ENOMEM"),
    Row("lone", "writev", "EIO ENOSPC EDQUOT EACCES EROFS EFBIG ENOMEM"),
    Row("group", "openat", "EDQUOT"),
    Row("group", "writev", "ENOSPC"),
    Row("group", "pread64", "EIO ENOMEM"),
    Row("group", "sync_file_range", "EIO ENOSPC"),
    Row("lone", "fsync", "EIO ENOSPC EDQUOT EROFS ENOMEM", where=FILE),
    Row("group", "fsync", "EIO", where=FILE),
    Row("lone", "close", "EIO ENOSPC EDQUOT", where=FILE),
    Row("lone", "close", "EIO", where=DIRECTORY, reply=STORED),
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
    Row("young", "newfstatat", "EIO", where="/user>"),
    Row("young", "syncfs", "EIO ENOSPC"),
    Row("young", "syncfs", "EDQUOT", reply=NOT_KNOWN),  # another's, perhaps
)
KILLED_AT = ("openat2", "openat", "writev", "fsync", "linkat", "unlinkat", "sendmsg")
TRACED = ",".join({row.call for row in CALLS})


class Delivery:
    """Transactions of one scenario, and what each left in the mailboxes."""

    def __init__(self, daemon, site, mail_base, scenario):
        self.daemon = daemon
        self.site = site
        self.scenario = scenario
        self.mailboxes = {name: mail_base / "domain.org/mails" / name.split("@")[0]
                          for name in scenario.recipients}
        self.before = {}

    def run(self, inject=None, traced=TRACED):
        """(replies by recipient, the worker's calls)"""
        for name, mailbox in self.mailboxes.items():
            self.scenario.prepare(mailbox)
            self.before[name] = {message.name for message in stored(mailbox)}
        with Trace(self.site.path, [self.worker()], traced, inject) as trace:
            outcome = self.daemon.deliver(list(self.scenario.recipients), self.scenario.message)
        return dict(zip(self.scenario.recipients, codes(outcome.final))), trace.calls

    def worker(self):
        return self.daemon.worker(self.scenario.uid)

    def arrived(self, name):
        """How many messages are new in new/; each is whole."""
        messages = [message for message in stored(self.mailboxes[name])
                    if message.name not in self.before[name]]
        for message in messages:
            assert message.octets.endswith(self.scenario.message)
            assert len(message.octets) == message.sizes[0]
            assert message.header("Delivered-To") == [name]
        return len(messages)

    def in_tmp(self, name):
        tmp = self.mailboxes[name] / "tmp"
        return list(tmp.iterdir()) if tmp.exists() else []

    def goes_on(self):
        final = self.daemon.deliver(list(self.scenario.recipients), SMALL).final
        return codes(final) == [STORED] * len(self.scenario.recipients)


@pytest.fixture(scope="module")
def delivery(daemon, site, mail_base, postgres):
    """delivery(scenario): mailboxes that are there and swept, and a worker that has seen them."""
    for name, uid in (("grouped", GROUPED), ("threaded", THREADED)):
        for number in (1, 2):
            postgres.sql(f"""INSERT INTO users (userid, uid, gid, home)
                VALUES ('{name}{number}@domain.org', {uid}, {uid}, 'domain.org/mails/{name}{number}')""")
    for scenario in SCENARIOS.values():
        for name in scenario.recipients:
            assert codes(daemon.deliver(name, SMALL).final) == [STORED]
    # Each was alone, so that no thread is there yet. As the owner, who may do that without a capability.
    subprocess.run(["prlimit", f"--pid={daemon.worker(GROUPED)}", "--nproc=1:1"],
                   user=GROUPED, group=GROUPED, extra_groups=[], check=True)
    return lambda name: Delivery(daemon, site, mail_base, SCENARIOS[name])


def healthy(delivery):
    """The calls of a delivery that nothing fails in; of several threads, one thread's."""
    scenario = delivery.scenario
    # While a thread is held in its first call, it leaves the other recipient to another thread.
    hold = "openat2:delay_enter=100000" if scenario.threads else None

    def calls():
        replies, calls = delivery.run(hold)
        assert set(replies.values()) == {STORED}
        # A mailbox that was changed just now is looked at again, until its chain is known to be synced.
        if scenario.prepare is as_it_is and any(call.name == "syncfs" for call in calls):
            return None
        doing = {call.pid for call in calls if call.name == "linkat"}
        if not scenario.threads:
            assert doing == {delivery.worker()}
        elif len(doing) != scenario.threads:
            return None
        return [call for call in calls if call.pid == min(doing)]
    return wait_until(calls, "a delivery into mailboxes whose chains are synced")


def names_in(call):
    """The recipients whose mailbox a call names."""
    return {f"{user}@domain.org" for user in re.findall(r"mails/(\w+)[/>]", call.arguments)}


@pytest.mark.parametrize("row", CALLS, ids=lambda row: row.name)
def test_a_call_fails(row, delivery):
    for name in row.scenarios.split():
        one = delivery(name)
        worker = one.worker()
        places = numbers(healthy(one), row.call, row.where)
        for nth, error in itertools.product(places, row.errors.split()):
            check(row, one, nth, error)
        assert one.worker() == worker


def check(row, delivery, nth, error):
    case = f"{row.call} {nth}: {error}"
    replies, calls = delivery.run(f"{row.call}:error={error}:when={nth}")
    injected = [call for call in calls if call.injected]
    # In each thread: only the first of two has got as far where it took both recipients.
    assert 1 <= len(injected) <= max(delivery.scenario.threads, 1), case
    assert all(re.search(row.where, call.arguments) for call in injected), case
    expected = row.reply or REPLY[error]
    struck = set().union(*map(names_in, injected))
    for name, reply in replies.items():
        assert reply in (expected, STORED), case
        if struck:
            assert reply == (expected if name in struck else STORED), case
        arrived = delivery.arrived(name)
        assert arrived == 1 if reply == STORED else arrived <= row.in_new, case
        left = delivery.in_tmp(name)
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
    assert delivery.goes_on(), case


@pytest.mark.parametrize("call", KILLED_AT)
def test_the_worker_is_killed(call, daemon, site, mail_base, postgres):
    """It leaves at most its file in tmp/, and another one goes on."""
    # A uid of its own: master starts a worker the later, the more often it died.
    uid = 2000 + KILLED_AT.index(call)
    name = f"{call}@domain.org"
    postgres.sql(f"""INSERT INTO users (userid, uid, gid, home)
        VALUES ('{name}', {uid}, {uid}, 'domain.org/mails/{call}')""")
    one = Delivery(daemon, site, mail_base, Scenario((name,), SMALL, as_it_is, uid))
    assert one.goes_on()
    for nth in numbers(healthy(one), call):
        worker = one.worker()
        replies, _ = one.run(f"{call}:signal=KILL:when={nth}", call)
        assert replies == {name: NOT_KNOWN}
        assert one.arrived(name) <= 1
        left = one.in_tmp(name)
        assert len(left) <= 1
        for file in left:
            file.unlink()
        wait_until(one.goes_on, f"a delivery after the death at {call} {nth}")
        assert one.worker() != worker
