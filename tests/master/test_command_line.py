"""The command line, what is checked before anything starts, and the exit statuses."""

import os
import re
import signal
import subprocess

import pytest

from harness import FRONTEND_USER, LMTPD, WITHOUT_SYNCS


def test_changed_parameters(make_master):
    master = make_master(frontend_processes=3)
    code, out, _ = master.run("-n")
    assert code == 0
    lines = out.splitlines()
    assert "frontend_processes = 3" in lines
    assert f"queue_directory = {master.dir}/queue" in lines
    assert not [line for line in lines if line.startswith("recipient_delimiter")]


def test_check_asks_lookup_and_touches_nothing(make_master):
    master = make_master(virtual_minimum_uid=100)
    code, _, log = master.run("-t")
    assert code == 0, log
    lookup = master.wait_role("lookup")
    assert lookup.all("file") and master.wait_event(lookup, "stop")
    assert [r.title for r in master.roles] == ["lookup"]
    assert os.listdir(master.socket.parent) == [] and not master.control.exists()
    assert "virtual_minimum_uid = 100 is below UID_MIN" in log
    assert f"{master.config}: in order" in log


@pytest.mark.parametrize("changes, quiet, words", [
    ({"client_connection_limit": "100", "connection_limit": "100"}, {"connection_limit": "101"},
     "client_connection_limit = 100 is not below connection_limit = 100"),
    ({"connection_limit": "100000"}, {"frontend_processes": "2"},
     "connection_limit = 100000 is 100000 for each of frontend_processes = 1, which has 65536 descriptors"),
    ({"message_size_limit": "52428800", "frontend_processes": "8"}, {"spool_limit": "419430400"},
     "message_size_limit = 52428800 is more than 33554432, what each of frontend_processes = 8 has of "
     "spool_limit = 268435456, and announces: Postfix bounces what is larger"),
    ({"tls_cert_file": "/no/such/file"}, {"tls_cert_file": ""}, "no listener has TLS"),
])
def test_check_warns_of_what_is_seldom_meant(make_master, changes, quiet, words):
    code, _, log = make_master(**changes).run("-t")
    assert code == 0 and words in log, log
    code, _, log = make_master(**{**changes, **quiet}).run("-t")
    assert code == 0 and words not in log, log


def test_a_configuration_without_syncs_is_warned_of(make_master):
    code, _, log = make_master(fsync="no").run("-t")
    assert code == 0, log
    assert re.search(WITHOUT_SYNCS, log), log
    assert "fsync" not in make_master().run("-t")[2]


def test_so_is_a_daemon_at_its_start(make_master):
    master = make_master(fsync="no").start()
    assert len(re.findall(WITHOUT_SYNCS, master.log())) == 1, master.log()
    assert master.stop() == 0


def test_check_fails_with_what_lookup_refuses(make_master):
    master = make_master()
    master.mute.add("lookup")
    process = subprocess.Popen([str(master.program), "-t", "-c", str(master.config)],
                               stderr=subprocess.PIPE, text=True)
    master.process = process
    lookup = master.wait_role("lookup")
    master.wait_event(lookup, "start")
    lookup.order("exit 78")
    assert master.wait() == 78
    assert "lookup refused the configuration" in process.communicate()[1]


def test_check_does_not_mind_a_running_lmtpd(make_master):
    master = make_master().start()
    running = master.process
    inode = master.socket.stat().st_ino
    assert master.run("-t")[0] == 0
    master.process = running
    assert running.poll() is None and master.socket.stat().st_ino == inode


@pytest.mark.parametrize("mode", [["-t"], []], ids=["check", "start"])
@pytest.mark.parametrize("changes, parameter, why", [
    ({"frontend_user": "lmtpd-no-such"}, "frontend_user",
     "user lmtpd-no-such does not exist; make it with: useradd"),
    ({"lookup_user": "lmtpd-no-such"}, "lookup_user", "user lmtpd-no-such does not exist"),
    ({"lookup_user": FRONTEND_USER}, "lookup_user", "frontend_user"),
    ({"commit_file_systems": "xfs", "sync_user": "lmtpd-no-such"}, "sync_user", "user lmtpd-no-such does not exist"),
    ({"commit_file_systems": "xfs", "sync_user": FRONTEND_USER}, "sync_user", "frontend_user"),
    ({"frontend_user": "root"}, "frontend_user", "user root has root's uid or gid"),
    ({"virtual_mailbox_base": "/no/such/dir"}, "virtual_mailbox_base",
     "directory /no/such/dir: No such file or directory"),
    ({"virtual_mailbox_base": "/etc/passwd"}, "virtual_mailbox_base", "Not a directory"),
    ({"virtual_mailbox_maps": "texthash:/no/such"}, "virtual_mailbox_maps",
     "/no/such: No such file or directory"),
    ({"virtual_mailbox_maps": "texthash:/etc"}, "virtual_mailbox_maps", "/etc: not a regular file"),
    ({"no_such_parameter": "1"}, "no_such_parameter", ""),
    ({"frontend_processes": "many"}, "frontend_processes", ""),
])
def test_configuration_errors_exit_78_and_name_file_line_and_parameter(
        make_master, mode, changes, parameter, why):
    master = make_master(**changes)
    code, _, log = master.run(*mode)
    assert code == 78, log
    line = [number for number, text in enumerate(master.config.read_text().splitlines(), 1)
            if text.startswith(parameter)][0]
    assert f"{master.config}:{line}: {parameter}" in log
    assert why in log
    assert not master.roles


def test_missing_configuration_file_exits_78(make_master):
    master = make_master()
    master.config.unlink()
    code, _, log = master.run()
    assert code == 78 and f"{master.config}" in log and "No such file or directory" in log


def test_wrong_command_line():
    done = subprocess.run([LMTPD, "--frobnicate"], capture_output=True, text=True)
    assert done.returncode == 64
    assert "unknown argument --frobnicate" in done.stderr and "usage: lmtpd" in done.stderr
    assert subprocess.run([LMTPD, "-c"], capture_output=True).returncode == 64


def test_not_root(make_master):
    master = make_master()
    done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "--regid=65534",
                           str(master.program), "-c", str(master.config)],
                          capture_output=True, text=True)
    assert done.returncode == 77 and "not root" in done.stderr


def test_relative_configuration_file_survives_a_reload(make_master):
    master = make_master()
    master.process = subprocess.Popen([str(master.program), "-c", "lmtpd.cf"], cwd=master.dir,
                                      stderr=open(master.log_file, "ab"))
    master.wait_log("ready:")
    master.signal(signal.SIGHUP)
    master.wait_role("lookup", 1)
    assert master.stop() == 0


def test_missing_role_program_is_named(make_master):
    master = make_master()
    (master.dir / "bin" / "lmtpd-worker").unlink()
    code, _, log = master.run()
    assert code == 1 and "lmtpd-worker: neither in" in log


def test_role_programs_are_found_in_libexec(make_master):
    master = make_master()
    libexec = master.dir / "libexec" / "lmtpd"
    libexec.mkdir(parents=True)
    for role in ("frontend", "lookup", "worker"):
        (master.dir / "bin" / f"lmtpd-{role}").rename(libexec / f"lmtpd-{role}")
    # The observer stands beside the roles.
    os.link(master.dir / "bin" / "observer", libexec / "observer")
    master.start()
    assert master.stop() == 0


def test_links_none_of_the_libraries_that_parse_what_comes_from_outside():
    needed = subprocess.run(["readelf", "-d", LMTPD], capture_output=True, text=True, check=True).stdout
    for library in ("libevent", "libpq", "libssl", "libcrypto", "libsqlite", "libicu"):
        assert library not in needed
