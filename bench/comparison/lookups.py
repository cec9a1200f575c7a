"""Lets an LMTP server look users up, without a delivery: RCPT after RCPT, then RSET."""

import itertools
import socket

from .run import Wrong

AT_ONCE = 500  # recipients of a transaction


def ask_for_all(target, addresses):
    """Each address is accepted once, over the unix socket `target`; Wrong if one is not."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(target.removeprefix("unix:"))
        with connection.makefile("rb") as replies:
            _expect(replies, 1, b"220")
            connection.sendall(b"LHLO lookups.example\r\n")
            while (line := replies.readline())[3:4] == b"-":
                pass
            if not line.startswith(b"250 "):
                raise Wrong(f"LHLO: {line!r}")
            iterator = iter(addresses)
            while batch := list(itertools.islice(iterator, AT_ONCE)):
                commands = ["MAIL FROM:<>", *(f"RCPT TO:<{each}>" for each in batch), "RSET"]
                connection.sendall("".join(f"{each}\r\n" for each in commands).encode())
                _expect(replies, len(commands), b"250")


def _expect(replies, count, code):
    for _ in range(count):
        line = replies.readline()
        if line[:4] != code + b" ":
            raise Wrong(f"wanted {code.decode()}, got {line!r}")
