"""The roles' channels as lmtpd/base/{channel,wire,messages,ticket} define them, for a hostile role.

A test takes a role's place: a copy of the programs in which that role's is replaced by one that hands
its control channel to the test.
"""

import array
import hashlib
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import time
from typing import NamedTuple

from .directory import PATIENCE, REPOSITORY

HERE = REPOSITORY / "tests" / "system" / "testsite"


def _message_types():
    text = (REPOSITORY / "lmtpd" / "base" / "messages.h").read_text()
    names = re.search(r"enum class MessageType[^{]*\{(.*?)\};", text, re.DOTALL).group(1)
    names = re.sub(r"//.*", "", names)
    return {name.split("=")[0].strip(): number
            for number, name in enumerate((n for n in names.split(",") if n.strip()), 1)}


TYPES = _message_types()
NAMES = {number: name for name, number in TYPES.items()}


class Message(NamedTuple):
    type: str
    payload: bytes
    descriptors: list


class Channel:
    """One end of a channel. receive() gives one message after the other."""

    def __init__(self, descriptor):
        self.socket = socket.socket(fileno=descriptor)
        self.socket.setblocking(True)
        self._waiting = []

    def send(self, kind, payload=b"", descriptors=()):
        header = struct.pack("=HHI", TYPES[kind], len(descriptors), len(payload))
        socket.send_fds(self.socket, [header + payload], list(descriptors))

    def receive(self, timeout=PATIENCE):
        """The next message; None at the end of the channel."""
        if not self._waiting:
            if not select.select([self.socket], [], [], timeout)[0]:
                raise TimeoutError("no message")
            try:
                octets, descriptors, _, _ = socket.recv_fds(self.socket, 1 << 18, 64)
            except ConnectionResetError:
                return None
            if not octets:
                return None
            while octets:
                kind, count, length = struct.unpack_from("=HHI", octets)
                self._waiting.append(Message(NAMES[kind], octets[8:8 + length], descriptors[:count]))
                octets, descriptors = octets[8 + length:], descriptors[count:]
        return self._waiting.pop(0)

    def expect(self, kind, timeout=PATIENCE):
        message = self.receive(timeout)
        assert message is not None and message.type == kind, (kind, message)
        return message

    def close(self):
        self.socket.close()


# ---- fields

def text(octets):
    octets = octets if isinstance(octets, bytes) else octets.encode()
    return struct.pack("=I", len(octets)) + octets


class Fields:
    """Takes a payload apart, in the order of a message's fields."""

    def __init__(self, payload):
        self.rest = payload

    def number(self, form):
        (value,) = struct.unpack_from("=" + form, self.rest)
        self.rest = self.rest[struct.calcsize("=" + form):]
        return value

    def text(self):
        size = self.number("I")
        value, self.rest = self.rest[:size], self.rest[size:]
        return value

    def octets(self, size):
        value, self.rest = self.rest[:size], self.rest[size:]
        return value

    def owner(self):
        return self.number("I"), self.number("I")


class Configure(NamedTuple):
    parameters: bytes
    instance: int
    owner: tuple
    key: bytes


class Introduced(NamedTuple):
    kind: str
    instance: int
    owner: tuple
    channel: Channel


class Resolved(NamedTuple):
    id: int
    targets: list  # (ticket, delivered_to)
    reason: int
    text: str


class Outcome(NamedTuple):
    id: int
    stored: bool
    reason: int
    text: str


def configure(message):
    fields = Fields(message.payload)
    return Configure(fields.text(), fields.number("I"), fields.owner(), fields.octets(32))


def introduced(message):
    fields = Fields(message.payload)
    kind = ("frontend", "lookup", "worker")[fields.number("B")]
    return Introduced(kind, fields.number("I"), fields.owner(), Channel(message.descriptors[0]))


def resolved(message):
    fields = Fields(message.payload)
    number = fields.number("Q")
    targets = [(fields.text(), fields.text()) for _ in range(fields.number("I"))]
    return Resolved(number, targets, fields.number("B"), fields.text().decode())


def outcome(message):
    fields = Fields(message.payload)
    return Outcome(fields.number("Q"), fields.number("B") == 1, fields.number("B"),
                   fields.text().decode())


def resolve(number, address):
    return struct.pack("=Q", number) + text(address)


def deliver(deliveries, body):
    """deliveries: (id, ticket); every copy has the same one header."""
    payload = struct.pack("=I", len(deliveries))
    for number, ticket in deliveries:
        payload += struct.pack("=Q", number) + text(ticket) + text("X-By: a hostile role\n")
        payload += struct.pack("=Q", 22 + len(body) + body.count(b"\n"))
    return payload + text(body) + struct.pack("=QB", len(body), False)


# ---- tickets: {uid, gid, expiry, nonce[8], path} worker_tag[16] maker_tag[16]

class Ticket(NamedTuple):
    owner: tuple
    expiry: int  # nanoseconds of CLOCK_MONOTONIC
    nonce: bytes
    path: bytes
    worker_tag: bytes
    maker_tag: bytes

    def sealed(self):
        return self.body() + self.worker_tag + self.maker_tag

    def body(self):
        return struct.pack("=IIq", *self.owner, self.expiry) + self.nonce + text(self.path)


def read_ticket(sealed):
    fields = Fields(sealed)
    ticket = Ticket(fields.owner(), fields.number("q"), fields.octets(8), fields.text(),
                    fields.octets(16), fields.octets(16))
    assert fields.rest == b"" and ticket.sealed() == sealed
    return ticket


def seal_ticket(key, owner, path, life):
    """What lookup makes with master's key; `life` in seconds."""
    ticket = Ticket(owner, time.clock_gettime_ns(time.CLOCK_MONOTONIC) + int(life * 1e9),
                    os.urandom(8), path, b"", b"")
    worker_key = keyed_hash(key, b"worker-1" + struct.pack("=II", *owner), 32)
    ticket = ticket._replace(worker_tag=keyed_hash(worker_key, ticket.body(), 16))
    return ticket._replace(maker_tag=keyed_hash(key, ticket.sealed(), 16)).sealed()


def keyed_hash(key, octets, size):
    return hashlib.blake2b(octets, digest_size=size, key=key).digest()


# ---- a role's place

def copy_programs(site, build):
    """A directory with the programs, for a StandIn to change."""
    programs = site.make(f"programs{time.monotonic_ns()}")
    for program in (build / "bin").iterdir():
        shutil.copy2(program, programs)
    return programs


class StandIn:
    """In `programs` the role's program is one that hands its control channel to the test."""

    def __init__(self, programs, role):
        path = programs / (role + ".socket")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.held = []
        (programs / role).unlink()
        subprocess.run(["cc", "-D_GNU_SOURCE", f'-DSTAND_IN="{path}"', "-o", programs / role,
                        HERE / "stand_in.c"], check=True)

    def accept(self, timeout=PATIENCE):
        """The control channel of a stand-in that master started."""
        self.listener.settimeout(timeout)
        connection, _ = self.listener.accept()
        self.held.append(connection)
        _, ancillary, _, _ = connection.recvmsg(1, socket.CMSG_SPACE(4))
        descriptors = array.array("i", ancillary[0][2])
        os.set_inheritable(descriptors[0], False)
        return Channel(descriptors[0])

    def begin(self):
        """(control channel, Configure) after a start that was read to its end and answered Ready."""
        control = self.accept()
        settings = configure(control.expect("configure"))
        while control.receive().type != "start":
            pass
        control.send("ready")
        return control, settings

    def end(self):
        """The stand-ins exit, as a role does that was told to stop."""
        for connection in self.held:
            connection.close()
        self.listener.close()
