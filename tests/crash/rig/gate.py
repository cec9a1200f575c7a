"""Each sync that the daemon asks for, held, dropped or passed on: seccomp_unotify(2).

A filter that the daemon and all its children inherit reports fsync, fdatasync, syncfs and sync to the
Gate before the kernel acts, and sync_file_range, which shows a group. What asks waits meanwhile; it can be
killed. So the rig knows no pattern of the daemon's: it sees the syncs of every role, in their order, and whose
they are.

As a program: gate.py SOCKET COMMAND...  puts itself under the gate that listens there, and executes COMMAND.
"""

import collections
import ctypes
import enum
import fcntl
import os
import platform
import select
import socket
import stat
import struct
import sys
import threading
from typing import NamedTuple

_CALLS = {
    "x86_64": (0xC000003E, 317, {74: "fsync", 75: "fdatasync", 162: "sync", 277: "sync_file_range",
                                 306: "syncfs"}),
    "aarch64": (0xC00000B7, 277, {82: "fsync", 83: "fdatasync", 81: "sync", 84: "sync_file_range",
                                  267: "syncfs"}),
}
_ARCHITECTURE, _SYS_SECCOMP, _NAMES = _CALLS[platform.machine()]

_SECCOMP_SET_MODE_FILTER = 1
_FLAG_NEW_LISTENER = 1 << 3
_RET_USER_NOTIF = 0x7FC00000
_RET_ALLOW = 0x7FFF0000
_CONTINUE = 1
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")  # struct seccomp_notif
_RESPONSE = struct.Struct("=QqiI")          # struct seccomp_notif_resp
_RECEIVE = 0xC0002100 | _NOTIFICATION.size << 16
_SEND = 0xC0002101 | _RESPONSE.size << 16


class Verdict(enum.Enum):
    PASS = "the kernel acts"
    DROP = "success is reported, and nothing done"
    HOLD = "it waits for release()"


class Call(NamedTuple):
    id: int
    pid: int   # of the thread
    program: str  # that asks; "" if it is being killed
    name: str
    path: str  # what is to be synced; "" for sync(2)
    is_directory: bool

    @property
    def is_shared(self):
        """It serves the deliveries of all workers that wait."""
        return self.program == "lmtpd-committer"


def synced_alone(calls):
    """The paths of the message files that their worker synced, of `calls`; all others left that to shared syncs."""
    return {call.path for call in calls if call.name in ("fsync", "fdatasync") and not call.is_directory}


def largest_group(calls):
    """How many messages one thread had at once, of `calls` in their order: it starts the write-out of each before
    it syncs the first, and of a lone message's it does not. 0: there was no group."""
    started = collections.Counter()
    largest = 0
    for call in calls:
        started[call.pid] = started[call.pid] + 1 if call.name == "sync_file_range" else 0
        largest = max(largest, started[call.pid])
    return largest


class Gate:
    """with Gate(directory) as gate: daemon.start(wrapper=gate.wrapper); `decide` is asked for each sync."""

    def __init__(self, directory, decide=lambda call: Verdict.PASS):
        self.decide = decide
        self.calls = []  # all that came
        self._path = directory / f"gate{id(self)}"
        self._held = []
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)
        self.wrapper = [sys.executable, os.path.abspath(__file__), str(self._path)]

    def __enter__(self):
        self._listener.bind(str(self._path))
        self._listener.listen()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._wake.send(b"x")
        self._thread.join()
        for part in (self._listener, self._wake, self._woken):
            part.close()
        os.unlink(self._path)

    def held(self):
        """The calls that are held, in their order."""
        with self._lock:
            return [call for _, call in self._held]

    def release(self, decide=lambda call: Verdict.PASS, held=Verdict.PASS):
        """What is held goes on, or is dropped; `decide` is for what comes."""
        with self._lock:
            self.decide = decide
            for listener, call in self._held:
                _answer(listener, call.id, held)
            self._held.clear()

    def _serve(self):
        """A daemon that is started again brings a listener of its own."""
        poll = select.poll()
        for part in (self._listener, self._woken):
            poll.register(part, select.POLLIN)
        listeners = set()
        while True:
            for descriptor, events in poll.poll():
                if descriptor == self._woken.fileno():
                    for listener in listeners:
                        os.close(listener)
                    return
                if descriptor == self._listener.fileno():
                    listener = self._accept()
                    listeners.add(listener)
                    poll.register(listener, select.POLLIN)
                elif events & select.POLLIN:
                    self._receive(descriptor)
                else:  # the last of its processes is gone
                    poll.unregister(descriptor)
                    listeners.remove(descriptor)
                    self._forget(descriptor)

    def _accept(self):
        connection, _ = self._listener.accept()
        with connection:
            _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
            os.set_inheritable(descriptors[0], False)
            connection.send(b"x")
            return descriptors[0]

    def _forget(self, listener):
        with self._lock:
            self._held = [held for held in self._held if held[0] != listener]
        os.close(listener)

    def _receive(self, listener):
        notification = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, notification)
        except FileNotFoundError:  # it was killed before it could be heard
            return
        number, pid, _, syscall, _, _, descriptor, *_ = _NOTIFICATION.unpack(notification)
        call = Call(number, pid, _program(pid), _NAMES[syscall], *_of_descriptor(pid, _NAMES[syscall], descriptor))
        with self._lock:
            self.calls.append(call)
            verdict = self.decide(call)
            if verdict is Verdict.HOLD:
                self._held.append((listener, call))
            else:
                _answer(listener, number, verdict)


def _program(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def _of_descriptor(pid, name, descriptor):
    if name == "sync":
        return "", False
    link = f"/proc/{pid}/fd/{descriptor & 0xFFFFFFFF}"
    try:
        return os.readlink(link), stat.S_ISDIR(os.stat(link).st_mode)
    except OSError:  # it is being killed
        return "", False


def _answer(listener, number, verdict):
    flags = _CONTINUE if verdict is Verdict.PASS else 0
    try:
        fcntl.ioctl(listener, _SEND, _RESPONSE.pack(number, 0, 0, flags))
    except FileNotFoundError:  # it was killed meanwhile
        pass


def _install():
    """The filter, on this process and what it will start; the descriptor that it reports to."""
    load, jump_equal, give = 0x20, 0x15, 0x06
    program = [(load, 0, 0, 4), (jump_equal, 0, len(_NAMES) + 1, _ARCHITECTURE), (load, 0, 0, 0)]
    program += [(jump_equal, len(_NAMES) - index, 0, number) for index, number in enumerate(_NAMES)]
    program += [(give, 0, 0, _RET_ALLOW), (give, 0, 0, _RET_USER_NOTIF)]
    octets = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(octets, len(octets))
    sock_fprog = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    listener = ctypes.CDLL(None, use_errno=True).syscall(
        ctypes.c_long(_SYS_SECCOMP), ctypes.c_uint(_SECCOMP_SET_MODE_FILTER),
        ctypes.c_uint(_FLAG_NEW_LISTENER), sock_fprog)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp: " + os.strerror(ctypes.get_errno()))
    return listener


def main():
    path, *command = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as gate:
        gate.connect(path)
        listener = _install()
        socket.send_fds(gate, [b"x"], [listener])
        os.close(listener)
        gate.recv(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
