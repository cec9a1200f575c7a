"""Old files in tmp/ go after a delivery, once a day, and keep no delivery waiting."""

import os
import re
import shutil
import subprocess

import pytest

from testsite import stored, wait_until
from testsite.filesystem import LoopFileSystem
from testsite.injection import STORED, codes
from testsite.trace import Trace

MESSAGE = b"Subject: swept\n\nbody\n"
LONG_AGO = "20200102030405"
OLD = 1000
A_TURN = 64  # entries
SYSCALLS = "poll,openat2,getdents64,unlinkat,sendmsg"


def set_back(disk, paths):
    """Gives files a ctime that no program could: where the file system lies, while it is not mounted."""
    inodes = [os.stat(path, follow_symlinks=False).st_ino for path in paths]
    disk.unmount()
    commands = "".join(f"set_inode_field <{inode}> ctime {LONG_AGO}\n" for inode in inodes)
    subprocess.run(["debugfs", "-w", "-f", "/dev/stdin", disk.image], input=commands, text=True,
                   capture_output=True, check=True)
    disk.mount()
    for path in paths:
        assert os.stat(path, follow_symlinks=False).st_ctime < 1_600_000_000, path


@pytest.fixture
def disk(site):
    with LoopFileSystem(site, "swept") as mounted:
        yield mounted
    shutil.rmtree(mounted.path)


@pytest.fixture
def mailbox(disk, make_daemon):
    """One that a daemon has made that runs no more."""
    daemon = make_daemon(virtual_mailbox_base=str(disk.path))
    assert codes(daemon.deliver("user@domain.org", MESSAGE).final) == [STORED]
    daemon.stop()
    return disk.path / "domain.org/mails/user"


@pytest.fixture
def start(disk, make_daemon):
    """A daemon whose worker runs, and has not delivered into that mailbox."""
    daemons = []

    def start(**parameters):
        daemons.append(make_daemon(virtual_mailbox_base=str(disk.path), **parameters))
        assert codes(daemons[-1].deliver("user2@domain.org", MESSAGE).final) == [STORED]
        return daemons[-1]
    yield start
    for daemon in daemons:
        daemon.stop()


@pytest.mark.parametrize("fsync", ["yes", "no"])
def test_old_files_go_after_the_reply_and_once_a_day(disk, mailbox, start, site, fsync):
    tmp = mailbox / "tmp"
    (tmp / "old").write_text("half a message")
    (tmp / ".hidden").write_text("whatever")
    (tmp / "directory").mkdir()
    (tmp / "link").symlink_to(stored(mailbox)[0].path)
    set_back(disk, list(tmp.iterdir()))
    (tmp / "young").write_text("half a message")
    daemon = start(fsync=fsync)
    with Trace(site.path, [daemon.worker(1001)], SYSCALLS) as trace:
        assert codes(daemon.deliver("user@domain.org", MESSAGE).final) == [STORED]
        daemon.wait_log("removed 1 files older than 36 hours from tmp/ of domain.org/mails/user")
    assert sorted(path.name for path in tmp.iterdir()) == [".hidden", "directory", "link", "young"]
    assert len(stored(mailbox)) == 2
    (removal,) = [call for call in trace.calls if call.name == "unlinkat" and '"old"' in call.arguments]
    (answer,) = [call for call in trace.calls if call.name == "sendmsg"]
    assert answer.ended < removal.started

    with Trace(site.path, [daemon.worker(1001)], SYSCALLS) as trace:
        for _ in range(3):
            assert codes(daemon.deliver("user@domain.org", MESSAGE).final) == [STORED]
        # The last thing that is done before it is looked for: nothing is to be swept before that.
        assert codes(daemon.deliver("user2@domain.org", MESSAGE).final) == [STORED]
    assert [call for call in trace.calls if call.name == "getdents64"] == []


def test_a_full_tmp_keeps_no_delivery_waiting(disk, mailbox, start, site):
    tmp = mailbox / "tmp"
    for count in range(OLD):
        (tmp / str(count)).touch()
    set_back(disk, list(tmp.iterdir()))
    daemon = start()
    replies = []
    # So slow a disk that the client is not overtaken by the sweep.
    with Trace(site.path, [daemon.worker(1001)], SYSCALLS, "unlinkat:delay_enter=5000") as trace:
        def swept():
            replies.extend(codes(daemon.deliver("user@domain.org", MESSAGE).final))
            return not any(tmp.iterdir())
        wait_until(swept, "every old file is gone", interval=0)
    assert set(replies) == {STORED}
    assert len(replies) > 2, "deliveries while it is swept"
    turns = [0]
    for call in trace.calls:
        if call.name == "poll":
            turns.append(0)
        turns[-1] += bool(re.search(r'/tmp>, "\d+", 0$', call.arguments))
    assert sum(turns) == OLD
    assert max(turns) <= A_TURN
