"""A message whose data cannot be written is refused, though it is another process that is writing it: the kernel, or
whoever syncs the file system."""

import random

import pytest

from rig import recorder
from rig.gate import Gate, synced_alone
from rig.load import Load, stored_copies
from rig.mailsite import MailSite
from rig.recording import DOMAINS, sync_file_system
from rig.thin_disk import ThinDisk
from rig.workloads import PATIENCE, SIX, gather

DISKS = {"xfs": recorder.XFS, "btrfs": recorder.BTRFS}


@pytest.mark.parametrize("told_before", [False, True], ids=["", "another-is-told"])
@pytest.mark.parametrize("file_system", DISKS.values(), ids=DISKS)
def test_what_a_shared_sync_could_not_write_is_refused(site, file_system, told_before):
    """The committer's syncfs fails for six messages, of which each then learns by its own fsync that it is one of
    those that are lost; also where another's syncfs has met the errors first."""
    with ThinDisk(site, "thin", file_system) as disk, Gate(site.path) as gate:
        mailsite = MailSite(site, disk.base, DOMAINS, names=2, commit_timeout=PATIENCE)
        load = Load(mailsite, [], random.Random(1))
        mailsite.daemon.start(wrapper=gate.wrapper)
        try:
            load.settle("before", SIX)
            sync_file_system(disk.base)
            disk.fill()
            refuses(mailsite, load, gate, told_before)
            disk.drain()
            have = len(load.acknowledged)
            load.to_all("after", SIX)
            assert len(load.acknowledged) == have + len(SIX)
        finally:
            mailsite.kill()
        disk.mount_again()
        copies = stored_copies(mailsite, load.sent)
    stored = sorted((mailbox, copy.key) for mailbox, names in copies.items() for copy in names.values())
    assert stored == sorted((mailsite.users[recipient].mailbox, key) for recipient, key, _ in load.acknowledged)


def refuses(mailsite, load, gate, told_before):
    in_new, have, before = len(mailsite.files_in("new")), len(load.acknowledged), len(gate.calls)
    running = gather(load, gate, "during", SIX)
    if told_before:
        with pytest.raises(OSError):
            sync_file_system(mailsite.mail_base)
    gate.release()
    running.wait()
    calls = gate.calls[before:]
    assert any(call.is_shared for call in calls) and len(synced_alone(calls)) == len(SIX), calls
    assert len(load.acknowledged) == have
    replies = [reply for _, _, reply in load.refused]
    assert len(replies) == len(SIX), replies
    # ENOSPC or EIO, as the kernel tells it of a disk.
    assert all(reply[:4] in ("451 ", "452 ") and "fsync a file in tmp/" in reply for reply in replies), replies
    assert mailsite.files_in("tmp") == [] and len(mailsite.files_in("new")) == in_new
