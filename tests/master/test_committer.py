"""The committer: only where a file system has a shared sync, and what it and the workers get of each."""

import os
import pwd
import signal
import subprocess

import pytest

from harness import SYNC_USER
from testsite.directory import SiteDirectory
from testsite.filesystem import SharingFileSystem

WORKER = "worker 1001:1001"


def sync_user_id():
    return str(pwd.getpwnam(SYNC_USER).pw_uid)


def served(committer):
    """[(path, [what each descriptor is])] of the file systems that it was told of."""
    return [(event["path"], event["descriptors"].split(",")) for event in committer.all("file_system_to_sync")]


def kinds(descriptors):
    """Without the inodes' numbers."""
    return [kind.rsplit(" ", 1)[0] for kind in descriptors]


def started(master, title):
    return [role for role in master.roles if role.title == title]


@pytest.fixture(scope="module", name="base")
def mail_base():
    """A file system with a shared sync."""
    directory = SiteDirectory("lmtpd-committer")
    try:
        with SharingFileSystem(directory, "mail") as mounted:
            yield mounted.path
    finally:
        directory.remove()


@pytest.fixture
def make_sharing(make_master, base):
    """make_sharing(**parameters): a master whose mail base that is."""
    return lambda **parameters: make_master(**{"virtual_mailbox_base": base, "commit_file_systems": None, **parameters})


@pytest.fixture
def mount():
    """mount(directory, *arguments of mount(8)), until the test's end."""
    mounted = []

    def make(directory, *arguments):
        subprocess.run(["mount", *arguments, directory], check=True)
        mounted.append(directory)

    yield make
    for directory in reversed(mounted):
        subprocess.run(["umount", directory], check=True)


def test_it_gets_page_bell_and_root_and_a_worker_can_only_read_the_page_and_ring(make_sharing, base):
    master = make_sharing().start()
    committer = master.wait_role("committer")
    (told,) = committer.all("configure")
    assert (told["uid"], told["has_key"]) == (sync_user_id(), "false")
    assert not committer.all("file") and not committer.all("listener")
    assert [each["writable"] for each in committer.all("counter_page")] == ["true"]
    ((path, its),) = served(committer)
    assert path == str(base) and not committer.all("shared_sync")
    assert kinds(its) == ["file both", "file read", "directory read"]
    assert its[2].endswith(f" {base.stat().st_ino}")
    for uid in (1001, 1002):
        master.want_worker(uid)
        worker = master.wait_role(f"worker {uid}:{uid}")
        (told,) = worker.all("shared_sync")
        assert int(told["device"]) == base.stat().st_dev and not worker.all("file_system_to_sync")
        workers = told["descriptors"].split(",")
        assert kinds(workers) == ["file read", "file both"]
        assert [kind.split()[-1] for kind in workers] == [kind.split()[-1] for kind in its[:2]]
    for title in ("lookup", "frontend 0"):
        other = master.wait_role(title)
        assert not other.all("shared_sync") and not other.all("file_system_to_sync")
    assert f"{base} " in master.log() and "one sync serves all deliveries that wait" in master.log()


@pytest.mark.parametrize("parameters", [
    {"commit_file_systems": ""},
    {"fsync": "no"},
    {"commit_file_systems": "btrfs"},
], ids=["no type", "no sync", "another type"])
def test_there_is_none_where_nothing_is_shared(make_sharing, parameters):
    master = make_sharing(**parameters).start()
    master.want_worker(1001)
    assert not master.wait_role(WORKER).all("shared_sync")
    assert not started(master, "committer")
    assert "one sync serves" not in master.log()
    assert master.stop() == 0


def test_its_user_need_not_exist_where_nothing_is_shared(make_master):
    master = make_master(commit_file_systems="", sync_user="lmtpd-no-such").start()
    assert master.stop() == 0


def test_another_user_needs_a_restart(make_sharing):
    master = make_sharing().start()
    committer = master.wait_role("committer")
    master.write_config(sync_user="games")
    master.signal(signal.SIGHUP)
    master.wait_log("reload refused; the configuration of before stays")
    assert "sync_user: changed, which needs a restart" in master.log()
    master.settle()
    assert not committer.gone and not committer.all("stop")
    assert started(master, "committer") == [committer]


def test_there_is_none_for_a_check(make_sharing):
    master = make_sharing()
    code, _, log = master.run("-t")
    assert code == 0, log
    assert [role.title for role in master.roles] == ["lookup"]


def test_a_file_system_is_served_once_and_one_of_another_type_is_not(make_sharing, base, mount):
    """One that is mounted twice has one sync; a tmpfs has none."""
    master = make_sharing()
    for name in ("again", "bound", "other"):
        (base / name).mkdir()
    mount(base / "again", "--bind", base / "bound")
    mount(base / "other", "-t", "tmpfs", "tmpfs")
    master.start()
    assert [path for path, _ in served(master.wait_role("committer"))] == [str(base)]
    assert master.stop() == 0


def test_lmtpd_is_ready_once_the_committer_is(make_sharing):
    master = make_sharing()
    master.mute.add("committer")
    master.start(ready=False)
    for title in ("lookup", "frontend 0", "committer"):
        master.wait_event(master.wait_role(title), "start")
    master.settle()
    assert "ready:" not in master.log() and not master.socket.exists()
    master.wait_role("committer").order("ready")
    master.wait_log("ready:")


def test_the_next_one_has_the_file_system_opened_anew(make_sharing):
    """An open file that a predecessor had has told its errors to that. What is shared with workers stays."""
    master = make_sharing().start()
    master.want_worker(1001)
    worker = master.wait_role(WORKER)
    before = served(master.wait_role("committer"))
    for life in range(2):
        os.kill(master.wait_role("committer", life).pid, signal.SIGKILL)
        # fake_role has changed the root's open file: it would be "directory read nonblock".
        assert served(master.wait_role("committer", life + 1)) == before
    assert "committer (pid " in master.log() and "started again in 200 ms" in master.log()
    master.settle()
    assert len(worker.all("shared_sync")) == 1
    assert not [role for role in master.roles if role.gone and role.title != "committer"]


def test_what_was_mounted_over_is_not_served_by_the_next_one(make_sharing, base, mount):
    master = make_sharing().start()
    mount(base, "-t", "tmpfs", "tmpfs")
    master.wait_role("committer").order("exit 1")
    assert served(master.wait_role("committer", 1)) == []
    assert (f"{base}: each delivery syncs by itself until the committer's next start: another file system is mounted "
            "there" in master.log())
    assert master.stop() == 0


def test_it_ends_after_the_workers_and_is_restarted_until_then(make_sharing):
    master = make_sharing()
    master.stubborn.update({"frontend 0", WORKER})
    master.start()
    master.want_worker(1001)
    worker = master.wait_role(WORKER)
    master.signal(signal.SIGTERM)
    master.wait_event(master.wait_role("frontend 0"), "stop")
    master.wait_role("committer").order("exit 1")
    committer = master.wait_role("committer", 1)
    master.wait_role("frontend 0").order("exit 0")
    master.wait_event(worker, "stop")
    master.settle()
    assert not committer.all("stop")
    worker.order("exit 0")
    master.wait_event(committer, "stop")
    assert master.wait() == 0
    assert "killed" not in master.log()


def test_one_that_hangs_does_not_keep_lmtpd_from_its_end(make_sharing):
    """As its process does whose sync hangs in the kernel, though that would not even be killed."""
    master = make_sharing()
    master.stubborn.add("committer")
    master.start()
    assert master.stop() == 0
    assert "committer" in master.log() and "did not end in time: killed" in master.log()


def test_it_ends_with_master(make_sharing):
    master = make_sharing().start()
    committer = master.wait_role("committer")
    master.process.kill()
    master.process.wait()
    master.wait_event(committer, "control_ended")
    master.until(lambda: committer.gone)


@pytest.mark.parametrize("order", ["start_worker 0 1001 1001", "expel_worker 1001 1001", "make_mailbox 1 00", "ready"])
def test_it_may_say_nothing_but_ready_and_that_once(make_sharing, order):
    master = make_sharing().start()
    master.wait_role("committer").order(order)
    assert master.wait_role("committer", 1)
    assert "that it may not send: killed" in master.log()
    assert not [role for role in master.roles if role.title.startswith("worker")]


def test_a_new_generation_has_its_own(make_sharing):
    """The old one's serves the transactions that are under way."""
    master = make_sharing()
    master.stubborn.add("frontend 0")
    master.start()
    master.want_worker(1001)
    old = master.wait_role("committer")
    master.reload("ready:")
    master.wait_event(master.wait_role("frontend 0"), "stop")
    new = master.wait_role("committer", 1)
    ((path, olds),), ((new_path, news),) = served(old), served(new)
    assert (path, kinds(olds)) == (new_path, kinds(news))
    assert olds[0] != news[0] and olds[1] != news[1], "neither page nor bell is shared"
    master.settle()
    assert not old.all("stop") and not old.gone
    master.wait_role("frontend 0").order("exit 0")
    master.wait_event(old, "stop")
    master.until(lambda: old.gone)
    assert not new.gone


def test_it_comes_and_goes_with_reloads(make_sharing):
    master = make_sharing()
    master.write_config(commit_file_systems="")
    master.start()
    assert not started(master, "committer")
    master.write_config(commit_file_systems=None)  # the default
    master.reload("ready:")
    committer = master.wait_role("committer")
    assert len(served(committer)) == 1
    master.write_config(commit_file_systems="")
    master.reload("ready:")
    master.until(lambda: committer.gone)
    assert master.stop() == 0
    assert len(started(master, "committer")) == 1
