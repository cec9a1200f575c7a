"""What a system call's failure is to the client, and which calls can be made to fail."""

import collections
import re

STORED = (250, "2.0.0")
NOT_KNOWN = (451, "4.3.0")

# By errno. It may come again, but where a quota is full.
REPLY = {
    "EDQUOT": (552, "5.2.2"),
    "ENOSPC": (452, "4.3.1"), "EMFILE": (452, "4.3.1"), "ENFILE": (452, "4.3.1"), "ENOMEM": (452, "4.3.1"),
    "EACCES": (451, "4.2.0"), "EROFS": (451, "4.2.0"), "EPERM": (451, "4.2.0"), "ELOOP": (451, "4.2.0"),
    "EIO": (451, "4.3.0"), "EFBIG": (451, "4.3.0"), "EMLINK": (451, "4.3.0"),
}


def numbers(calls, name, where=""):
    """The places of the calls whose arguments match, among those of its name in one thread, from 1: strace's when=."""
    found = set()
    counts = collections.Counter()
    for call in calls:
        if call.name == name:
            counts[call.pid] += 1
            if re.search(where, call.arguments):
                found.add(counts[call.pid])
    assert found, f"no {name} {where} was seen"
    return sorted(found)


def codes(replies):
    return [(reply.code, reply.enhanced) for reply in replies]
