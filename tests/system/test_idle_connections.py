"""Ten thousand clients that are connected and say nothing cost memory only, and not much of it."""

import re
import resource
from pathlib import Path

import pytest

from testsite.daemon import descendants

CONNECTIONS = 10_000
MEBIBYTE = 1 << 20
MESSAGE = b"Subject: beside them\n\nbody\n"


@pytest.fixture
def descriptors():
    """Enough of them for this process's ends."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert before[1] >= CONNECTIONS + 1000
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def resident(master):
    """Octets of master and its children; what they share is counted once."""
    pages = 0
    for pid in [master, *descendants(master)]:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        pages += int(re.search(r"^Pss:\s+(\d+) kB$", rollup, re.MULTILINE)[1])
    return pages * 1024


def test_idle_connections(daemon, descriptors):
    clients = [daemon.client() for _ in range(CONNECTIONS)]
    for client in clients:
        assert client.command("LHLO client.example").code == 250
    assert [reply.code for reply in daemon.deliver("user@domain.org", MESSAGE).final] == [250]
    octets = resident(daemon.master)
    print(f"{CONNECTIONS} connections: {octets / MEBIBYTE:.1f} MiB in all processes")
    assert octets < 100 * MEBIBYTE
    for client in clients:
        client.close()
