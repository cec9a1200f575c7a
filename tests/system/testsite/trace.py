"""What processes asked of the kernel, in order: strace(1) attached to them, and its output parsed."""

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

from .directory import stop_process, wait_until

LINE = re.compile(r"^(\d+) +(.*)$")
CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+|\?)")


class Call(NamedTuple):
    pid: int      # of the thread
    name: str
    arguments: str
    result: str
    started: int  # the line on which it begins
    ended: int    # the line on which its result stands
    injected: bool = False


class Trace:
    """with Trace(directory, pids) as trace: ...; then trace.calls

    `inject` is strace's, such as "fsync:error=EIO:when=1": the first fsync of each thread from now on,
    and of each child's, fails so.
    """

    SYSCALLS = ("write,writev,pwrite64,pwritev,sendmsg,sendto,fsync,fdatasync,syncfs,sync_file_range,"
                "link,linkat,rename,renameat,renameat2,unlink,unlinkat")

    def __init__(self, directory, pids, syscalls=SYSCALLS, inject=None):
        self.output = directory / f"strace.{'.'.join(map(str, pids))}"
        self.command = ["strace", "-f", "-y", "-s", "256", "-e", "trace=" + syscalls,
                        "-o", self.output]
        if inject:
            self.command += ["-e", "inject=" + inject]
        for pid in pids:
            self.command += ["-p", str(pid)]
        self.pids = pids
        self.calls = []
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: all(_is_traced(pid) for pid in self.pids) and self._is_at_rest(),
                   f"strace traces {self.pids}")
        return self

    def __exit__(self, *_):
        try:
            # What a client has heard of may be a call whose end strace has not seen yet.
            wait_until(self._is_at_rest, f"{self.pids} wait for something to do")
        finally:
            stop_process(self.process, signal.SIGINT)
            self.process.stderr.close()
        self.calls = list(parse(self.output.read_text(errors="replace")))

    def _is_at_rest(self):
        """Every thread sleeps: none is in the middle of a call, nor held by strace at one."""
        return not any(re.search(r"^State:\s+[^S]", status, re.MULTILINE)
                       for pid in self.pids for status in _statuses(pid))


def parse(text):
    """Calls that were cut in two by another process's line are one again."""
    unfinished = {}
    for number, line in enumerate(text.splitlines()):
        found = LINE.match(line)
        if not found:
            continue
        pid, rest = int(found.group(1)), found.group(2)
        started = number
        if rest.endswith("<unfinished ...>"):
            unfinished[pid] = (number, rest.removesuffix("<unfinished ...>").rstrip())
            continue
        resumed = re.match(r"^<\.\.\. \w+ resumed>(.*)$", rest)
        if resumed:
            started, begun = unfinished.pop(pid)
            rest = begun + resumed.group(1)
        call = CALL.match(rest)
        if call:
            yield Call(pid, call.group(1), call.group(2), call.group(3), started, number,
                       "(INJECTED)" in rest[call.end():])


def _statuses(pid):
    """/proc's of each thread; none of a process that has ended."""
    statuses = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return statuses
    for thread in threads:
        try:
            statuses.append(Path(f"/proc/{pid}/task/{thread}/status").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return statuses


def _is_traced(pid):
    """All its threads are: strace attaches to one after the other."""
    return not any(re.search(r"^TracerPid:\s+0$", status, re.MULTILINE) for status in _statuses(pid))
