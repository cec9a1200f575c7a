"""mount(2), loop devices and a mount namespace of our own.

By system call: a run mounts thousands of images, and each program started would cost more than the mount.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import struct

_LIBC = ctypes.CDLL(None, use_errno=True)

_CLONE_NEWNS = 0x20000
_MS_REC = 0x4000
_MS_PRIVATE = 1 << 18
_FALLOC_FL_KEEP_SIZE = 1
_FALLOC_FL_PUNCH_HOLE = 2

_LOOP_CONFIGURE = 0x4C0A
_LOOP_SET_STATUS64 = 0x4C04
_LOOP_CTL_GET_FREE = 0x4C82
_LO_FLAGS_AUTOCLEAR = 4


def _check(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def leave_mount_namespace():
    """From here on this process and its children mount for themselves only; all of it ends with them."""
    _check(_LIBC.unshare(_CLONE_NEWNS))
    _check(_LIBC.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None))


def mount(source, target, kind, options=""):
    _check(_LIBC.mount(os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(0),
                       options.encode()))


def unmount(target):
    _check(_LIBC.umount2(os.fsencode(target), 0))


@contextlib.contextmanager
def loop_device(file):
    """/dev/loopN over `file` while the block runs, and as long as it is mounted."""
    device = _configure(file)
    try:
        yield f"/dev/{os.path.basename(os.readlink(f'/proc/self/fd/{device}'))}"
    finally:
        os.close(device)


@contextlib.contextmanager
def mounted(file, target, kind, options=""):
    """A file system's image, mounted at `target` while the block runs."""
    with loop_device(file) as device:
        mount(device, target, kind, options)
    try:
        yield target
    finally:
        unmount(target)


def fail_device(device):
    """From here on a loop device fails all that it is asked to read or write; flushes succeed. It cannot be mended;
    another over the same file has what was written."""
    descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _LOOP_SET_STATUS64, _loop_info(size_limit=512))
    finally:
        os.close(descriptor)


def _loop_info(size_limit):
    """struct loop_info64, whose size limit (octets; 0: none) is at octet 32 and whose flags are at octet 52."""
    info = bytearray(232)
    struct.pack_into("=Q", info, 32, size_limit)
    struct.pack_into("=I", info, 52, _LO_FLAGS_AUTOCLEAR)
    return bytes(info)


def _configure(file):
    backing = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    # struct loop_config: fd, block size, loop_info64, reserved.
    config = struct.pack("=II", backing, 0) + _loop_info(size_limit=0) + bytes(64)
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        while True:
            device = os.open(f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}",
                             os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, _LOOP_CONFIGURE, config)
                return device
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:  # else another process took it between the two calls
                    raise
    finally:
        os.close(control)
        os.close(backing)


def punch_hole(descriptor, offset, length):
    """Zeroes that take no memory."""
    _check(_LIBC.fallocate(descriptor, _FALLOC_FL_KEEP_SIZE | _FALLOC_FL_PUNCH_HOLE,
                           ctypes.c_long(offset), ctypes.c_long(length)))


def copy_sparse(source, target, size):
    """Makes the file `target` (a descriptor) a copy of `source`, with its holes."""
    os.ftruncate(target, 0)
    os.ftruncate(target, size)
    offset = 0
    while True:
        try:
            begin = os.lseek(source, offset, os.SEEK_DATA)
        except OSError:  # ENXIO: only a hole is left
            return
        offset = os.lseek(source, begin, os.SEEK_HOLE)
        os.lseek(target, begin, os.SEEK_SET)
        sent = begin
        while sent < offset:
            sent += os.sendfile(target, source, sent, offset - sent)
