"""A freshly made file system of the same size, on the same blocks, for every run.

ext4 spends CPU on inodes that were deleted in the last minutes (its allocator passes over them), so
that a run after an `rm -r` measures that. Here nothing is ever deleted: the image is written through
once, so that no later write allocates below, and a new file system is made on it for each run.
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile

from .mail_site import wait_until

# Inode tables and journal are written at once where that can be chosen: no background thread writes
# them in the run. No discard: the image keeps its blocks.
MAKE = {
    "ext4": ("mkfs.ext4", "-q", "-F", "-i", "8192", "-E",
             "lazy_itable_init=0,lazy_journal_init=0,nodiscard"),
    "xfs": ("mkfs.xfs", "-q", "-f", "-K"),
    "btrfs": ("mkfs.btrfs", "-q", "-f", "-K"),
}


OWN_MOUNTS = "LMTPD_BENCH_HAS_OWN_MOUNTS"


def have_own_mounts(script, arguments):
    """Runs `script` anew in a mount namespace of its own, unless it is in one.

    Whatever unshares its mounts meanwhile would keep ours, and so the device, in use.
    """
    if OWN_MOUNTS not in os.environ:
        os.environ[OWN_MOUNTS] = "yes"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable,
                              str(script), *arguments])


class Image:
    """A file of `mebibytes` in `directory` behind a loop device; `kind` is a key of MAKE."""

    def __init__(self, directory, mebibytes, kind="ext4"):
        self.path = directory / "image"
        self.mount_point = directory / "mount"
        self.mount_point.mkdir()
        self.mebibytes = mebibytes
        self.kind = kind
        chunk = bytes(1 << 20)
        with open(self.path, "wb") as image:
            for _ in range(mebibytes):
                image.write(chunk)
            image.flush()
            os.fsync(image.fileno())
        self.device = _run("losetup", "--find", "--show", self.path)

    def close(self):
        _run("losetup", "--detach", self.device)

    @contextlib.contextmanager
    def mounted(self):
        """The mount point of a new, empty file system."""
        # The kernel may hold the last one for a moment; mkfs refuses while it does.
        wait_until(lambda: _runs(*MAKE[self.kind], self.device), f"{self.device} is free", 60, 0.2)
        _run("mount", self.device, self.mount_point)
        try:
            os.sync()
            yield self.mount_point
        finally:
            wait_until(lambda: _runs("umount", self.mount_point),
                       f"{self.mount_point} is free", 30, 0.2)

    @contextlib.contextmanager
    def another(self, mebibytes):
        """The mount point of one more of the same kind, on a device of its own."""
        with tempfile.TemporaryDirectory(dir=self.path.parent) as directory:
            image = Image(pathlib.Path(directory), mebibytes, self.kind)
            try:
                with image.mounted() as mount_point:
                    yield mount_point
            finally:
                image.close()


def _runs(*command):
    return subprocess.run([str(part) for part in command], capture_output=True,
                          check=False).returncode == 0


def _run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout.strip()
