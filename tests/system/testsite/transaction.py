"""Transactions whose system calls are looked at and made to fail, or are the worker's last."""

import os
import re
import shutil
from typing import NamedTuple

from .directory import wait_until
from .injection import STORED, codes
from .maildir import stored
from .trace import Trace

SMALL = b"Subject: injected\n\nbody\n"
LARGE = b"Subject: injected\n\n" + b"a line of a body that crosses in a memfd\n" * 2000

# Calls that neither a disk nor a peer can make fail, and why none of them is a delivery's last.
OF_THE_PROCESS = {
    **dict.fromkeys(("brk", "mmap", "mprotect", "munmap", "madvise", "mremap"),
                    "memory: a worker that gets none ends, as if it were killed"),
    **dict.fromkeys(("futex", "sched_yield", "rt_sigaction", "rt_sigprocmask", "rseq",
                     "set_robust_list", "gettid"),
                    "threads among themselves"),
    **dict.fromkeys(("clone", "clone3"), "a thread that cannot be started: the worker of the group has none"),
    **dict.fromkeys(("clock_gettime", "getpid", "geteuid", "getrandom"), "they cannot fail"),
    "restart_syscall": "the poll that strace interrupts when it attaches",
    **dict.fromkeys(("pipe2", "sigaltstack", "sched_getaffinity"),
                    "a sanitizer's, which sees by way of a pipe whether memory is there"),
}


class Scenario(NamedTuple):
    """A transaction, what is done to its mailboxes before each, and the worker that delivers it."""

    users: tuple       # of domain.org
    message: bytes
    prepare: callable  # (mailbox, uid)
    uid: int
    threads: int = 0      # that deliver, beside its loop
    group: bool = False   # it can start no thread, and takes all recipients as one group
    owned: bool = False   # all directories below the base are the uid's own

    def as_uid(self, uid):
        """The same for users that nobody else is."""
        return self._replace(uid=uid, users=tuple(f"{user}{uid}" for user in self.users))

    @property
    def recipients(self):
        return [f"{user}@domain.org" for user in self.users]

    def mailbox(self, user):
        """Below the mail base."""
        return f"owned{self.uid}/mails/{user}" if self.owned else f"domain.org/mails/{user}"


def as_it_is(*_):
    pass


def changed_just_now(mailbox, _):
    """So that its chain of directories is synced."""
    mailbox.chmod(0o700)


def without_folders(mailbox, uid):
    shutil.rmtree(mailbox)
    mailbox.mkdir(mode=0o700)
    os.chown(mailbox, uid, uid)


def missing(mailbox, _):
    """And the directory above it."""
    shutil.rmtree(mailbox.parent)


# A worker and users of its own for each.
SCENARIOS = {
    "lone": Scenario(("lone",), SMALL, as_it_is, 1980),
    "young": Scenario(("young",), SMALL, changed_just_now, 1981),
    "new": Scenario(("new",), SMALL, without_folders, 1982),
    "owned": Scenario(("owned",), SMALL, missing, 1983, owned=True),
    "group": Scenario(("grouped1x", "grouped2x"), LARGE, as_it_is, 1984, group=True),
    "threads": Scenario(("threaded1x", "threaded2x"), LARGE, as_it_is, 1985, threads=2),
}


class Transactions:
    """Those of one scenario, and what each left in the mailboxes.

    Makes its users; then their mailboxes are there and swept, and the worker has seen them.
    """

    def __init__(self, daemon, site, mail_base, postgres, scenario):
        self.daemon = daemon
        self.site = site
        self.scenario = scenario
        self.mailboxes = {f"{user}@domain.org": mail_base / scenario.mailbox(user) for user in scenario.users}
        self.before = {}
        for user in scenario.users:
            postgres.sql(f"""INSERT INTO users (userid, uid, gid, home) VALUES
                ('{user}@domain.org', {scenario.uid}, {scenario.uid}, '{scenario.mailbox(user)}')""")
        if scenario.owned:
            directory = mail_base / f"owned{scenario.uid}"
            directory.mkdir(mode=0o700)
            os.chown(directory, scenario.uid, scenario.uid)
        for recipient in scenario.recipients:
            assert codes(daemon.deliver(recipient, SMALL).final) == [STORED]
        if scenario.group:
            daemon.take_threads(scenario.uid)  # each was alone, so that no thread is there yet

    def run(self, inject=None, traced="all"):
        """(replies by recipient, the worker's calls)"""
        for name, mailbox in self.mailboxes.items():
            self.scenario.prepare(mailbox, self.scenario.uid)
            self.before[name] = {message.name for message in stored(mailbox)}
        with Trace(self.site.path, [self.worker()], traced, inject) as trace:
            outcome = self.daemon.deliver(self.scenario.recipients, self.scenario.message)
        return dict(zip(self.scenario.recipients, codes(outcome.final))), trace.calls

    def healthy(self, traced="all"):
        """The calls of one that nothing fails in; of two threads that deliver, one thread's and the loop's."""
        scenario = self.scenario
        # While a thread is held in its first call, it leaves the other recipient to another thread.
        hold = "openat2:delay_enter=100000" if scenario.threads else None

        def calls():
            replies, calls = self.run(hold, traced)
            assert set(replies.values()) == {STORED}
            # A mailbox that was changed just now is looked at again, until its chain is known to be synced.
            if scenario.prepare is as_it_is and any(call.name == "syncfs" for call in calls):
                return None
            doing = {call.pid for call in calls if call.name == "linkat"}
            if not scenario.threads:
                assert doing == {self.worker()}
            elif len(doing) != scenario.threads:
                return None
            return [call for call in calls if call.pid in (min(doing), self.worker())]
        return wait_until(calls, "a delivery into mailboxes whose chains are synced")

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
        final = self.daemon.deliver(self.scenario.recipients, SMALL).final
        return codes(final) == [STORED] * len(self.scenario.users)


def of_delivery(calls):
    """Without those of the process."""
    return [call for call in calls if call.name not in OF_THE_PROCESS and "<pipe:" not in call.arguments]


def names_in(call):
    """The recipients whose mailboxes its arguments name."""
    return {f"{user}@domain.org" for user in re.findall(r"mails/(\w+)[/>]", call.arguments)}


# What a call is about, by the descriptor that it names first.
_ABOUT = (
    ("the log", r"^2<"),
    ("a body", r"^\d+</memfd:"),
    ("a peer", r"^\d+<socket:"),
    ("an eventfd", r"^\d+<anon_inode:\[eventfd\]>"),
    ("a file in tmp/", r"^\d+<[^>]*/mails/\w+/tmp/"),
    ("tmp/", r"^\d+<[^>]*/mails/\w+/tmp>"),
    ("new/", r"^\d+<[^>]*/mails/\w+/new>"),
    ("a mailbox", r"^\d+<[^>]*/mails/\w+>"),
    ("a directory above", r"^\d+</"),
)


def about(call):
    for what, pattern in _ABOUT:
        if re.search(pattern, call.arguments):
            parent = " by .." if re.match(r'\d+<[^>]*>, "\.\.', call.arguments) else ""
            return f"{call.name} of {what}{parent}"
    return call.name
