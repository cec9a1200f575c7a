#!/usr/bin/python3
"""Run as a role's user: what may a process of this user do to those?

Arguments: pids. Prints a JSON object {pid: [what succeeded]}. Each attempt is one that the kernel
decides by the rights of the caller alone, and that harms nothing where it is let through.
"""

import ctypes
import json
import os
import sys

PTRACE_ATTACH = 16
PTRACE_SEIZE = 0x4206
PIDFD_GETFD = 438

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]


def in_a_child(attempt):
    """ptrace ends with the tracer: what was seized is let go."""
    child = os.fork()
    if child == 0:
        os._exit(0 if attempt() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def can_kill(pid):
    try:
        os.kill(pid, 0)
        return True
    except PermissionError:
        return False


def can_get_descriptors(pid):
    pidfd = os.pidfd_open(pid)
    try:
        return any(libc.syscall(PIDFD_GETFD, pidfd, fd, 0) >= 0 for fd in range(64))
    finally:
        os.close(pidfd)


def can_read_memory(pid):
    try:
        with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
            address = int(maps.readline().split("-")[0], 16)
    except OSError:
        # Where it may not be read: any address; what counts is EPERM against EFAULT.
        address = 0x1000
    local = ctypes.create_string_buffer(16)
    here = Iovec(ctypes.addressof(local), 16)
    there = Iovec(address, 16)
    done = libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    return done >= 0 or ctypes.get_errno() != 1


def can_open(path):
    try:
        os.close(os.open(path, os.O_RDONLY))
        return True
    except OSError:
        return False


def what_succeeds(pid):
    attempts = {
        "kill": lambda: can_kill(pid),
        "ptrace attach": lambda: in_a_child(lambda: libc.ptrace(PTRACE_ATTACH, pid, None, None) == 0),
        "ptrace seize": lambda: in_a_child(lambda: libc.ptrace(PTRACE_SEIZE, pid, None, None) == 0),
        "pidfd_getfd": lambda: can_get_descriptors(pid),
        "process_vm_readv": lambda: can_read_memory(pid),
        "/proc/PID/mem": lambda: can_open(f"/proc/{pid}/mem"),
        "/proc/PID/fd": lambda: can_open(f"/proc/{pid}/fd"),
        "/proc/PID/environ": lambda: can_open(f"/proc/{pid}/environ"),
    }
    return [name for name, attempt in attempts.items() if attempt()]


if __name__ == "__main__":
    print(json.dumps({pid: what_succeeds(int(pid)) for pid in sys.argv[1:]}))
