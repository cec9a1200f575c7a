"""Socket activation, and the unit files."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess

import pytest

from testsite.directory import PATIENCE, free_port

CONTRIB = pathlib.Path(__file__).resolve().parents[2] / "contrib" / "systemd"


def activate(master, *listen):
    """systemd-socket-activate becomes lmtpd at the first connection."""
    master.start(command=["systemd-socket-activate", *(f"--listen={at}" for at in listen)],
                 ready=False)


def knock(master, path):
    client = socket.socket(socket.AF_UNIX)
    master.until(lambda: pathlib.Path(path).exists() and client.connect_ex(str(path)) == 0)
    client.close()


def test_activated_socket_is_used_and_left_alone(make_master):
    master = make_master()
    activate(master, master.socket)
    knock(master, master.socket)
    inode = master.socket.stat().st_ino
    master.wait_log("ready:")
    frontend = master.wait_role("frontend 0")
    assert [(e["index"], e["bound"]) for e in frontend.all("listener")] == [("0", f"unix:{master.socket}")]
    assert os.listdir(master.socket.parent) == ["lmtp"]
    assert master.stop() == 0
    assert master.socket.stat().st_ino == inode, "its name is the service manager's to remove"


def test_entry_without_an_activated_socket_is_bound(make_master):
    master = make_master(listen="unix:private/second, unix:private/lmtp")
    activate(master, master.socket)
    knock(master, master.socket)
    master.wait_log("ready:")
    frontend = master.wait_role("frontend 0")
    assert sorted(e["index"] for e in frontend.all("listener")) == ["0", "1"]
    assert master.stop() == 0
    assert os.listdir(master.socket.parent) == ["lmtp"]


def test_activated_socket_that_no_entry_names_is_an_error(make_master):
    master = make_master()
    other = master.dir / "other"
    activate(master, master.socket, other)
    knock(master, other)
    assert master.wait() == 78
    assert f"no entry of `listen` is unix:{other}" in master.log()
    assert not master.roles


def test_activated_tcp_socket(make_master):
    port = free_port()
    master = make_master(listen=f"inet:127.0.0.1:{port}")
    activate(master, f"127.0.0.1:{port}")
    client = socket.socket()
    master.until(lambda: client.connect_ex(("127.0.0.1", port)) == 0)
    master.wait_log("ready:")
    assert master.wait_role("frontend 0").all("listener")[0]["bound"] == f"inet:{port}"
    client.close()
    assert master.stop() == 0


def test_activated_socket_survives_a_reload(make_master):
    master = make_master()
    activate(master, master.socket)
    knock(master, master.socket)
    master.wait_log("ready:")
    master.signal(signal.SIGHUP)
    frontend = master.wait_role("frontend 0", 1)
    assert master.wait_event(frontend, "listener")["bound"] == f"unix:{master.socket}"
    assert master.stop() == 0


def start_with(master, descriptor, pid="$$", count="1"):
    """lmtpd with `descriptor` as 3 and the variables of sd_listen_fds(3)."""
    script = f'LISTEN_PID={pid} LISTEN_FDS={count} exec "$0" "$@" 3<&{descriptor.fileno()}'
    os.set_inheritable(descriptor.fileno(), True)
    return subprocess.run(["bash", "-c", script, str(master.program), "-c", str(master.config)],
                          pass_fds=[descriptor.fileno()], capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.parametrize("kind, listening, count, why", [
    (socket.SOCK_DGRAM, False, "1", "activated socket 3 (unknown): not a listening stream socket"),
    (socket.SOCK_STREAM, False, "1", "activated socket 3 (unknown): not a listening stream socket"),
    (socket.SOCK_STREAM, True, "many", "LISTEN_FDS=many: not a number of descriptors"),
    (socket.SOCK_STREAM, True, "-1", "LISTEN_FDS=-1: not a number of descriptors"),
    (socket.SOCK_STREAM, True, "9", "not a listening stream socket"),
])
def test_what_is_no_listening_socket_is_refused(make_master, kind, listening, count, why):
    master = make_master()
    with socket.socket(socket.AF_UNIX, kind) as given:
        given.bind(str(master.dir / "given"))
        if listening:
            given.listen()
        done = start_with(master, given, count=count)
    assert done.returncode == 1 and why in done.stderr
    assert not master.roles


def test_sockets_meant_for_another_process_are_not_taken(make_master):
    master = make_master(listen="unix:absent/lmtp")  # so that the start ends by itself
    with socket.socket(socket.AF_UNIX) as given:
        given.bind(str(master.dir / "given"))
        given.listen()
        done = start_with(master, given, pid="1")
    assert done.returncode == 78 and "absent" in done.stderr


def installed(tmp_path, program):
    """The units as `cmake --install` writes them, with a program that is there."""
    text = (CONTRIB / "lmtpd.service.in").read_text()
    text = text.replace("@CMAKE_INSTALL_FULL_SBINDIR@/lmtpd", str(program))
    assert "@" not in text.replace("@system-service", "")
    (tmp_path / "lmtpd.service").write_text(text)
    shutil.copy(CONTRIB / "lmtpd.socket", tmp_path)
    return [str(tmp_path / "lmtpd.service"), str(tmp_path / "lmtpd.socket")]


def test_units_are_valid(tmp_path):
    units = installed(tmp_path, os.environ["LMTPD_PROGRAM"])
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units],
                          capture_output=True, text=True)
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if "lmtpd" in line]
    assert done.returncode == 0 and not complaints, complaints


def test_units_are_confined(tmp_path):
    units = installed(tmp_path, os.environ["LMTPD_PROGRAM"])
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=45", units[0]],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def unit_value(key):
    text = (CONTRIB / "lmtpd.service.in").read_text()
    return [line.split("=", 1)[1] for line in text.splitlines() if line.startswith(key + "=")][0]


def test_the_units_capabilities_are_enough(make_master):
    names = [name.removeprefix("CAP_").lower() for name in unit_value("CapabilityBoundingSet").split()]
    master = make_master(virtual_minimum_uid=1)
    # A table that root reads only as one that may read everything.
    os.chown(master.dir / "mailboxes", 1001, 1001)
    (master.dir / "mailboxes").chmod(0o600)
    master.start(command=["setpriv", "--no-new-privs",
                          "--bounding-set=-all," + ",".join(f"+{name}" for name in names)])
    knock(master, master.socket)
    master.want_worker(1001)
    worker, lookup = master.wait_role("worker 1001:1001"), master.wait_role("lookup")
    master.wait_event(worker, "introduce")
    lookup.order("seal 1001 1001 domain.org/user/ 60")
    worker.order("make_mailbox 1 " + master.wait_event(lookup, "sealed")["ticket"])
    assert master.wait_event(worker, "mailbox_made")["made"] == "true"
    master.wait_role("frontend 0").order("expel_worker 1001 1001")
    master.until(lambda: worker.gone)
    assert master.stop() == 0
    assert not master.socket.exists()


def test_stop_waits_longer_than_the_roles_take():
    assert int(unit_value("TimeoutStopSec")) > 300 + 10 + 5, "drain_time's default, the workers' time and lookup's"


def test_users_are_made(tmp_path):
    (tmp_path / "etc").mkdir()
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", str(CONTRIB / "lmtpd.sysusers.conf")],
                   check=True, capture_output=True)
    users = dict(line.split(":", 1) for line in (tmp_path / "etc" / "passwd").read_text().splitlines())
    assert set(users) == {"lmtpd", "lmtpd-lookup", "lmtpd-sync"}
    ids = [entry.split(":")[1] for entry in users.values()]
    assert len(set(ids)) == 3 and "0" not in ids


def test_directory_is_made(tmp_path):
    subprocess.run(["systemd-tmpfiles", f"--root={tmp_path}", "--create",
                    str(CONTRIB / "lmtpd.tmpfiles.conf")], check=True, capture_output=True)
    status = (tmp_path / "run" / "lmtpd").stat()
    assert (status.st_uid, status.st_mode & 0o7777) == (0, 0o755)
