"""A block device whose writes and flushes are logged in their order, without a device mapper.

qemu-storage-daemon exports a file through its blklogwrites driver over FUSE; a loop device over that
file is what a file system is made on. Both files belong on a tmpfs.
"""

import mmap
import os
import signal
import struct
import subprocess

from testsite.directory import stop_process, wait_until

from .mounts import loop_device, mount, unmount


class FileSystem:
    """How one kind is made, mounted while recorded, and mounted as an image."""

    def __init__(self, name, kind, size, make, options="", image_options=""):
        self.name = name
        self.kind = kind
        self.size = size
        self.make = make
        self.options = options
        self.image_options = image_options

    @property
    def shares_syncs(self):
        """It is in commit_file_systems by default, which no part of the rig adds to. What needs a shared sync runs
        on such disks only; on ext4 workers always sync by themselves."""
        return self.kind in ("xfs", "btrfs")


_MIB = 1 << 20
_MAKE_EXT4 = ["mkfs.ext4", "-q", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"]

# ext4 and btrfs commit each second, so that a commit falls between publishing and the sync that is held.
ORDERED = FileSystem("ext4 data=ordered", "ext4", 64 * _MIB, _MAKE_EXT4, "data=ordered,commit=1")
WRITEBACK = FileSystem("ext4 data=writeback", "ext4", 64 * _MIB, _MAKE_EXT4, "data=writeback,commit=1",
                       "data=writeback")
# nouuid: the image of a file system may be mounted beside another image of it.
XFS = FileSystem("xfs", "xfs", 320 * _MIB, ["mkfs.xfs", "-q", "-K"], "", "nouuid")
BTRFS = FileSystem("btrfs", "btrfs", 256 * _MIB, ["mkfs.btrfs", "-q", "-K"], "nodiscard,commit=1",
                   "nodiscard")


class Recorder:
    """with Recorder(...) as disk: the file system is mounted at `target`, and each write is logged."""

    def __init__(self, file_system, directory, name, target):
        self.file_system = file_system
        self.target = target
        self.name = name
        self.log = directory / f"{name}.log"
        self._disk = directory / f"{name}.disk"
        self._export = directory / f"{name}.export"
        self._output = directory / f"{name}.qemu"
        self._process = None
        self._superblock = None

    def __enter__(self):
        with open(self._disk, "wb") as disk:
            disk.truncate(self.file_system.size)
        for path in (self.log, self._export):
            path.touch()
        with open(self._output, "wb") as output:
            self._process = subprocess.Popen(
                ["qemu-storage-daemon",
                 "--blockdev", f"driver=file,node-name=disk,filename={self._disk}",
                 "--blockdev", f"driver=file,node-name=log,filename={self.log}",
                 "--blockdev", "driver=blklogwrites,node-name=logged,file=disk,log=log,"
                               "log-sector-size=512,log-super-update-interval=1",
                 "--export", f"type=fuse,id=export,node-name=logged,mountpoint={self._export},writable=on"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            wait_until(self._is_exported, f"the export is there: {self._output.read_text()}")
            with loop_device(self._export) as device:
                subprocess.run([*self.file_system.make, device], check=True)
                mount(device, self.target, self.file_system.kind, self.file_system.options)
        except BaseException:
            stop_process(self._process, signal.SIGTERM)
            raise
        with open(self.log, "rb") as log:
            self._superblock = mmap.mmap(log.fileno(), 512, prot=mmap.PROT_READ)
        return self

    def __exit__(self, *_):
        try:
            unmount(self.target)
        finally:
            # The loop device goes with the last user of the mount, and what it still writes is logged.
            wait_until(self._is_free, "the loop device is free")
            stop_process(self._process, signal.SIGTERM)

    def entries(self):
        """How many there are in the log at this moment."""
        return struct.unpack_from("<Q", self._superblock, 16)[0]

    def _is_exported(self):
        if self._process.poll() is not None:
            raise RuntimeError(f"qemu-storage-daemon ended:\n{self._output.read_text()}")
        return os.stat(self._export).st_size == self.file_system.size

    def _is_free(self):
        for device in os.listdir("/sys/block"):
            try:
                with open(f"/sys/block/{device}/loop/backing_file", encoding="utf-8") as backing:
                    if backing.read().rstrip("\n") == str(self._export):
                        return False
            except FileNotFoundError:
                continue
            except OSError:  # detached between the two calls
                continue
        return True
