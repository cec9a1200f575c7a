"""As each role's uid, nothing can be done to any other role."""

import json
import pathlib
import pwd
import subprocess

import pytest

from testsite import PATIENCE

INTRUDER = pathlib.Path(__file__).parent / "testsite" / "intruder.py"


def attempt(uid, gid, pids, site):
    """What a program of that user could do to each of the processes."""
    # The tree may lie where only root can read.
    program = site.path / "intruder.py"
    program.write_text(INTRUDER.read_text())
    done = subprocess.run(["/usr/bin/python3", program, *map(str, pids)], user=uid, group=gid,
                          extra_groups=[], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return {int(pid): found for pid, found in json.loads(done.stdout).items()}


@pytest.fixture(scope="module")
def roles(make_module_daemon, shared_syncs):
    """{name: (pid, uid, gid)} of every process of a running daemon."""
    daemon = make_module_daemon(**shared_syncs)
    daemon.deliver(["user@domain.org", "user@foo.org"], b"Subject: both workers\n\n")
    frontend, lookup, sync = (pwd.getpwnam(name) for name in ("lmtpd", "lmtpd-lookup", "lmtpd-sync"))
    return {
        "master": (daemon.master, 0, 0),
        "frontend": (daemon.role("frontend")[0], frontend.pw_uid, frontend.pw_gid),
        "lookup": (daemon.role("lookup")[0], lookup.pw_uid, lookup.pw_gid),
        "committer": (daemon.role("committer")[0], sync.pw_uid, sync.pw_gid),
        "worker 1001": (daemon.worker(1001), 1001, 1001),
        "worker 1002": (daemon.worker(1002), 1002, 1002),
    }


ATTACKERS = ("frontend", "lookup", "committer", "worker 1001", "worker 1002")


@pytest.mark.parametrize("attacker", ATTACKERS)
def test_no_other_role_can_be_touched(attacker, roles, site):
    _, uid, gid = roles[attacker]
    victims = {name: pid for name, (pid, _, _) in roles.items() if name != attacker}
    assert len(set(victims.values())) == 5
    found = attempt(uid, gid, victims.values(), site)
    assert {name: found[pid] for name, pid in victims.items() if found[pid]} == {}


@pytest.mark.parametrize("role", ATTACKERS)
def test_nor_can_a_role_be_looked_into_by_its_own_user(role, roles, site):
    """A mailbox's owner may have a shell. He may end his worker; its keys and mail he cannot have."""
    pid, uid, gid = roles[role]
    assert set(attempt(uid, gid, [pid], site)[pid]) <= {"kill"}


def test_the_attempts_see_what_they_look_for(site):
    """Control: the same program of the same user, at a process that protects itself not."""
    with subprocess.Popen(["/usr/bin/sleep", "60"], user=1001, group=1001, extra_groups=[]) as victim:
        try:
            found = set(attempt(1001, 1001, [victim.pid], site)[victim.pid])
        finally:
            victim.kill()  # it may be stopped by what looked at it
    assert found == {"kill", "ptrace attach", "ptrace seize", "pidfd_getfd", "process_vm_readv",
                     "/proc/PID/mem", "/proc/PID/fd", "/proc/PID/environ"}


def test_no_role_holds_a_descriptor_of_what_is_not_its_own(roles, shared_syncs):
    """The frontend and the workers have no file of the configuration, lookup no mail; the committer has the root of
    the file system, and nothing else."""
    def descriptors(name):
        directory = pathlib.Path(f"/proc/{roles[name][0]}/fd")
        return {int(entry.name): str(entry.readlink()) for entry in directory.iterdir()}

    for name in ("frontend", "worker 1001", "worker 1002"):
        assert not [path for path in descriptors(name).values() if path.endswith((".cf", ".db"))], name
    for name in ("frontend", "lookup"):
        assert not [path for path in descriptors(name).values() if "/home" in path], name
    its = sorted(path for fd, path in descriptors("committer").items() if fd > 2)
    assert len(its) == 2 and its[0] == str(shared_syncs["mail_base"]) and its[1].startswith("socket:"), its
