"""What the daemon is given to do while its disks are recorded.

Deliveries through syncs of their worker's own, and through those of the committer, which serve all: on disks that
have them (FileSystem.shares_syncs), and only where several are under way.
"""

import contextlib
import os
import signal
import time

from testsite.daemon import status
from testsite.directory import wait_until
from testsite.syncs import sync_page

from .gate import Gate, Verdict, largest_group, synced_alone
from .recording import DOMAINS, MANY, OWNED, SECOND, sync_file_system

# commit_timeout: nobody gives up a sync that is held, or soon everybody does.
PATIENCE, IMPATIENCE = "10m", "1s"
SIX = [f"u{number}@{domain}" for number in (1, 2) for domain in DOMAINS]


def every_kind(load, directory):
    """One after the other on one mail base, with shared syncs until the restart where a disk has them; and then what
    only shared syncs can show, for mail on such a disk."""
    _until_killed(load)
    configure(load, commit_file_systems="")
    _restarted(load, directory)
    if sharing := _sharing(load):
        _shared_syncs(load, directory, sharing)


def _sharing(load):
    """As many recipients as SIX, or four of one domain, whose mail is on a disk with shared syncs."""
    base = load.mailsite.mail_base
    disks = {recorder.target: recorder.file_system for recorder in load.recorders}
    domains = [domain for domain in DOMAINS if disks.get(base / domain, disks[base]).shares_syncs]
    return [f"u{number}@{domain}" for number in range(1, 5) for domain in domains][:len(SIX)]


def _shared_syncs(load, directory, sharing):
    daemon = load.mailsite.daemon
    with Gate(directory) as gate:
        configure(load, PATIENCE)
        daemon.start(wrapper=gate.wrapper)
        _shared_group(load, gate)
        daemon.stop()
        daemon.start(wrapper=gate.wrapper)
        shared(load, gate, "shared", sharing)
        _commits_between(load, gate, load.together, [["u1@first.example", "u1@second.example"]])
        _kill_committer(load, gate, sharing)
        shared(load, gate, "successor", sharing)
        daemon.stop()
        configure(load, IMPATIENCE)
        daemon.start(wrapper=gate.wrapper)
        _late(load, gate)
        daemon.stop()
        daemon.start(wrapper=gate.wrapper)
        _late_for_the_name(load, gate, sharing)
        daemon.stop()


OLD_MAILBOX = "old"  # what the keys of messages begin with that come into one


def lone_only(load, gate, decide):
    """One message after the other into one mailbox, until its chain of directories is no longer synced
    with them; and then those that count. `decide` is asked all the time."""
    gate.release(decide)
    load.mailsite.daemon.start(wrapper=gate.wrapper)
    load.settle("first", ["u1@first.example"])
    load.lone(OLD_MAILBOX, ["u1@first.example"] * 3)
    assert not any(call.is_shared for call in gate.calls)


def shared_only(load, gate, verdict):
    """The same for several owners; then messages at the same time, with this verdict on shared syncs."""
    configure(load, PATIENCE)
    load.mailsite.daemon.start(wrapper=gate.wrapper)
    load.settle("first", SIX)
    assert all(call.is_shared for call in shared(load, gate, OLD_MAILBOX, SIX, verdict)), gate.calls


def configure(load, commit_timeout=None, commit_file_systems=None):
    """Before the daemon starts. None: the default."""
    daemon = load.mailsite.daemon
    daemon.parameters |= {"commit_timeout": commit_timeout, "commit_file_systems": commit_file_systems}
    daemon.write()


def _until_killed(load):
    load.mailsite.daemon.start()
    load.lone("lone", ["u1@first.example", "u1@second.example", "u1@first.example"])
    load.at_once("at once", [[recipient] for recipient in SIX]).wait()
    load.at_once("new", [[f"u{number}@{domain}"] for number in (3, 4) for domain in DOMAINS]).wait()
    load.to_all("many", [f"u{number}@{domain}" for number in (1, 2, 3) for domain in DOMAINS])
    load.lone("memfd", ["u2@first.example"], 100 << 10)
    load.lone("large", ["u2@second.example"], 300 << 10)
    have = len(load.acknowledged)
    running = load.at_once("killed", [[recipient] * 6 for recipient in SIX])
    wait_until(lambda: len(load.acknowledged) > have + 6, "deliveries before the daemon is killed")
    load.mailsite.kill()
    running.wait()


def _restarted(load, directory):
    daemon = load.mailsite.daemon
    daemon.start()
    load.at_once("restarted", [["u1@first.example", "u5@first.example"], ["u1@second.example"]]).wait()
    daemon.stop()
    with Gate(directory) as gate:
        daemon.start(wrapper=gate.wrapper)
        _groups(load, gate)
        _commits_between(load, gate, load.at_once, [["u1@first.example"], ["u1@second.example"]])
        gate.release()
        daemon.stop()


def _groups(load, gate):
    """More recipients than a worker has threads, in mailboxes that it makes; and a worker without threads."""
    load.to_all("owned", [f"u{number}@{OWNED}" for number in range(1, MANY + 1)])
    calls = gate.calls[:]
    assert largest_group(calls) > 1, calls
    base = load.mailsite.mail_base
    synced = {call.path for call in calls if call.name == "fsync" and call.is_directory}
    assert {str(base), str(base / OWNED), str(base / OWNED / "mails")} <= synced, synced
    assert not any(call.name == "syncfs" for call in calls), calls

    load.lone("alone", ["u1@first.example"])
    load.mailsite.daemon.take_threads(DOMAINS["first.example"])
    before = len(gate.calls)
    recipients = [f"u{number}@first.example" for number in range(1, 5)]
    load.to_all("grouped", recipients)
    assert largest_group(gate.calls[before:]) == len(recipients), gate.calls[before:]


def _shared_group(load, gate):
    """A worker without threads, whose group waits for two shared syncs. Of two disks the second has them."""
    load.lone("alone", [f"u1@{SECOND}"])
    load.mailsite.daemon.take_threads(DOMAINS[SECOND])
    before = len(gate.calls)
    load.to_all("shared group", [f"u{number}@{SECOND}" for number in range(1, 5)])
    calls = gate.calls[before:]
    assert sum(call.is_shared for call in calls) == 2 and not synced_alone(calls), calls


def _hold_shared(call):
    return Verdict.HOLD if call.is_shared else Verdict.PASS


def gather(load, gate, name, recipients, each=1):
    """Starts `each` messages for each. Returns when a shared sync is held, and one for each is in tmp/."""
    before = len(load.mailsite.files_in("tmp"))
    gate.release(_hold_shared)
    running = load.together(name, [recipients[::2], recipients[1::2]], each)
    wait_until(lambda: gate.held() and len(load.mailsite.files_in("tmp")) == before + len(recipients),
               "all are in tmp/")
    return running


def shared(load, gate, name, recipients, verdict=Verdict.PASS):
    """Two messages for each, of which none is synced by itself; and a sync serves several. Returns all Calls."""
    have, before = len(load.acknowledged), len(gate.calls)
    running = gather(load, gate, name, recipients, each=2)
    gate.release(lambda call: verdict if call.is_shared else Verdict.PASS, verdict)
    running.wait()
    calls = gate.calls[before:]
    steps = 2 * (len(load.acknowledged) - have)  # before and after publishing
    assert 1 < sum(call.is_shared for call in calls) < steps and not synced_alone(calls), calls
    return calls


def _commits_between(load, gate, deliver, lists):
    """Between any two steps of a delivery the file system commits: because another program syncs it, and
    because its time has come."""
    for commit in (lambda: sync_file_system(load.mailsite.mail_base),
                   lambda: sync_file_system(load.mailsite.mail_base / SECOND),
                   lambda: _wait_for_commit(load)):
        gate.decide = lambda call: Verdict.HOLD
        running = deliver("commit", lists)
        while wait_until(lambda: gate.held() or running.over(), "a sync") is not True:
            commit()
            gate.release(lambda call: Verdict.HOLD)
        running.wait()


def _wait_for_commit(load, at_most=1.5):
    """Where nothing is to be committed, as long as a commit takes to come (see recorder.py)."""
    before = load.moment()
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: load.moment() != before, "a commit", at_most)


def _kill_committer(load, gate, recipients):
    """SIGKILL in a sync that several messages in new/ wait for: they are refused, and there all the same."""
    mailsite = load.mailsite
    have, before = len(load.refused), mailsite.unproven()
    running = gather(load, gate, "committer killed", recipients, each=2)
    while wait_until(gate.held, "a shared sync") and mailsite.unproven() < before + 2:
        gate.release(_hold_shared)
    (committer,) = mailsite.daemon.role("committer")
    threads = status(committer)["Threads"]
    os.kill(committer, signal.SIGKILL)
    gate.release()
    running.wait()
    refused, load.refused[have:] = load.refused[have:], []
    assert refused and all(reply.startswith("451 ") for _, _, reply in refused), refused
    wait_until(lambda: [pid for pid in mailsite.daemon.role("committer")
                        if pid != committer and status(pid).get("Threads") == threads], "a successor")


def _late(load, gate):
    """A shared sync hangs: all that wait for it sync by themselves."""
    gate.decide = _hold_shared
    load.to_all("late", SIX)
    assert all(call.is_shared for call in gate.held()) and gate.held()
    gate.release()


def _late_for_the_name(load, gate, recipients):
    """A shared sync hangs once messages are in new/: files that another sync has made durable, and then new/ synced by
    itself. Again where that one was late, too: all sync by themselves then, for a while."""
    mailsite = load.mailsite

    def happens():
        if sync_page(mailsite.daemon).rests_until > time.monotonic_ns():
            return False
        before, published = len(gate.calls), mailsite.unproven()
        gate.decide = lambda call: _hold_shared(call) if mailsite.unproven() > published else Verdict.PASS
        load.to_all("late for the name", recipients)
        gate.release()
        calls = gate.calls[before:]
        files = {os.path.dirname(os.path.dirname(path)) for path in synced_alone(calls)}
        names = {os.path.dirname(call.path) for call in calls if call.name == "fsync" and call.path.endswith("/new")}
        return names - files

    wait_until(happens, "a message whose file a shared sync made durable, and its name its own")
