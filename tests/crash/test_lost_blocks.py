"""An ext4 that cannot allocate blocks drops a file's pages and goes on (errors=continue); only whoever writes them out
is told, and a later fsync(2) returns 0. Never a 250 for a message that is lost so."""

import os
import random
import re
import subprocess

import pytest

from rig.gate import Gate, Verdict
from rig.load import Load
from rig.mailsite import MailSite
from rig.mounts import mounted
from rig.recording import sync_file_system
from testsite.directory import wait_until

USER = "u1@first.example"
BLOCK = 4096


class Disk:
    """An ext4 of one block group, with a mailbox that was long there."""

    def __init__(self, site):
        self.image = site.path / "disk"
        self.mail_base = site.make("mail")
        self.mailsite = MailSite(site, self.mail_base, {"first.example": 3001}, names=1)
        self.mailbox = self.mail_base / self.mailsite.users[USER].mailbox
        self.load = Load(self.mailsite, [], random.Random(1))
        with open(self.image, "wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-b", str(BLOCK), self.image], check=True)
        with self.mounted():
            self.mail_base.chmod(0o711)
            self.mailsite.daemon.start()
            try:
                self.load.lone("before", [USER])
            finally:
                self.mailsite.kill()
            inode = os.stat(self.mailbox).st_ino
        subprocess.run(["debugfs", "-w", "-R", f"set_inode_field <{inode}> ctime 20200102030405", self.image],
                       check=True, capture_output=True)

    def mounted(self):
        return mounted(self.image, self.mail_base, "ext4", "errors=continue")

    def damage(self):
        """The block bitmap's checksum is wrong from here on, so that the kernel has no block to give."""
        text = subprocess.run(["dumpe2fs", self.image], check=True, capture_output=True, text=True).stdout
        (bitmap,) = re.findall(r"Block bitmap at (\d+)", text)
        with open(self.image, "r+b") as file:
            at = int(bitmap) * BLOCK + 1500
            octet = os.pread(file.fileno(), 1, at)[0]
            os.pwrite(file.fileno(), bytes([octet ^ 0xFF]), at)

    def deliver(self, site, before_fsync):
        """`before_fsync()` is called once the worker asks for the file's. What was synced, in that order."""
        with Gate(site.path, lambda call: Verdict.PASS if call.is_directory else Verdict.HOLD) as gate:
            self.mailsite.daemon.start(wrapper=gate.wrapper)
            try:
                running = self.load.at_once("damaged", [[USER]])
                wait_until(gate.held, "the file's fsync is held")
                before_fsync()
                gate.release()
                running.wait()
            finally:
                self.mailsite.kill()
            return [call.name for call in gate.calls]


@pytest.mark.parametrize("healthy", [True, False], ids=["healthy", "damaged"])
@pytest.mark.parametrize("first", ["nothing", "own syncfs", "another's syncfs"])
def test_lost_blocks_never_get_a_250(site, first, healthy):
    disk = Disk(site)
    if not healthy:
        disk.damage()
    with disk.mounted():
        if first == "own syncfs":
            disk.mailbox.chmod(0o700)  # young again, so that the directories above it are synced
        calls = disk.deliver(site, lambda: first == "another's syncfs" and sync_file_system(disk.mail_base))
    assert ("syncfs" in calls) == (first == "own syncfs")
    with disk.mounted():
        found = sorted(path.read_bytes() for path in (disk.mailbox / "new").iterdir())
        assert list((disk.mailbox / "tmp").iterdir()) == []
    assert len(found) == len(disk.load.acknowledged) == 1 + healthy
    for message in disk.load.acknowledged:
        assert sum(disk.load.sent[message.key] in text for text in found) == 1
    assert [reply[:9] for _, _, reply in disk.load.refused] == ["451 4.3.0"] * (not healthy)
