"""File systems that say it themselves: full, out of inodes, read-only, over quota."""

import shutil

import pytest

from testsite import stored
from testsite.filesystem import LoopFileSystem, run
from testsite.injection import REPLY, STORED, codes

SMALL = b"Subject: small\n\nbody\n"
LARGE = b"Subject: large\n\n" + b"a line of a large body\n" * 40_000
MAILBOX = "domain.org/mails/user"
NEW_MAILBOX = "user2@domain.org"  # nobody makes it while the disk allows
OVER_QUOTA_FOR_NOW = (452, "4.2.2")


@pytest.fixture
def disk(site):
    """An ext4 that root has no reserve on, with few inodes."""
    with LoopFileSystem(site, "disk", mkfs=("-m", "0", "-N", "128")) as mounted:
        yield mounted
    shutil.rmtree(mounted.path)


@pytest.fixture
def on_disk(disk, make_daemon):
    """A daemon that delivers there; the mailbox of user@ is made."""
    daemon = make_daemon(virtual_mailbox_base=str(disk.path))
    assert codes(daemon.deliver("user@domain.org", SMALL).final) == [STORED]
    yield daemon
    daemon.stop()


def refused(daemon, reply, base, recipient="user@domain.org", message=SMALL):
    """Nothing of it stays."""
    before = len(stored(base / MAILBOX))
    assert codes(daemon.deliver(recipient, message).final) == [reply]
    assert len(stored(base / MAILBOX)) == before
    assert list(base.rglob("tmp/*")) == []
    assert list(base.rglob(".lmtpd.*")) == []


def test_no_block_is_left(disk, on_disk):
    filler = disk.fill()
    refused(on_disk, REPLY["ENOSPC"], disk.path)
    # A write that is cut short is one for which the next finds no room.
    filler = disk.fill(leave=300_000)
    refused(on_disk, REPLY["ENOSPC"], disk.path, message=LARGE)
    filler.unlink()
    assert codes(on_disk.deliver("user@domain.org", LARGE).final) == [STORED]


def test_no_inode_is_left(disk, on_disk):
    taken = disk.take_inodes()
    refused(on_disk, REPLY["ENOSPC"], disk.path)
    refused(on_disk, REPLY["ENOSPC"], disk.path, recipient=NEW_MAILBOX)
    shutil.rmtree(taken)
    assert codes(on_disk.deliver(["user@domain.org", NEW_MAILBOX], SMALL).final) == [STORED] * 2


def test_remounted_read_only(disk, on_disk):
    disk.remount("ro")
    refused(on_disk, REPLY["EROFS"], disk.path)
    refused(on_disk, REPLY["EROFS"], disk.path, recipient=NEW_MAILBOX)
    disk.remount("rw")
    assert codes(on_disk.deliver(["user@domain.org", NEW_MAILBOX], SMALL).final) == [STORED] * 2


# ---- quota

MIB = 1 << 20


class Ext4Quota(LoopFileSystem):
    """Of the mailbox's owner."""

    def __init__(self, site):
        super().__init__(site, "quota-ext4", mkfs=("-O", "quota", "-E", "quotatype=usrquota"),
                         options="usrquota")

    def limit(self, octets):
        run("setquota", "-u", "1001", "0", str(octets // 1024), "0", "0", self.path)


class BtrfsQuota(LoopFileSystem):
    """Of the subvolume."""

    def __init__(self, site):
        super().__init__(site, "quota-btrfs", kind="btrfs", size=128 * MIB)

    def mount(self):
        super().mount()
        run("btrfs", "quota", "enable", self.path)
        run("btrfs", "quota", "rescan", "-w", self.path)  # or it counts what comes meanwhile later
        return self

    def limit(self, octets):
        run("btrfs", "qgroup", "limit", str(octets), self.path)


@pytest.mark.parametrize("kind", [Ext4Quota, BtrfsQuota])
def test_over_quota(kind, site, make_daemon):
    quota = kind(site)
    try:
        quota.mount()
    except OSError as error:
        shutil.rmtree(quota.path)
        pytest.skip(f"this kernel has no such quota: {error}")
    try:
        rejecting = make_daemon(virtual_mailbox_base=str(quota.path))
        deferring = make_daemon(virtual_mailbox_base=str(quota.path), over_quota="defer")
        assert codes(rejecting.deliver("user@domain.org", LARGE).final) == [STORED]
        quota.limit(2 * MIB)
        for _ in range(3):
            reply = codes(rejecting.deliver("user@domain.org", LARGE).final)
        assert reply == [REPLY["EDQUOT"]]
        refused(rejecting, REPLY["EDQUOT"], quota.path, message=LARGE)
        refused(deferring, OVER_QUOTA_FOR_NOW, quota.path, message=LARGE)
        quota.limit(20 * MIB)
        for daemon in (rejecting, deferring):
            assert codes(daemon.deliver("user@domain.org", LARGE).final) == [STORED]
            daemon.stop()
    finally:
        quota.unmount()
        shutil.rmtree(quota.path)
