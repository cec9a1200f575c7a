"""Unix sockets that another process serves: they are left to it, be it Dovecot or another lmtpd."""

import contextlib
import os
import re
import signal
import socket
import stat

import pytest


@contextlib.contextmanager
def served(path, kind=socket.SOCK_STREAM, backlog=128):
    """This process takes connections there; afterwards nobody does, and the name stays."""
    with socket.socket(socket.AF_UNIX, kind) as other:
        other.bind(str(path))
        if kind == socket.SOCK_STREAM:
            other.listen(backlog)
        inode = path.lstat().st_ino
        yield other
        assert path.lstat().st_ino == inode, "it is the other's still"
        assert [name for name in os.listdir(path.parent) if name.endswith(".new")] == []


def connect(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def words(path):
    return f"socket {path}: pid {os.getpid()} (python3) takes connections there"


def test_it_is_not_taken(make_master):
    master = make_master()
    with served(master.socket):
        code, _, log = master.run()
        assert code == 1 and words(master.socket) in log, log
        assert not master.roles, "nothing was started"
    # Its process is gone.
    assert master.start().stop() == 0


def test_nor_is_one_of_another_kind(make_master):
    master = make_master()
    with served(master.socket, socket.SOCK_DGRAM):
        code, _, log = master.run()
    assert code == 1 and f"socket {master.socket}: another process takes connections there" in log, log


def test_nor_is_one_whose_process_accepts_nobody(make_master):
    master = make_master()
    with served(master.socket, backlog=0), socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(str(master.socket))
        code, _, log = master.run()
    assert code == 1 and f"socket {master.socket}: another process takes connections there" in log, log


def test_nor_is_one_of_another_lmtpd(make_master):
    first = make_master().start()
    second = make_master(listen=f"unix:{first.socket}")
    code, _, log = second.run()
    assert code == 1 and f"socket {first.socket}: pid {first.process.pid} (lmtpd) takes" in log, log
    connect(first.socket)
    assert first.stop() == 0
    assert second.start().stop() == 0


def test_nor_is_one_that_another_lmtpd_is_about_to_serve(make_master):
    first = make_master()
    first.mute.add("frontend 0")
    first.start(ready=False)
    frontend = first.wait_role("frontend 0")
    code, _, log = make_master(listen=f"unix:{first.socket}").run()
    assert code == 1 and f"socket {first.socket}.new: pid {first.process.pid} (lmtpd) takes" in log, log
    frontend.order("ready")
    first.wait_log("ready:")
    connect(first.socket)


def test_nor_is_one_that_is_served_by_the_time_that_the_roles_are_ready(make_master):
    master = make_master()
    master.mute.add("frontend 0")
    master.start(ready=False)
    frontend = master.wait_role("frontend 0")
    with served(master.socket):
        frontend.order("ready")
        assert master.wait() == 1
        assert words(master.socket) in master.log()
    assert not master.control.exists()


def test_a_reload_does_not_take_it_either(make_master):
    master = make_master().start()
    second = master.socket.parent / "second"
    with served(second):
        master.write_config(listen="unix:private/lmtp, unix:private/second")
        master.reload("reload refused")
        assert words(second) in master.log()
    connect(master.socket)
    master.reload("ready:")
    connect(second)


def test_a_reload_that_finds_it_served_when_all_is_ready_leaves_all_as_it_was(make_master):
    master = make_master().start()
    second = master.socket.parent / "second"
    master.mute.add("frontend 0")
    master.write_config(listen="unix:private/lmtp, unix:private/second", listen_mode="0600")
    before = master.socket.stat().st_ino
    master.signal(signal.SIGHUP)
    frontend = master.wait_role("frontend 0", number=1)
    with served(second):
        frontend.order("ready")
        master.wait_log("reload refused")
    assert master.socket.stat().st_ino == before
    connect(master.socket)
    assert master.control.exists()


def test_a_reload_takes_ones_own_anew(make_master):
    master = make_master().start()
    link = master.dir / "queue" / "link"
    link.symlink_to("private")
    for changes in ({"listen_mode": "0600"}, {"listen": "unix:link/lmtp", "listen_mode": "0640"}):
        master.write_config(**changes)
        master.reload("ready:")
        assert f"{stat.S_IMODE(master.socket.stat().st_mode):04o}" == changes["listen_mode"]
        connect(master.socket)


@pytest.mark.parametrize("title, name, changes", [
    ("lookup", "control", {}), ("frontend 0", "socket", {"listen_mode": "0600"})])
@pytest.mark.parametrize("backlog", [128, 0])
@pytest.mark.parametrize("dies", [False, True])
def test_nor_does_it_leave_ones_own_to_a_role_that_listens_itself(
        make_master, title, name, changes, backlog, dies):
    master = make_master().start()
    path = getattr(master, name)
    before = path.stat().st_ino
    role = master.wait_role(title)
    role.order(f"listen {backlog}")
    assert master.wait_event(role, "listens")["failed"] == "0"
    connect(path)  # with a backlog of 0 it is full now
    if dies:
        role.order("exit 1")
        master.wait_role(title, 1)
    master.write_config(**changes)
    master.reload("ready:")
    assert path.stat().st_ino != before
    connect(path)


def test_a_reload_makes_anew_what_somebody_removed(make_master):
    master = make_master().start()
    master.socket.unlink()
    with served(master.socket):
        master.reload("reload refused")
        assert words(master.socket) in master.log()
    master.reload("ready:")
    connect(master.socket)
    inode = master.socket.stat().st_ino
    master.reload("ready:")
    assert master.socket.stat().st_ino == inode
    assert master.stop() == 0
    assert os.listdir(master.socket.parent) == []


def test_control_socket_of_another_lmtpd_is_not_taken_at_a_reload(make_master):
    first, second = make_master().start(), make_master().start()
    inode = first.control.stat().st_ino
    own = second.control
    second.write_config(control_socket=first.control)
    second.reload("reload refused")
    assert re.search(rf"another lmtpd serves control_socket {first.control} \(pid {first.process.pid}\b",
                     second.log()), second.log()
    assert first.control.stat().st_ino == inode and own.exists()


def test_control_socket_comes_back_while_an_old_lookup_still_has_it(make_master):
    master = make_master()
    master.stubborn.add("frontend 0")
    master.start()
    for path in (master.dir / "elsewhere", master.control):
        master.write_config(control_socket=path)
        master.reload("ready:")
        connect(path)
    master.stubborn.clear()


@pytest.mark.parametrize("where", ["socket", "control"])
def test_what_a_killed_lmtpd_left_half_made_hinders_nobody(make_master, where):
    master = make_master()
    master.mute.add("frontend 0")
    master.start(ready=False)
    for role in ("frontend 0", "lookup"):
        master.wait_role(role)
    assert os.path.exists(f"{getattr(master, where)}.new")
    master.process.kill()
    master.wait()
    master.until(lambda: all(role.gone for role in master.roles))
    master.mute.clear()
    master.start()
    assert not os.path.exists(f"{getattr(master, where)}.new")
