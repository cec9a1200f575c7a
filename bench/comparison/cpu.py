"""CPU time of a program and of all that it started, from /proc."""

import os

TICK = os.sysconf("SC_CLK_TCK")


def seconds(pid):
    """User and system time of `pid`, its descendants, and those of them that were reaped."""
    total = 0.0
    for process in _tree(pid):
        try:
            with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
                # The name in brackets may hold anything; what follows it is numbers.
                fields = file.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # utime, stime, cutime, cstime: fields 14 to 17 of proc(5).
        total += sum(int(field) for field in fields[11:15]) / TICK
    return total


def _tree(root):
    children = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(int(name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found
