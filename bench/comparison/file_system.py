"""A freshly made ext4 of the same size, on the same blocks, for every run.

ext4 spends CPU on inodes that were deleted in the last minutes (its allocator passes over them), so that a run after an `rm -r` measures that. Here nothing is
ever deleted: the image is written through once, so that no later write allocates below, and a new
file system is made on it for each run.
"""

import contextlib
import os
import subprocess

from .mail_site import wait_until


class Image:
    def __init__(self, directory, mebibytes):
        self.path = directory / "image"
        self.mount_point = directory / "mail"
        self.mount_point.mkdir()
        self.mebibytes = mebibytes
        chunk = bytes(1 << 20)
        with open(self.path, "wb") as image:
            for _ in range(mebibytes):
                image.write(chunk)
            image.flush()
            os.fsync(image.fileno())

    @contextlib.contextmanager
    def mounted(self):
        """The mount point of a new, empty file system."""
        # The last run's loop device goes a moment after its mount, or later, where another mount
        # namespace has a copy of that; until then its cache would show the old file system.
        wait_until(lambda: not _run("losetup", "-j", self.path), f"{self.path} is free")
        # Inode tables and journal are written now: no background thread writes them in the run.
        _run("mkfs.ext4", "-q", "-F", "-i", "8192", "-E",
             "lazy_itable_init=0,lazy_journal_init=0,nodiscard", self.path)
        _run("mount", "-o", "loop", self.path, self.mount_point)
        try:
            os.sync()
            yield self.mount_point
        finally:
            _run("umount", self.mount_point)


def _run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout
