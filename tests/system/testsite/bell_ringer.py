#!/usr/bin/python3
"""Run as a mailbox's owner: what may a worker that was taken over do with the memory of shared syncs?

Arguments: what to do, the descriptor of the page, open for reading, and that of the bell, open for reading and
writing; but that a worker has mapped them and closed the descriptors. `try` prints a JSON object of what succeeds,
by "page" and "bell". All else says "begins" and goes on until it is killed.
"""

import ctypes
import fcntl
import json
import mmap
import os
import struct
import sys

SYS_FUTEX = 202
FUTEX_WAKE, FUTEX_REQUEUE = 1, 3
MANY = 0x7FFFFFFF
KEEP_SIZE, PUNCH_HOLE = 1, 2

libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]


def mapped(fd, protection):
    address = libc.mmap(None, mmap.PAGESIZE, protection, mmap.MAP_SHARED, fd, 0)
    return None if address in (None, ctypes.c_void_p(-1).value) else address


def futex(address, operation, value, other=None, other_value=0):
    return libc.syscall(SYS_FUTEX, ctypes.c_void_p(address), operation, value, ctypes.c_long(other_value),
                        ctypes.c_void_p(other), 0)


def succeeds(attempt):
    try:
        return attempt() is not False
    except OSError:
        return False


def what_succeeds(fd):
    size = os.fstat(fd).st_size

    def reopen():
        os.close(os.open(f"/proc/self/fd/{fd}", os.O_RDWR))

    attempts = {
        "write": lambda: os.pwrite(fd, bytes(4), 0),
        "map for writing": lambda: mapped(fd, mmap.PROT_READ | mmap.PROT_WRITE) is not None,
        "make a map writable": lambda: libc.mprotect(mapped(fd, mmap.PROT_READ), mmap.PAGESIZE,
                                                     mmap.PROT_READ | mmap.PROT_WRITE) == 0,
        "open anew for writing": reopen,
        "make shorter": lambda: os.ftruncate(fd, 0),
        "make longer": lambda: os.ftruncate(fd, size + 1),
        "seal": lambda: fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE),
        "punch": lambda: libc.fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 0, size) == 0,
        "chmod": lambda: os.fchmod(fd, 0o666),
    }
    return [name for name, attempt in attempts.items() if succeeds(attempt)]


def ring(page, bell):
    """Without end."""
    address = mapped(bell, mmap.PROT_READ)
    number = 0
    while True:
        number = (number + 1) % (1 << 32)
        os.pwrite(bell, struct.pack("=I", number), 0)
        futex(address, FUTEX_WAKE, MANY)


def silence(page, bell):
    """Others' rings are undone: the bell stands where the committer has heard it."""
    while True:
        os.pwrite(bell, os.pread(page, 4, 12), 0)


def divert(page, bell):
    """Who waits, committer or worker, waits for something else instead."""
    elsewhere = ctypes.c_uint32(0)
    words = mapped(bell, mmap.PROT_READ), mapped(page, mmap.PROT_READ) + 4
    while True:
        for word in words:
            futex(word, FUTEX_REQUEUE, 0, ctypes.addressof(elsewhere), MANY)


def punch(page, bell):
    """The bell's memory is taken away."""
    while True:
        libc.fallocate(bell, PUNCH_HOLE | KEEP_SIZE, 0, 4)


if __name__ == "__main__":
    what, its_page, its_bell = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if what == "try":
        print(json.dumps({"page": what_succeeds(its_page), "bell": what_succeeds(its_bell)}))
    else:
        print("begins", flush=True)
        {"ring": ring, "silence": silence, "divert": divert, "punch": punch}[what](its_page, its_bell)
