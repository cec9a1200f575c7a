"""A disk that has run full below its file system: what it has no room for is files' data. The file system's own it has,
so that the file system lives on, and only who asks about the data can be told.

As thin provisioning does; here a file on a tmpfs that has holes where data would go, and no memory left for them.
"""

import fcntl
import os
import re
import struct
import subprocess

from .mounts import loop_device, mount, unmount

_FITRIM = 0xC0185879
_SPARE = 16 << 20  # octets of the tmpfs beside the disk


class ThinDisk:
    """with ThinDisk(site, name, file_system) as disk: an xfs or btrfs, mounted at disk.base. New data cannot be
    written between fill() and drain()."""

    def __init__(self, site, name, file_system):
        self.base = site.make(f"{name}/mail")
        self._pool = site.make(f"{name}/pool")
        self._disk = self._pool / "disk"
        self._filler = self._pool / "filler"
        self._file_system = file_system

    def __enter__(self):
        size = self._file_system.size
        mount("none", self._pool, "tmpfs", f"size={size + _SPARE}")
        try:
            with open(self._disk, "wb") as disk:
                disk.truncate(size)
            with loop_device(self._disk) as device:
                subprocess.run([*self._file_system.make, device], check=True)
            self._make_thin()
            self._mount()
        except BaseException:
            unmount(self._pool)
            raise
        self.base.chmod(0o711)
        return self

    def __exit__(self, *_):
        unmount(self.base)
        unmount(self._pool)

    def fill(self):
        """What is to be kept was synced."""
        self._filler.touch()
        pool = os.statvfs(self._pool)
        _allocate(self._filler, 0, pool.f_bavail * pool.f_frsize)

    def drain(self):
        self._filler.unlink()

    def mount_again(self):
        """Without what is in memory only."""
        unmount(self.base)
        self._mount()

    def _mount(self):
        with loop_device(self._disk) as device:
            mount(device, self.base, self._file_system.kind, self._file_system.image_options)

    def _make_thin(self):
        """All of it gets memory, and what is free gives it back: so the log of an xfs keeps its own."""
        _allocate(self._disk, 0, self._file_system.size)
        self._mount()
        base = os.open(self.base, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(base, _FITRIM, struct.pack("=QQQ", 0, (1 << 64) - 1, 0))
        finally:
            os.close(base)
            unmount(self.base)  # which waits: xfs may still be discarding
        if self._file_system.kind == "btrfs":
            for offset, length in _metadata_chunks(self._disk):
                _allocate(self._disk, offset, length)


def _allocate(path, offset, length):
    """Memory for that part of a file; what is in it stays."""
    with open(path, "r+b") as file:
        os.posix_fallocate(file.fileno(), offset, length)


def _metadata_chunks(disk):
    """[(offset, length)] of a btrfs: its trees' blocks are never overwritten in place, and find room in these."""
    chunks = subprocess.run(["btrfs", "inspect-internal", "dump-tree", "-t", "chunk", disk], capture_output=True,
                            text=True, check=True).stdout.split("CHUNK_ITEM")[1:]
    found = []
    for chunk in chunks:
        length, kind = re.search(r"length (\d+) .* type (\S+)", chunk).groups()
        if not kind.startswith("DATA"):
            found += [(int(offset), int(length)) for offset in re.findall(r"devid \d+ offset (\d+)", chunk)]
    return found
