"""A proxy that makes PostgreSQL seem far away."""

import contextlib
import queue
import socket
import threading
import time


class Distance(threading.Thread):
    """A way to the database on which everything takes `seconds`, there and back."""

    host = "localhost"

    def __init__(self, postgres, seconds):
        super().__init__(daemon=True)
        self.postgres = postgres
        self.seconds = seconds
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            here, _ = self.listener.accept()
            there = socket.create_connection(("127.0.0.1", self.postgres.port))
            for source, sink in ((here, there), (there, here)):
                arriving = queue.Queue()
                threading.Thread(target=self._take, args=(source, arriving), daemon=True).start()
                threading.Thread(target=self._give, args=(arriving, sink), daemon=True).start()

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
