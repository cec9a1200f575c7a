"""CPU time of a program and of all that it started, from /proc."""

import os

TICK = os.sysconf("SC_CLK_TCK")


def seconds(pid):
    """{program: user and system time} of `pid` and its descendants.

    Those that were reaped count for the program that reaped them.
    """
    spent = {}
    for process in _tree(pid):
        try:
            with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
                # The name in brackets may hold anything; what follows it is numbers.
                name, _, rest = file.read().partition("(")[2].rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = rest.split()
        # utime, stime, cutime, cstime: fields 14 to 17 of proc(5).
        ticks = sum(int(field) for field in fields[11:15])
        spent[name] = spent.get(name, 0) + ticks / TICK
    return spent


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
