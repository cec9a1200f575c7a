"""An LMTP client that shows every octet: one raw socket, and the dialogue as it was."""

import socket
from typing import NamedTuple

from .directory import PATIENCE


class Reply(NamedTuple):
    code: int
    lines: tuple  # the text of each line, without the code

    @property
    def text(self):
        return self.lines[-1]

    @property
    def enhanced(self):
        """'2.1.5' of '250 2.1.5 ok'; '' where there is none."""
        first = self.text.split(" ", 1)[0]
        return first if first.count(".") == 2 else ""

    def __str__(self):
        return f"{self.code} {self.text}"


class Outcome(NamedTuple):
    mail: Reply
    recipients: tuple  # the reply to each RCPT
    data: Reply
    final: tuple  # a reply for each accepted RCPT, in order


class Lmtp:
    """`target` is a socket's path, or (host, port), and `source` the address that it is called from. `preamble` is
    sent before all else. `tls`: an SSLContext, for TLS from the first octet."""

    def __init__(self, target, timeout=PATIENCE, tls=None, preamble=b"", source=None):
        self.transcript = []
        self._buffer = b""
        if isinstance(target, tuple):
            self.socket = socket.create_connection(target, timeout, (source, 0) if source else None)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(str(target))
        self.socket.sendall(preamble)
        if tls:
            self.socket = tls.wrap_socket(self.socket, suppress_ragged_eofs=False)
        self.greeting = self.reply()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, octets):
        for line in octets.split(b"\r\n")[:12]:
            if line:
                self.transcript.append("C: " + line[:200].decode("utf-8", "replace"))
        self.socket.sendall(octets)

    def command(self, line):
        self.send(_octets(line) + b"\r\n")
        return self.reply()

    def reply(self):
        lines = []
        while True:
            line = self._line()
            self.transcript.append("S: " + line)
            lines.append(line[4:])
            if line[3:4] != "-":
                return Reply(int(line[:3]), tuple(lines))

    def at_end(self):
        """The server has closed, and nothing was left unread."""
        return self._buffer == b"" and self.socket.recv(1) == b""

    def lhlo(self, name="client.test"):
        return self.command("LHLO " + name)

    def starttls(self, context):
        """Says it, and shakes hands; LHLO is due again."""
        reply = self.command("STARTTLS")
        assert reply.code == 220, reply
        self.socket = context.wrap_socket(self.socket, suppress_ragged_eofs=False)

    def envelope(self, sender, recipients, parameters=""):
        """MAIL, each RCPT and DATA, pipelined; replies to all, and whether data is awaited."""
        lines = [_octets(f"MAIL FROM:<{sender}>{parameters}")]
        lines += [b"RCPT TO:<" + _octets(recipient) + b">" for recipient in recipients]
        self.send(b"\r\n".join(lines + [b"DATA", b""]))
        mail = self.reply()
        accepted = tuple(self.reply() for _ in recipients)
        return mail, accepted, self.reply()

    def deliver(self, sender, recipients, message, parameters=""):
        """One transaction of one message (octets, LF or CRLF line ends)."""
        mail, accepted, data = self.envelope(sender, recipients, parameters)
        final = ()
        if data.code == 354:
            self.send(dotted(message))
            final = tuple(self.reply() for reply in accepted if reply.code == 250)
        return Outcome(mail, accepted, data, final)

    def quit(self):
        reply = self.command("QUIT")
        self.close()
        return reply

    def dialogue(self):
        return "\n".join(self.transcript)

    def _line(self):
        while b"\r\n" not in self._buffer:
            received = self.socket.recv(65536)
            if not received:
                raise ConnectionError("the server closed the connection:\n" + self.dialogue())
            self._buffer += received
        line, self._buffer = self._buffer.split(b"\r\n", 1)
        return line.decode("utf-8", "surrogateescape")


def _octets(text):
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def dotted(message):
    """The message as DATA carries it (RFC 5321 4.5.2), the end included."""
    lines = _octets(message).replace(b"\r\n", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"
