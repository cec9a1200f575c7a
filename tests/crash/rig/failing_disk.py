"""A file system that fails while the daemon waits in a sync: journal abort and shutdown.

A 0 from the last sync is no proof: after an abort or a shutdown fsync(2) of new/ and syncfs(2) can
return 0 with the mail gone. So each sync of a delivery in turn is held at its entry, the file system is
made to fail, and the sync goes on; or it reports 0 and does nothing, whatever the kernel, so that only the proof
behind it can tell. The mail that was answered 250 must be there when the file system is mounted again; a lone
message, or a group, that was in new/ by then, not yet synced, must get a 451.

As a program it does all of this and prints its findings, for a guest with another kernel.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import time
from typing import Callable, NamedTuple

if __name__ == "__main__":  # in the guest: the packages are not on the path yet
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
    __package__ = "rig"
    import rig  # noqa: F401

from testsite.directory import SiteDirectory, wait_until  # noqa: E402

from .gate import Gate, Verdict, largest_group  # noqa: E402
from .load import Load, stored_copies  # noqa: E402
from .mailsite import MailSite  # noqa: E402
from .mounts import loop_device, mount, unmount  # noqa: E402
from .recorder import ORDERED, XFS, FileSystem  # noqa: E402

_FS_IOC_SHUTDOWN = 0x8004587D
_NOLOGFLUSH = 2  # what is not yet in the log on the disk is dropped
DOMAINS = {"first.example": 3001, "second.example": 3002, "third.example": 3003}


def abort_journal(_, device):
    pathlib.Path("/sys/fs/ext4", os.path.basename(device), "trigger_fs_error").write_text("1")


def shut_down(base, _):
    descriptor = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(descriptor, _FS_IOC_SHUTDOWN, struct.pack("=I", _NOLOGFLUSH))
    finally:
        os.close(descriptor)


class Failure(NamedTuple):
    file_system: FileSystem
    options: str       # it is mounted with
    happen: Callable   # (where it is mounted, its device)


FAILURES = {
    "ext4-abort": Failure(ORDERED, "errors=remount-ro", abort_journal),
    "ext4-shutdown": Failure(ORDERED, "", shut_down),
    "xfs-shutdown": Failure(XFS, "", shut_down),
}


class Deliveries(NamedTuple):
    before: list     # recipients of mail that is there when the file system fails
    start: Callable  # of a Load: what is delivered then
    fails_from_published: bool  # only syncs count that come when something is in new/
    most: int        # failures, one at each sync in turn
    group: int = 0   # of messages for first.example: its worker has no threads, and takes them as one
    then: Verdict = Verdict.PASS  # for the sync that was held, and those after it


def _each_alone(recipients):
    return lambda load: load.at_once("during", [[recipient] for recipient in recipients])


_ONE = ["u1@first.example"]
_SIX = [f"u{number}@{domain}" for number in (1, 2) for domain in DOMAINS]
_GROUP = [f"u{number}@first.example" for number in (1, 2, 3)]
_LONE = Deliveries(_ONE, _each_alone(_ONE), False, 20)
_GROUPED = Deliveries(_GROUP, lambda load: load.start_to_all("during", _GROUP), True, 4, len(_GROUP))
LOADS = {
    "lone": _LONE,
    "new": Deliveries(_ONE, _each_alone(["u2@second.example"]), False, 20),
    "at once": Deliveries(_SIX, _each_alone(_SIX), True, 4),
    "group": _GROUPED,
    "lone proof": _LONE._replace(fails_from_published=True, most=1, then=Verdict.DROP),
    "group proof": _GROUPED._replace(most=1, then=Verdict.DROP),
}


class Finding(NamedTuple):
    """Of a failure at one sync."""
    failure: str
    load: str
    sync: str         # which it was
    group: int        # the most messages that one thread had at once
    published: int    # of the messages, in new/ when the file system failed
    acknowledged: int
    replies: list     # other than 250
    lost: list        # acknowledged, and not there after the mount; also of before the failure


# In a guest, which may be slow: only what comes between publishing and the last sync.
GUEST_LOADS = {
    "lone": LOADS["lone"]._replace(fails_from_published=True, most=1),
    "at once": LOADS["at once"]._replace(most=1),
    "group": LOADS["group"]._replace(most=2),
}


def fail_at_every_sync(site, failure, load, loads=LOADS):
    """Yields a Finding for each sync that the deliveries ask for."""
    for step in range(1, loads[load].most + 1):
        finding = _fail_at(site, failure, load, loads[load], step)
        if finding is None:
            return
        yield finding


def _fail_at(site, failure, load_name, deliveries, step):
    """None if there are fewer syncs than `step`."""
    file_system, options, happen = FAILURES[failure]
    directory = site.make(f"{failure}-{load_name}-{step}".replace(" ", "-"))
    base = site.make(directory.name + "/mail")
    disk = directory / "disk"
    with open(disk, "wb") as file:
        file.truncate(file_system.size)
    with loop_device(disk) as device:
        subprocess.run([*file_system.make, device], check=True)
        mount(device, base, file_system.kind, options)
        try:
            found = _under_load(site, base, directory.name, deliveries, step,
                                lambda: happen(base, device))
        finally:
            unmount(base)
        if found is None:
            return None
        mailsite, load, sync, group, published = found
        mount(device, base, file_system.kind)
        try:
            copies = stored_copies(mailsite, load.sent)
        finally:
            unmount(base)
    disk.unlink()
    present = {(mailbox, copy.key) for mailbox, names in copies.items() for copy in names.values()}
    lost = [f"{key} for {recipient}" for recipient, key, _ in load.acknowledged
            if (mailsite.users[recipient].mailbox, key) not in present]
    after = [acknowledged for acknowledged in load.acknowledged if not acknowledged.key.startswith("before")]
    return Finding(failure, load_name, sync, group, published, len(after),
                   [reply for _, _, reply in load.refused], lost)


def _under_load(site, base, name, deliveries, step, happen):
    mailsite = MailSite(site, base, DOMAINS, names=len(_GROUP), name=name + "/lmtpd")
    load = Load(mailsite, [], random.Random(step))
    with Gate(site.path) as gate:
        mailsite.daemon.start(wrapper=gate.wrapper)
        try:
            _let_workers_know(load, deliveries.before)
            if deliveries.group:
                mailsite.daemon.take_threads(DOMAINS["first.example"])
            before = _count_new(mailsite)
            passed = 0
            calls = []

            def decide(call):
                nonlocal passed
                calls.append(call)
                if passed or not deliveries.fails_from_published or _count_new(mailsite) > before:
                    passed += 1
                return Verdict.HOLD if passed >= step else Verdict.PASS

            gate.release(decide)
            running = deliveries.start(load)
            call = wait_until(lambda: gate.held() or running.over(), "a sync, or the end of the deliveries", 120)
            if call is True:
                running.wait()
                return None
            published = _count_new(mailsite) - before
            happen()
            gate.release(lambda _: deliveries.then, deliveries.then)
            running.wait()
        finally:
            mailsite.kill()
    where = os.path.relpath(call.path, base) if call.path else ""
    return mailsite, load, f"{call.name} {where}", largest_group(calls), published


def _let_workers_know(load, recipients):
    """Workers run, without threads as yet, mailboxes are there, and their chains are known to be synced: see
    maildir/chain.h."""
    load.lone("before", recipients)
    made = max((load.mailsite.mail_base / load.mailsite.users[recipient].mailbox).stat().st_ctime
               for recipient in recipients)
    wait_until(lambda: time.time() > made + 0.1, "the mailboxes' ctimes are settled")
    load.lone("before", recipients)


def _count_new(mailsite):
    count = 0
    for user in mailsite.users.values():
        with contextlib.suppress(FileNotFoundError):
            count += len(os.listdir(mailsite.mail_base / user.mailbox / "new"))
    return count


def main():
    directory = SiteDirectory("failing-disk")
    print("KERNEL", os.uname().release, flush=True)
    for failure in FAILURES:
        for load in GUEST_LOADS:
            for finding in fail_at_every_sync(directory, failure, load, GUEST_LOADS):
                print("FINDING", json.dumps(finding._asdict()), flush=True)
    print("COMPLETE", flush=True)


if __name__ == "__main__":
    main()
