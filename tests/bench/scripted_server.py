"""A small LMTP server that is right, but for the one fault that a test gives it.

It answers each connection in a thread of its own. `replies` overrides the reply to a verb, or to
"greeting"; `after_dot(recipients)` gives the octets behind the final dot. CLOSE in place of a reply
closes the connection, STALL never answers.
"""
import pathlib
import socket
import threading

CLOSE = object()
STALL = object()

RIGHT = {
    "greeting": b"220 scripted LMTP\r\n",
    "LHLO": b"250-scripted\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n",
    "MAIL": b"250 2.1.0 ok\r\n",
    "RCPT": b"250 2.1.5 ok\r\n",
    "DATA": b"354 go on\r\n",
    "RSET": b"250 2.0.0 ok\r\n",
    "QUIT": b"221 2.0.0 bye\r\n",
}


def stored(recipients):
    return b"".join(b"250 2.0.0 <%s> stored\r\n" % address for address in recipients)


class ScriptedServer:
    def __init__(self, path, replies=None, after_dot=stored, maildirs=None):
        self.replies = {**RIGHT, **(replies or {})}
        self.after_dot = after_dot
        self.maildirs = maildirs and pathlib.Path(maildirs)
        self.messages = []  # (recipients, text) of each transaction
        self.verbs = []
        self._end = threading.Event()
        pathlib.Path(path).unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(100)
        self.target = f"unix:{path}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._end.set()
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as lines:
            try:
                self._converse(connection, lines)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client has failed, as the test wants

    def _converse(self, connection, lines):
        recipients = []
        if not self._answer(connection, self.replies["greeting"]):
            return
        for line in lines:
            verb = line[:4].decode().upper()
            self.verbs.append(verb)
            if not self._answer(connection, self.replies[verb]):
                return
            if verb in ("MAIL", "RSET"):
                recipients = []
            if verb == "RCPT" and self.replies["RCPT"].startswith(b"250"):
                recipients.append(line.split(b"<")[1].split(b">")[0])
            if verb == "QUIT":
                return
            if verb == "DATA" and self.replies["DATA"].startswith(b"354"):
                text = b""
                while (data := lines.readline()) != b".\r\n":
                    text += data[1:] if data.startswith(b".") else data
                self.messages.append((list(recipients), text))
                self._store(recipients, text)
                if not self._answer(connection, self.after_dot(recipients)):
                    return

    def _answer(self, connection, reply):
        if reply is STALL:
            self._end.wait()
        if reply is STALL or reply is CLOSE:
            return False
        connection.sendall(reply)
        return True

    def _store(self, recipients, text):
        if self.maildirs is None:
            return
        for recipient in recipients:
            local, _, domain = recipient.decode().partition("@")
            mailbox = self.maildirs / domain / local
            for folder in ("tmp", "new", "cur"):
                (mailbox / folder).mkdir(parents=True, exist_ok=True)
            path = mailbox / "new" / f"{len(self.messages)}.{len(list(mailbox.glob('new/*')))}"
            path.write_bytes(b"Return-Path: <x>\n" + text.replace(b"\r\n", b"\n"))
            path.chmod(0o600)
