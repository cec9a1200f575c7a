"""The daemon under load on logged disks: what a power cut is then tried on."""

import contextlib
import ctypes
import os
import random
import time

from testsite.directory import wait_until

from .gate import Gate, Verdict, largest_group
from .load import Load, stored_copies
from .image import Promise
from .mailsite import MailSite
from .moments import Sampler
from .recorder import Recorder
from .write_log import Disk

DOMAINS = {"first.example": 3001, "second.example": 3002, "third.example": 3003}
SECOND = "second.example"
# A domain whose directory is its uid's own: the worker makes its mailboxes, and syncs directory by directory. All
# else is made by the helper of master's, is root's, and is synced by syncfs(2).
OWNED, OWNED_UID = "owned.example", 3004
MOST_THREADS = 32  # of a worker: see lmtpd/delivery/main.cc
MANY = MOST_THREADS + 4
MADE = 5  # mailboxes of a domain of master's helper, at most
NAMES = MANY + 1  # users of a domain; the last of them gets no mail while it is recorded


class Recording:
    """record() makes it. `places` and `promise` are what Images and a look at one need."""

    def __init__(self, mailsite, places, moments, promise):
        self.mailsite = mailsite
        self.places = places
        self.moments = moments
        self.promise = promise

    @property
    def disks(self):
        return [disk for _, disk, _ in self.places]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for disk in self.disks:
            disk.close()


def record(site, directory, file_systems, workload, seed, **parameters):
    """`file_systems`: of the mail base, and of what is mounted at SECOND below it, if that is another."""
    base = directory / "mail"
    base.mkdir()
    mailsite = MailSite(site, base, {**DOMAINS, OWNED: OWNED_UID}, NAMES, owned=(OWNED,), **parameters)
    with contextlib.ExitStack() as stack:
        recorders = [stack.enter_context(Recorder(file_systems[0], directory, "disk0", base))]
        belows = [""]
        (base / OWNED).mkdir(mode=0o700)
        os.chown(base / OWNED, OWNED_UID, OWNED_UID)
        if len(file_systems) == 2:
            (base / SECOND).mkdir(mode=0o711)
        sync_file_system(base)
        if len(file_systems) == 2:
            recorders.append(stack.enter_context(Recorder(file_systems[1], directory, "disk1", base / SECOND)))
            (base / SECOND).chmod(0o711)
            sync_file_system(base / SECOND)
            belows.append(SECOND)
        load = Load(mailsite, recorders, random.Random(seed))
        first = load.moment()
        sampler = stack.enter_context(Sampler(recorders)) if len(recorders) == 2 else None
        try:
            workload(load, site.path)
        finally:
            mailsite.daemon.stop()
        promise = Promise(mailsite, stored_copies(mailsite, load.sent), load.acknowledged)
        assert load.acknowledged and not load.refused, load.refused
    places = [(recorder.file_system, Disk(recorder.log, recorder.file_system.size, directory, recorder.name),
               below) for recorder, below in zip(recorders, belows)]
    if sampler:
        moments = sampler.moments
    else:
        moments = [(count,) for count in range(first[0], len(places[0][1].entries) + 1)]
    return Recording(mailsite, places, moments, promise)


def every_kind(load, directory):
    """The workloads of the rig, one after the other on one mail base."""
    daemon = load.mailsite.daemon
    daemon.start()
    load.lone("lone", ["u1@first.example", "u1@second.example", "u1@first.example"])
    load.at_once("at once", [[f"u{number}@{domain}"] for number in (1, 2) for domain in DOMAINS]).wait()
    load.at_once("new", [[f"u{number}@{domain}"] for number in (3, 4) for domain in DOMAINS]).wait()
    load.to_all("many", [f"u{number}@{domain}" for number in (1, 2, 3) for domain in DOMAINS])
    load.lone("memfd", ["u2@first.example"], 100 << 10)
    load.lone("large", ["u2@second.example"], 300 << 10)
    _kill_under_load(load)
    daemon.start()
    load.at_once("restarted", [["u1@first.example", "u5@first.example"], ["u1@second.example"]]).wait()
    daemon.stop()
    with Gate(directory) as gate:
        daemon.start(wrapper=gate.wrapper)
        _groups(load, gate)
        _commits_between(load, gate)
        gate.release()
        daemon.stop()


OLD_MAILBOX = "lone"  # what the keys of lone_only's messages begin with that come into one


def lone_only(load, wrapper):
    """One message after the other into one mailbox, until its chain of directories is no longer synced
    with them: see maildir/chain.h."""
    load.mailsite.daemon.start(wrapper=wrapper)
    load.lone("first", ["u1@first.example"])
    made = (load.mailsite.mail_base / "first.example/mails/u1").stat().st_ctime
    wait_until(lambda: time.time() > made + 0.1, "the mailbox's ctime is settled")
    load.lone(OLD_MAILBOX, ["u1@first.example"] * 4)


def _kill_under_load(load):
    have = len(load.acknowledged)
    running = load.at_once("killed", [[f"u{number}@{domain}"] * 6 for number in (1, 2) for domain in DOMAINS])
    wait_until(lambda: len(load.acknowledged) > have + 6, "deliveries before the daemon is killed")
    load.mailsite.kill()
    running.wait()


def _groups(load, gate):
    """More recipients than a worker has threads, in mailboxes that it makes; and a worker without threads."""
    calls = _seen(gate)
    load.to_all("owned", [f"u{number}@{OWNED}" for number in range(1, MANY + 1)])
    assert largest_group(calls) > 1, calls
    base = load.mailsite.mail_base
    synced = {call.path for call in calls if call.name == "fsync" and call.is_directory}
    assert {str(base), str(base / OWNED), str(base / OWNED / "mails")} <= synced, synced
    assert not any(call.name == "syncfs" for call in calls), calls

    load.lone("alone", ["u1@first.example"])
    load.mailsite.daemon.take_threads(DOMAINS["first.example"])
    calls = _seen(gate)
    recipients = [f"u{number}@first.example" for number in range(1, 5)]
    load.to_all("grouped", recipients)
    assert largest_group(calls) == len(recipients), calls


def _seen(gate):
    """The list of what passes from here on."""
    calls = []

    def decide(call):
        calls.append(call)
        return Verdict.PASS

    gate.decide = decide
    return calls


def _commits_between(load, gate):
    """Between any two steps of a delivery the file system commits: because another program syncs it, and
    because its time has come."""
    for commit in (lambda: sync_file_system(load.mailsite.mail_base),
                   lambda: sync_file_system(load.mailsite.mail_base / SECOND),
                   lambda: _wait_for_commit(load)):
        gate.decide = lambda call: Verdict.HOLD
        running = load.at_once("commit", [["u1@first.example"], ["u1@second.example"]])
        while wait_until(lambda: gate.held() or running.over(), "a sync") is not True:
            commit()
            gate.release(lambda call: Verdict.HOLD)
        running.wait()


def _wait_for_commit(load, at_most=1.5):
    """Where nothing is to be committed, as long as a commit takes to come (see recorder.py)."""
    before = load.moment()
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: load.moment() != before, "a commit", at_most)


def sync_file_system(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "syncfs")
    finally:
        os.close(descriptor)
