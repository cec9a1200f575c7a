"""The unix and TCP sockets: owner, mode, what is replaced and what is not."""

import grp
import os
import pwd
import signal
import socket
import stat

import pytest

from harness import LISTEN_OWNER
from testsite.directory import PATIENCE, free_port


def owner():
    return pwd.getpwnam(LISTEN_OWNER).pw_uid, grp.getgrnam(LISTEN_OWNER).gr_gid


def reaches_frontend(master, family, address):
    """A connection is made, and the frontend holds the socket that listens."""
    client = socket.socket(family)
    client.settimeout(PATIENCE)
    client.connect(address)
    client.close()


def test_owner_mode_and_place(make_master):
    master = make_master(listen_mode="0620").start()
    status = master.socket.lstat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o620
    assert (status.st_uid, status.st_gid) == owner()
    assert os.listdir(master.socket.parent) == ["lmtp"], "no temporary name stays"
    reaches_frontend(master, socket.AF_UNIX, str(master.socket))
    control = master.control.stat()
    assert (control.st_uid, control.st_gid, stat.S_IMODE(control.st_mode)) == (0, 0, 0o600)


def test_socket_in_a_directory_of_roots(make_master):
    master = make_master(listen="unix:lmtp").start()
    status = (master.dir / "queue" / "lmtp").lstat()
    assert (status.st_uid, status.st_gid) == owner() and stat.S_IMODE(status.st_mode) == 0o660


def test_directory_of_another_user_is_refused(make_master):
    master = make_master()
    os.chown(master.socket.parent, pwd.getpwnam("games").pw_uid, 0)
    code, _, log = master.run()
    assert code == 78
    assert f"directory {master.socket.parent} belongs to uid {pwd.getpwnam('games').pw_uid}" in log
    assert os.listdir(master.socket.parent) == []


def test_group_writable_directory_of_roots_is_no_place_for_root(make_master):
    # Its group could put a hard link in the socket's place before the chown.
    master = make_master(listen="unix:shared/lmtp")
    shared = master.dir / "queue" / "shared"
    shared.mkdir()
    shared.chmod(0o775)
    code, _, log = master.run()
    assert code == 78 and "Permission denied" in log


def test_stale_socket_is_replaced(make_master):
    master = make_master()
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(master.socket))
    stale.close()
    old = master.socket.lstat().st_ino
    master.start()
    reaches_frontend(master, socket.AF_UNIX, str(master.socket))
    assert master.socket.lstat().st_ino != old or stat.S_IMODE(master.socket.lstat().st_mode) == 0o660


def test_left_over_temporary_name_is_replaced(make_master):
    master = make_master()
    left = socket.socket(socket.AF_UNIX)
    left.bind(f"{master.socket}.new")
    left.close()
    os.chown(f"{master.socket}.new", *owner())
    master.start()
    assert os.listdir(master.socket.parent) == ["lmtp"]


def make_file(path):
    path.write_text("precious")


def make_link(path):
    target = path.parent / "target"
    target.write_text("precious")
    path.symlink_to(target)


@pytest.mark.parametrize("place", [make_file, make_link, os.mkdir], ids=["file", "symlink", "directory"])
@pytest.mark.parametrize("where", ["socket", "control"])
def test_only_a_socket_is_replaced(make_master, place, where):
    master = make_master()
    path = getattr(master, where)
    place(path)
    before = path.lstat()
    code, _, log = master.run()
    assert code == 78
    assert f"socket {path}: what is there is not a socket, and is not replaced" in log
    assert path.lstat().st_ino == before.st_ino
    if place is not os.mkdir:
        assert path.read_text() == "precious"
    assert not [r for r in master.roles], "nothing was started"


def test_missing_directory_is_named(make_master):
    master = make_master(listen="unix:absent/lmtp")
    code, _, log = master.run()
    assert code == 78
    assert f"directory {master.dir}/queue/absent: No such file or directory" in log


@pytest.mark.parametrize("names, missing", [
    ("lmtpd-no-such:daemon", "user lmtpd-no-such does not exist"),
    ("daemon:lmtpd-no-such", "group lmtpd-no-such does not exist"),
])
def test_missing_owner_is_named(make_master, names, missing):
    master = make_master(listen_owner=names)
    code, _, log = master.run()
    assert code == 78
    assert "listen_owner" in log and missing in log and str(master.config) in log


def test_owner_is_not_needed_without_a_unix_socket(make_master):
    master = make_master(listen=f"inet:127.0.0.1:{free_port()}", listen_owner="lmtpd-no-such:daemon")
    assert master.start().stop() == 0


def test_too_long_path_is_refused(make_master):
    master = make_master(listen="unix:" + "a" * 100)
    code, _, log = master.run()
    assert code == 78 and "octets" in log


def test_socket_of_another_process_is_left_at_the_end(make_master):
    master = make_master().start()
    master.socket.unlink()
    other = socket.socket(socket.AF_UNIX)
    other.bind(str(master.socket))
    other.listen()
    assert master.stop() == 0
    reaches_frontend(master, socket.AF_UNIX, str(master.socket))
    other.close()


def test_second_lmtpd_of_one_configuration_does_not_start(make_master):
    master = make_master().start()
    first = master.process
    code, _, log = master.run()
    assert code == 1 and f"another lmtpd serves control_socket {master.control}" in log
    master.process = first
    assert first.poll() is None
    reaches_frontend(master, socket.AF_UNIX, str(master.socket))


def test_lmtpd_that_was_killed_is_followed(make_master):
    master = make_master().start()
    master.process.kill()
    master.wait()
    master.until(lambda: all(r.gone for r in master.roles))
    assert master.socket.exists() and master.control.exists()
    master.log_file.unlink()
    master.start()
    reaches_frontend(master, socket.AF_UNIX, str(master.socket))


@pytest.mark.parametrize("listen, addresses", [
    ("inet:127.0.0.1:{port}", [(socket.AF_INET, "127.0.0.1")]),
    ("inet:[::1]:{port}", [(socket.AF_INET6, "::1")]),
    ("inet:*:{port}", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]),
    ("unix:private/lmtp, inet:127.0.0.1:{port}, inet:[::1]:{port}",
     [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]),
])
def test_tcp(make_master, listen, addresses):
    port = free_port()
    master = make_master(listen=listen.format(port=port)).start()
    for family, host in addresses:
        reaches_frontend(master, family, (host, port))
    frontend = master.wait_role("frontend 0")
    indices = [int(e["index"]) for e in frontend.all("listener")]
    assert indices == ([0, 1, 2] if "," in listen else [0] * len(addresses))
    assert master.stop() == 0
    for family, host in addresses:
        with socket.socket(family) as client:
            assert client.connect_ex((host, port)) != 0


@pytest.mark.parametrize("mode", [["-t"], []], ids=["check", "start"])
@pytest.mark.parametrize("listeners, differ", [
    ({"listen": "inet:127.0.0.1:{port}, {{inet:localhost:{port} auth=no}}"},
     "inet:127.0.0.1:{port} and {{inet:localhost:{port} auth=no}} are one socket, 127.0.0.1:{port}, and differ"),
    ({"listen": "inet:127.0.0.1:{port}", "socketmap_listen": "inet:localhost:{port}"},
     "inet:127.0.0.1:{port} and inet:localhost:{port} are one socket, 127.0.0.1:{port}, and differ"),
    ({"socketmap_listen": "unix:link/lmtp"},
     "unix:private/lmtp and unix:link/lmtp are one socket, unix:{dir}/queue/private/lmtp, and differ"),
], ids=["options", "socketmap", "unix"])
def test_one_socket_serves_one_thing(make_master, mode, listeners, differ):
    port = free_port()
    master = make_master(**{name: value.format(port=port) for name, value in listeners.items()})
    (master.dir / "queue" / "link").symlink_to("private")
    code, _, log = master.run(*mode)
    assert code == 78 and f"{differ.format(port=port, dir=master.dir)} in what it serves" in log, log


@pytest.mark.parametrize("listen, differ", [
    ("inet:*:{port}, {{inet:127.0.0.1:{port} auth=no}}", "inet:*:{port} has every address of its port"),
    ("{{inet:[::1]:{port} auth=no}}, inet:*:{port}", "inet:*:{port} has every address of its port"),
])
def test_check_knows_that_all_addresses_leave_none_to_another(make_master, listen, differ):
    port = free_port()
    master = make_master(listen=listen.format(port=port))
    code, _, log = master.run("-t")
    assert code == 1 and differ.format(port=port) in log, log
    code, _, log = master.run()
    assert code == 1 and "Address already in use" in log
    master.write_config(listen=f"inet:*:{port}, inet:127.0.0.1:{port + 1}, inet:[::1]:{port - 1}, unix:private/lmtp")
    assert master.run("-t")[0] == 0


def test_two_names_of_one_socket_are_one_listener(make_master):
    master = make_master(listen="unix:private/lmtp, unix:link/lmtp")
    (master.dir / "queue" / "link").symlink_to("private")
    assert master.run("-t")[0] == 0
    master.start()
    assert [e["index"] for e in master.wait_role("frontend 0").all("listener")] == ["0"]
    reaches_frontend(master, socket.AF_UNIX, str(master.socket))
    assert master.stop() == 0


def test_port_in_use_is_no_configuration_error(make_master):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, _, log = make_master(listen=f"inet:127.0.0.1:{port}").run()
    assert code == 1 and f"listening on 127.0.0.1:{port}: Address already in use" in log


def test_socket_is_removed_when_the_start_fails(make_master):
    master = make_master()
    master.mute.add("frontend 0")
    master.start(ready=False)
    master.wait_event(master.wait_role("frontend 0"), "start")
    master.signal(signal.SIGTERM)
    assert master.wait() == 0
    assert os.listdir(master.socket.parent) == [] and not master.control.exists()
