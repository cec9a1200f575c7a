"""Proxies that stand before PostgreSQL: one makes it seem far away, one holds its answers back."""

import contextlib
import queue
import socket
import threading
import time


class Proxy(threading.Thread):
    """On `host`:port; relay() is given both sockets of each connection, and returns at once."""

    host = "localhost"

    def __init__(self, postgres):
        super().__init__(daemon=True)
        self.postgres = postgres
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            here, _ = self.listener.accept()
            self.relay(here, socket.create_connection(("127.0.0.1", self.postgres.port)))

    @staticmethod
    def in_background(work, *arguments):
        threading.Thread(target=work, args=arguments, daemon=True).start()


class Distance(Proxy):
    """A way to the database on which everything takes `seconds`, there and back."""

    def __init__(self, postgres, seconds):
        self.seconds = seconds
        super().__init__(postgres)

    def relay(self, here, there):
        for source, sink in ((here, there), (there, here)):
            arriving = queue.Queue()
            self.in_background(self._take, source, arriving)
            self.in_background(self._give, arriving, sink)

    def _take(self, source, arriving):
        with contextlib.suppress(ConnectionError):
            while octets := source.recv(65536):
                arriving.put((time.monotonic() + self.seconds / 2, octets))
        arriving.put((0, b""))

    @staticmethod
    def _give(arriving, sink):
        while (item := arriving.get())[1]:
            time.sleep(max(0, item[0] - time.monotonic()))
            with contextlib.suppress(OSError):
                sink.sendall(item[1])
        sink.close()


class HoldingProxy(Proxy):
    """After hold() answers wait here for let_through(), so that who calls it counts round trips.

    For a client with one connection.
    """

    def __init__(self, postgres):
        self._changed = threading.Condition()
        self._asked = 0      # statements that were sent on to the server
        self._answered = -1  # that were answered to the client; the first ReadyForQuery is the login's
        self._due = None     # answers up to this one pass; None: all
        super().__init__(postgres)

    def hold(self):
        """The answers to all that is asked from now on."""
        with self._changed:
            self._due = self._asked

    def let_through(self):
        """The answers to what was asked until now; returns how many that were."""
        with self._changed:
            count, self._due = self._asked - self._due, self._asked
            self._changed.notify_all()
            return count

    def held(self):
        """How many statements were asked since hold() or let_through()."""
        with self._changed:
            return self._asked - self._due

    def release(self):
        with self._changed:
            self._due = None
            self._changed.notify_all()

    def relay(self, here, there):
        self.in_background(self._ask, here, there)
        self.in_background(self._answer, there, here)

    def _ask(self, here, there):
        for message in _messages(here, bytearray()):
            with self._changed:
                there.sendall(message)
                self._asked += message[:1] in (b"S", b"Q")  # Sync, a simple query
        there.close()

    def _answer(self, there, here):
        begun = bytearray(there.recv(1))
        if begun == b"N":  # to SSLRequest, no more than this
            here.sendall(begun)
            begun.clear()
        with contextlib.suppress(OSError):
            for message in _messages(there, begun):
                with self._changed:
                    self._changed.wait_for(lambda: self._due is None or self._answered < self._due)
                    here.sendall(message)
                    self._answered += message[:1] == b"Z"  # ReadyForQuery
        here.close()


def _messages(source, begun):
    """Of PostgreSQL's protocol, whole; `begun` has come before. A client's first ones have no type, and begin
    with their length."""
    with contextlib.suppress(ConnectionError):
        while octets := source.recv(65536):
            begun += octets
            while len(begun) >= 5:
                head = 1 if begun[0] else 0
                size = head + int.from_bytes(begun[head:head + 4], "big")
                if len(begun) < size:
                    break
                yield bytes(begun[:size])
                del begun[:size]
