"""The rig is not blind: patterns that are known to lose mail are reported as losing it.

The same daemon, its syncs dropped on their way to the kernel, or switched off. Deliveries are lone, and synced by
their worker, so that what is dropped is a step of one pattern; or several at a time, all through shared syncs. Only
those into a mailbox that is old count, or the loss of a mailbox that was just made would stand in for that of a name
in new/.
"""

import random

import pytest

from rig import recorder
from rig.cuts import plan
from rig.gate import Gate, Verdict
from rig.image import Images, Verdicts
from rig.recording import record
from rig.workloads import OLD_MAILBOX, lone_only, shared_only

DISKS = {"ordered": recorder.ORDERED, "writeback": recorder.WRITEBACK, "xfs": recorder.XFS,
         "btrfs": recorder.BTRFS}


def no_directory_sync(call):
    """What Postfix's virtual(8), Exim and maildrop do."""
    return Verdict.DROP if call.is_directory or call.name in ("sync", "syncfs") else Verdict.PASS


def directory_syncs_only(call):
    return Verdict.PASS if call.is_directory else Verdict.DROP


def all_syncs(call):
    return Verdict.PASS


def verdicts(site, file_system, verdict, of=OLD_MAILBOX, workload=lone_only, **parameters):
    """`verdict`: of the workload's; `of`: what the keys of the messages begin with that count."""
    directory = site.make("recording")
    with Gate(site.path) as gate:
        with record(site, directory, [file_system], lambda load, _: workload(load, gate, verdict), 1,
                    **parameters) as recording:
            found = Verdicts()
            images = Images(directory, recording.places)
            for cut in plan(recording.disks, recording.moments, random.Random(1)):
                if cut.kind == "flushed":
                    with images.mounted(cut) as base:
                        found.add(cut, [broken for broken in recording.promise.examine(base, cut.moment)
                                        if broken.key.startswith(of)])
    print(f"{file_system.name}: {found}")
    return found


@pytest.mark.parametrize("file_system", DISKS.values(), ids=DISKS)
class TestControl:
    def test_without_directory_syncs_mail_is_lost(self, site, file_system):
        assert verdicts(site, file_system, no_directory_sync).broken["lost"] > 0

    def test_with_directory_syncs_only_mail_is_corrupt(self, site, file_system):
        assert verdicts(site, file_system, directory_syncs_only).broken["corrupt"] > 0

    def test_with_fsync_no_mail_is_lost(self, site, file_system):
        assert verdicts(site, file_system, all_syncs, fsync="no").broken["lost"] > 0

    def test_with_all_syncs_nothing_is_lost(self, site, file_system):
        assert not verdicts(site, file_system, all_syncs, of="").broken


@pytest.mark.parametrize("name", [name for name, disk in DISKS.items() if disk.shares_syncs])
def test_without_shared_syncs_mail_is_lost(site, name):
    assert verdicts(site, DISKS[name], Verdict.DROP, workload=shared_only).broken["lost"] > 0
