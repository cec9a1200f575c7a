"""A file system that fails while the daemon waits in a sync: journal abort, transaction abort and shutdown.

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
from typing import Callable, NamedTuple

if __name__ == "__main__":  # in the guest: the packages are not on the path yet
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
    __package__ = "rig"
    import rig  # noqa: F401

from testsite.directory import SiteDirectory, wait_until  # noqa: E402

from .gate import Gate, Verdict, largest_group  # noqa: E402
from .load import Load, stored_copies  # noqa: E402
from .mailsite import MailSite  # noqa: E402
from .mounts import fail_device, loop_device, mount, mounted, unmount  # noqa: E402
from .recorder import BTRFS, ORDERED, XFS, FileSystem  # noqa: E402
from .recording import DOMAINS, sync_file_system  # noqa: E402
from .workloads import PATIENCE, SIX, gather  # noqa: E402

_FS_IOC_SHUTDOWN = 0x8004587D
_NOLOGFLUSH = 2  # what is not yet in the log on the disk is dropped


def abort_journal(_, device):
    pathlib.Path("/sys/fs/ext4", os.path.basename(device), "trigger_fs_error").write_text("1")


def shut_down(base, _):
    descriptor = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(descriptor, _FS_IOC_SHUTDOWN, struct.pack("=I", _NOLOGFLUSH))
    finally:
        os.close(descriptor)


def abort_transaction(base, device):
    """Its disk fails, and the file system has found that out before the sync that is held."""
    fail_device(device)
    with contextlib.suppress(OSError):
        sync_file_system(base)


class Failure(NamedTuple):
    file_system: FileSystem
    options: str       # it is mounted with
    happen: Callable   # (where it is mounted, its device)


FAILURES = {
    "ext4-abort": Failure(ORDERED, "errors=remount-ro", abort_journal),
    "ext4-shutdown": Failure(ORDERED, "", shut_down),
    "xfs-shutdown": Failure(XFS, "", shut_down),
    "btrfs-abort": Failure(BTRFS, "", abort_transaction),
}


class Deliveries(NamedTuple):
    before: list     # recipients of mail that is there when the file system fails
    start: Callable  # of a Load: what is delivered then
    from_published: int  # only syncs count that come when so many are in new/, and not yet known to be stored
    most: int        # failures, one at each sync in turn
    group: int = 0   # of messages for first.example: its worker has no threads, and takes them as one
    then: Verdict = Verdict.PASS  # for the sync that was held, and those after it
    shared: bool = False  # through shared syncs, which alone count; only where the file system has them


def _each_alone(recipients):
    return lambda load: load.at_once("during", [[recipient] for recipient in recipients])


_ONE = ["u1@first.example"]
_GROUP = [f"u{number}@first.example" for number in (1, 2, 3)]
_LONE = Deliveries(_ONE, _each_alone(_ONE), 0, 20)
_GROUPED = Deliveries(_GROUP, lambda load: load.together("during", [_GROUP]), 1, 4, len(_GROUP))
_SHARED = Deliveries(SIX, None, 2, 2, shared=True)
LOADS = {
    "lone": _LONE,
    "new": Deliveries(_ONE, _each_alone(["u2@second.example"]), 0, 20),
    "at once": Deliveries(SIX, _each_alone(SIX), 1, 4),
    "group": _GROUPED,
    "shared": _SHARED,
    "lone proof": _LONE._replace(from_published=1, most=1, then=Verdict.DROP),
    "group proof": _GROUPED._replace(most=1, then=Verdict.DROP),
    "shared proof": _SHARED._replace(most=1, then=Verdict.DROP),
}


class Finding(NamedTuple):
    """Of a failure at one sync."""
    failure: str
    load: str
    sync: str         # which it was
    shared: bool      # it serves several deliveries
    group: int        # the most messages that one thread had at once
    published: int    # in new/, and not yet known to be stored, when the file system failed
    acknowledged: int
    replies: list     # other than 250
    lost: list        # acknowledged, and not there after the mount; also of before the failure


# In a guest, which may be slow: only what comes between publishing and the last sync, and once.
GUEST_LOADS = {name: LOADS[name]._replace(from_published=max(LOADS[name].from_published, 1), most=1)
               for name in ("lone", "at once", "group", "shared")}


def cases(loads=LOADS):
    """[(failure, load)]"""
    return [(failure, load) for failure in FAILURES for load in loads
            if shares_syncs(failure) or not loads[load].shared]


def guest_cases():
    """Where syncs are shared, those at once are as those of "shared"."""
    return [(failure, load) for failure, load in cases(GUEST_LOADS) if load != "at once" or not shares_syncs(failure)]


def shares_syncs(failure):
    return FAILURES[failure].file_system.shares_syncs


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
    mailsite, load, call, group, published = found
    with mounted(disk, base, file_system.kind):
        copies = stored_copies(mailsite, load.sent)
    disk.unlink()
    present = {(mailbox, copy.key) for mailbox, names in copies.items() for copy in names.values()}
    lost = [f"{key} for {recipient}" for recipient, key, _ in load.acknowledged
            if (mailsite.users[recipient].mailbox, key) not in present]
    after = [acknowledged for acknowledged in load.acknowledged if not acknowledged.key.startswith("before")]
    where = os.path.relpath(call.path, base) if call.path else ""
    return Finding(failure, load_name, f"{call.name} {where}", call.is_shared, group, published, len(after),
                   [reply for _, _, reply in load.refused], lost)


def _under_load(site, base, name, deliveries, step, happen):
    mailsite = MailSite(site, base, DOMAINS, names=len(_GROUP), name=name + "/lmtpd", commit_timeout=PATIENCE)
    load = Load(mailsite, [], random.Random(step))
    with Gate(site.path) as gate:
        mailsite.daemon.start(wrapper=gate.wrapper)
        try:
            load.settle("before", deliveries.before)
            if deliveries.group:
                mailsite.daemon.take_threads(DOMAINS["first.example"])
            earlier = len(gate.calls)
            passed = 0

            def decide(call):
                nonlocal passed
                if ((call.is_shared or not deliveries.shared)
                        and mailsite.unproven() >= deliveries.from_published):
                    passed += 1
                return Verdict.HOLD if passed >= step else Verdict.PASS

            if deliveries.shared:
                running = gather(load, gate, "during", SIX)
                gate.release(decide)
            else:
                gate.release(decide)
                running = deliveries.start(load)
            held = wait_until(lambda: gate.held() or running.over(), "a sync, or the end of the deliveries", 120)
            if held is True:
                running.wait()
                return None
            published = mailsite.unproven()
            happen()
            gate.release(lambda _: deliveries.then, deliveries.then)
            running.wait()
        finally:
            mailsite.kill()
    return mailsite, load, held[0], largest_group(gate.calls[earlier:]), published


def main():
    directory = SiteDirectory("failing-disk")
    print("KERNEL", os.uname().release, flush=True)
    for failure, load in guest_cases():
        for finding in fail_at_every_sync(directory, failure, load, GUEST_LOADS):
            print("FINDING", json.dumps(finding._asdict()), flush=True)
    print("COMPLETE", flush=True)


if __name__ == "__main__":
    main()
