"""The log of a disk's writes, and the disks that a power cut can leave.

Format (dm-log-writes, as QEMU's blklogwrites writes it), little-endian, in sectors of `sector size`:

    superblock  u64 magic 0x6a736677736872, u64 version 1, u64 entries, u32 sector size
    entry       u64 sector, u64 sectors, u64 flags (1 flush, 2 FUA, 4 discard), u64 data length
                one sector; then `sectors` sectors of data, none for a discard

A flush makes all writes durable whose entries stand before its own; also one that was still in flight when the
flush came, which a disk may lose: a file system that did not wait for its writes before it flushes would not be found
out. Of the writes after it, a power cut keeps any subset; a write of several 4 KiB blocks may be torn between blocks.
"""

import os
import struct
from typing import NamedTuple

from .mounts import copy_sparse, punch_hole

MAGIC = 0x6A736677736872
BLOCK = 4096
_SUPERBLOCK = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")
_FLUSH, _DISCARD = 1, 4


class Entry(NamedTuple):
    offset: int  # octets, on the disk
    length: int
    flush: bool
    data: int    # where its octets are in the log; None: a discard or no data


def read_entries(path):
    """All entries of a log that nobody writes to any more."""
    with open(path, "rb") as log:
        magic, version, count, sector = _SUPERBLOCK.unpack(log.read(_SUPERBLOCK.size))
        assert (magic, version) == (MAGIC, 1), f"{path} is no write log"
        position = sector
        entries = []
        for _ in range(count):
            log.seek(position)
            start, sectors, flags, _ = _ENTRY.unpack(log.read(_ENTRY.size))
            position += sector
            discard = bool(flags & _DISCARD)
            has_data = sectors > 0 and not discard
            entries.append(Entry(start * sector, sectors * sector, bool(flags & _FLUSH),
                                 position if has_data else None))
            if has_data:
                position += sectors * sector
        return entries


class Disk:
    """A disk as it is at some flush of its log. Blank at first."""

    def __init__(self, log, size, directory, name):
        self.entries = read_entries(log)
        self._size = size
        self._flushed = 0  # this many entries are on it
        self._log = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
        self._disk = os.open(directory / f"{name}.flushed", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._disk, size)

    def last_flush(self, count):
        """How many of the first `count` entries are durable."""
        while count and not self.entries[count - 1].flush:
            count -= 1
        return count

    def advance(self, count):
        """The first `count` entries are on it; never fewer than before."""
        assert count >= self._flushed
        for entry in self.entries[self._flushed:count]:
            self._write(self._disk, entry)
        self._flushed = count

    def copy(self, target, unflushed=()):
        """Into the file `target`, and of what was not flushed these entries, or parts of entries."""
        descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            copy_sparse(self._disk, descriptor, self._size)
            for piece in unflushed:
                self._write(descriptor, piece)
        finally:
            os.close(descriptor)

    def close(self):
        os.close(self._disk)
        os.close(self._log)

    def _write(self, descriptor, entry):
        if entry.length == 0:
            return
        octets = os.pread(self._log, entry.length, entry.data) if entry.data is not None else b""
        if octets.count(0) == len(octets):
            punch_hole(descriptor, entry.offset, entry.length)
        else:
            os.pwrite(descriptor, octets, entry.offset)


def torn(entries, random):
    """A random subset of the blocks of `entries`, in their order. Half of the entries are whole or gone."""
    kept = []
    for entry in entries:
        if entry.length > BLOCK and random.random() < 0.5:
            for begin in range(0, entry.length, BLOCK):
                if random.random() < 0.5:
                    kept.append(Entry(entry.offset + begin, min(BLOCK, entry.length - begin), False,
                                      None if entry.data is None else entry.data + begin))
        elif random.random() < 0.5:
            kept.append(entry)
    return kept
