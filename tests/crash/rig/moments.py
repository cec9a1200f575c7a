"""Which numbers of entries several logs had at one time, sampled by a process that does nothing else.

As a program: moments.py LOG LOG  prints pairs until its input ends.
"""

import mmap
import os
import select
import struct
import subprocess
import sys


class Sampler:
    """with Sampler(recorders) as sampler: ...; then sampler.moments"""

    def __init__(self, recorders):
        self._logs = [str(recorder.log) for recorder in recorders]
        self._process = None
        self.moments = []

    def __enter__(self):
        self._process = subprocess.Popen([sys.executable, os.path.abspath(__file__), *self._logs],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "sampling\n"
        return self

    def __exit__(self, *_):
        output, _ = self._process.communicate(timeout=30)
        self.moments = [tuple(map(int, line.split())) for line in output.splitlines()]


def sample(first, second):
    """A pair counts if the first has not changed while the second was read."""
    entries = struct.Struct("<Q").unpack_from
    poll = select.poll()
    poll.register(0, select.POLLHUP | select.POLLIN)
    moments = []
    last = None
    while not poll.poll(0):
        for _ in range(500):
            before = entries(first, 16)
            pair = (before, entries(second, 16))
            if pair != last and entries(first, 16) == before:
                moments.append(pair)
                last = pair
    return moments


def main():
    maps = []
    for path in sys.argv[1:]:
        with open(path, "rb") as log:
            maps.append(mmap.mmap(log.fileno(), 512, prot=mmap.PROT_READ))
    print("sampling", flush=True)
    for (first,), (second,) in sample(*maps):
        print(first, second)


if __name__ == "__main__":
    main()
