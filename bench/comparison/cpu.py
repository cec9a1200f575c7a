"""CPU time of a program and of all that it started, from /proc."""

import os

TICK = os.sysconf("SC_CLK_TCK")


def seconds(*pids):
    """{program: user and system time} of `pids` and their descendants.

    Those that were reaped count for the program that reaped them.
    """
    return {name: user + system for name, (user, system) in split(*pids).items()}


def split(*pids):
    """As seconds(), with the two apart: {program: (user, system)}."""
    spent = {}
    for process in tree(*pids):
        try:
            with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
                # The name in brackets may hold anything; what follows it is numbers.
                name, _, rest = file.read().partition("(")[2].rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        # utime, stime, cutime, cstime: fields 14 to 17 of proc(5).
        user, system, reaped_user, reaped_system = (
            int(field) / TICK for field in rest.split()[11:15])
        before = spent.get(name, (0, 0))
        spent[name] = (before[0] + user + reaped_user, before[1] + system + reaped_system)
    return spent


def tree(*roots):
    """`roots` and their descendants, each once."""
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
    found = list(dict.fromkeys(roots))
    for pid in found:
        found += [child for child in children.get(pid, []) if child not in found]
    return found
