"""bench/slow-clients beside a test or a benchmark."""

import json
import signal
import subprocess

from .directory import REPOSITORY

PROGRAM = REPOSITORY / "bench" / "slow-clients"


class SlowClients:
    """`target` as blast's. As a context: they are all at their places, and slow, from the beginning to the end."""

    def __init__(self, target, clients, to, **options):
        self.command = ["/usr/bin/python3", PROGRAM, "-c", str(clients), "-t", to,
                        *(f"--{name}={value}" for name, value in options.items()), target]
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"slow-clients: {self.process.communicate()[1]}")
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def stop(self):
        """What became of them, as bench/slow-clients reports it."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, timeout=300):
        """The same, once the server has ended all of them."""
        output, errors = self.process.communicate(timeout=timeout)
        if self.process.returncode != 0:
            raise RuntimeError(f"slow-clients: {errors}")
        return json.loads(output)
