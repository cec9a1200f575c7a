"""Roles: what they are given, how they are restarted, and in which order they end."""

import os
import pwd
import resource
import signal
import socket
import time

import pytest

from harness import FRONTEND_USER, KIND_FRONTEND, KIND_LOOKUP, LOOKUP_USER


def open_descriptors(pid):
    return {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}


def test_lookup_gets_key_files_and_control_socket_and_frontends_get_listeners(make_master):
    master = make_master(frontend_processes=2).start()
    lookup = master.wait_role("lookup")
    assert lookup.all("configure")[0]["has_key"] == "true"
    assert lookup.all("configure")[0]["uid"] == str(pwd.getpwnam(LOOKUP_USER).pw_uid)
    assert len(lookup.all("file")) == 1
    assert lookup.all("file")[0]["path"] == str(master.dir / "mailboxes")
    assert bytes.fromhex(lookup.all("file")[0]["contents"]) == b"user@domain.org domain.org/user/\n"
    assert [e["index"] for e in lookup.all("listener")] == ["0"]
    assert lookup.all("listener")[0]["bound"].startswith(f"unix:{master.control}")
    assert [e["writable"] for e in lookup.all("counter_page")] == ["false"]
    for number in (0, 1):
        frontend = master.wait_role(f"frontend {number}")
        assert frontend.all("configure")[0]["instance"] == str(number)
        assert frontend.all("configure")[0]["has_key"] == "false"
        assert frontend.all("configure")[0]["uid"] == str(pwd.getpwnam(FRONTEND_USER).pw_uid)
        assert not frontend.all("file")
        assert len(frontend.all("listener")) == 1
        assert [e["writable"] for e in frontend.all("counter_page")] == ["true"]
        assert master.wait_event(frontend, "introduce", kind=KIND_LOOKUP)
        assert master.wait_event(lookup, "introduce", kind=KIND_FRONTEND, instance=number)


def test_frontends_get_the_files_of_trusted_clients(make_master, tmp_path):
    trusted = tmp_path / "trusted"
    trusted.write_text("192.0.2.0/24\n")
    master = make_master(trusted_clients=f"!192.0.2.1, {trusted}").start()
    files = master.wait_role("frontend 0").all("file")
    assert [(e["path"], bytes.fromhex(e["contents"])) for e in files] == [(str(trusted), b"192.0.2.0/24\n")]


def test_introduced_roles_reach_each_other(make_master):
    master = make_master().start()
    lookup, frontend = master.wait_role("lookup"), master.wait_role("frontend 0")
    master.wait_event(frontend, "introduce")
    frontend.order("say 0 question")
    assert master.wait_event(lookup, "heard")["text"] == "question"


def test_nothing_is_sent_between_start_and_ready(make_master):
    master = make_master()
    master.mute.add("frontend 0")
    master.start(ready=False)
    frontend = master.wait_role("frontend 0")
    master.wait_event(frontend, "start")
    master.settle()
    assert frontend.events[-1]["event"] == "start"
    assert "ready:" not in master.log()
    assert not master.socket.exists(), "nobody would answer there yet"
    frontend.order("ready")
    master.wait_event(frontend, "introduce")
    master.wait_log("ready:")


def test_role_inherits_nothing_but_its_control_channel(make_master, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "secret")
    monkeypatch.setenv("TZ", "UTC")
    master = make_master()
    # Descriptors, an ignored and a blocked signal that a careless starter would leave to lmtpd.
    leak_read, leak_write = os.pipe()
    os.set_inheritable(leak_write, True)

    def careless():
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])

    master.start(pass_fds=[leak_write], preexec_fn=careless)
    master.want_worker(1001)
    os.close(leak_read)
    os.close(leak_write)
    for title in ("lookup", "frontend 0", "worker 1001:1001"):
        role = master.wait_role(title)
        master.wait_event(role, "introduce")
        fds = open_descriptors(role.pid)
        observer = int(role.all("hello")[0]["observer"])
        assert (fds[0], fds[1], fds[2]) == ("/dev/null", "/dev/null", str(master.log_file))
        assert fds[3].startswith("socket:")
        # The observer's, the listeners' and the introduced peers', which master sent; nothing else.
        others = {n: to for n, to in fds.items() if n > 3 and n != observer}
        expected = len(role.all("listener")) + len(role.all("introduce"))
        assert len(others) == expected and all(to.startswith("socket:") for to in others.values()), \
            (title, fds)
        environment = open(f"/proc/{role.pid}/environ").read().strip("\0").split("\0")
        assert sorted(v.split("=")[0] for v in environment) == ["PATH", "TZ"]
        status = dict(line.split(":\t", 1) for line in open(f"/proc/{role.pid}/status").read().splitlines()
                      if ":\t" in line)
        assert int(status["SigBlk"], 16) == 0
        assert int(status["SigIgn"], 16) == 0
        assert role.all("hello")[0]["sid"] == str(role.pid), "a terminal's Ctrl-C is master's"
        limit = [line.split() for line in open(f"/proc/{role.pid}/limits") if "open files" in line][0]
        assert limit[3] == limit[4] and int(limit[3]) >= resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def test_dead_frontend_is_restarted_with_back_off_and_all_it_needs(make_master):
    master = make_master().start()
    lookup = master.wait_role("lookup")
    waits = []
    for life in range(3):
        frontend = master.wait_role("frontend 0", life)
        master.wait_event(frontend, "introduce")
        died = time.monotonic()
        os.kill(frontend.pid, signal.SIGKILL)
        successor = master.wait_role("frontend 0", life + 1)
        waits.append(successor.events[0]["at"] - died)
        master.wait_event(successor, "listener")
        master.wait_event(successor, "introduce", kind=KIND_LOOKUP)
        # Lookup loses the old channel and gets a new one.
        master.wait_event(lookup, "introduce", number=life + 1)
        master.wait_event(lookup, "channel_ended", number=life)
    assert waits[0] >= 0.1 and waits[1] >= 0.2 and waits[2] >= 0.4
    assert f"frontend 0 (pid {frontend.pid}) killed by signal 9 (Killed); started again in 400 ms" \
        in master.log()
    assert "ready:" in master.log() and master.log().count("ready:") == 1


def test_restarted_role_is_of_masters_own_build(make_master):
    master = make_master().start()
    frontend = master.wait_role("frontend 0")
    assert open(f"/proc/{frontend.pid}/comm").read() == "lmtpd-frontend\n"
    # As dpkg unpacks a new version.
    program = master.dir / "bin" / "lmtpd-frontend"
    (master.dir / "bin" / "new").write_text("another build")
    (master.dir / "bin" / "new").rename(program)
    frontend.order("exit 1")
    second = master.wait_role("frontend 0", 1)
    assert os.readlink(f"/proc/{second.pid}/exe") == f"{program} (deleted)"


def test_restarted_lookup_is_introduced_to_every_frontend(make_master):
    master = make_master(frontend_processes=2).start()
    master.wait_role("lookup").order("exit 3")
    second = master.wait_role("lookup", 1)
    assert second.all("file") or master.wait_event(second, "file")
    for number in (0, 1):
        frontend = master.wait_role(f"frontend {number}")
        master.wait_event(frontend, "introduce", number=1, kind=KIND_LOOKUP)
        master.wait_event(second, "introduce", kind=KIND_FRONTEND, instance=number)
    assert "exited with status 3" in master.log()


def test_a_frontend_that_has_lost_lookup_gets_another_channel_and_not_at_any_rate(make_master):
    master = make_master(frontend_processes=2).start()
    lookup, frontend = master.wait_role("lookup"), master.wait_role("frontend 1")
    master.wait_event(frontend, "introduce")
    for number in range(1, 5):
        def introduced():
            frontend.order("want_lookup")
            return len(frontend.all("introduce", kind=KIND_LOOKUP)) > number
        master.until(introduced)
        master.wait_event(lookup, "introduce", number, kind=KIND_FRONTEND, instance=1)
    # 100, 200, 400, 800 ms between one and the next.
    times = [event["at"] for event in frontend.all("introduce")]
    assert times[4] - times[0] >= 1.4
    frontend.order("say 4 question")
    assert master.wait_event(lookup, "heard")["text"] == "question"
    assert len(master.wait_role("frontend 0").all("introduce")) == 1
    assert len(master.roles) == 3


def test_restarted_lookup_reads_files_from_their_beginning(make_master):
    master = make_master().start()
    master.wait_role("lookup").order("exit 1")
    second = master.wait_role("lookup", 1)
    assert bytes.fromhex(master.wait_event(second, "file")["contents"]).startswith(b"user@domain.org")


@pytest.mark.parametrize("title, order", [
    ("frontend 0", "start_worker 0 1001 1001"),       # lookup's word
    ("lookup", "expel_worker 1001 1001"),             # a frontend's
    ("lookup", "want_lookup"),                        # a frontend's
    ("frontend 0", "make_mailbox 1 00"),              # a worker's
    ("lookup", "start_worker 7 1001 1001"),           # there is no such frontend
    ("frontend 0", "ready"),                          # said before
])
def test_role_that_says_what_it_may_not_is_killed_and_restarted(make_master, title, order):
    master = make_master().start()
    master.wait_role(title).order(order)
    assert master.wait_role(title, 1)
    assert "that it may not send: killed" in master.log()
    assert not [r for r in master.roles if r.title.startswith("worker")]


def test_roles_end_in_order(make_master):
    master = make_master()
    master.stubborn.update({"frontend 0", "worker 1001:1001"})
    master.start()
    master.want_worker(1001)
    frontend, lookup = master.wait_role("frontend 0"), master.wait_role("lookup")
    worker = master.wait_role("worker 1001:1001")
    master.wait_event(worker, "introduce")
    master.signal(signal.SIGTERM)
    master.wait_event(frontend, "stop")
    assert not master.socket.exists(), "nobody takes connections there any more"
    master.settle()
    assert not worker.all("stop") and not lookup.all("stop")
    # A transaction under way still gets its worker.
    master.want_worker(1002)
    master.wait_event(master.wait_role("worker 1002:1002"), "introduce")
    frontend.order("exit 0")
    master.wait_event(worker, "stop")
    master.settle()
    assert not lookup.all("stop")
    worker.order("exit 0")
    master.wait_event(lookup, "stop")
    assert master.wait() == 0
    assert not master.control.exists()
    assert "killed" not in master.log()
    assert all(not os.path.exists(f"/proc/{r.pid}") for r in master.roles)


def test_what_does_not_end_within_drain_time_is_killed(make_master):
    master = make_master(drain_time="1s")
    master.stubborn.add("frontend 0")
    master.start()
    began = time.monotonic()
    assert master.stop() == 0
    assert time.monotonic() - began >= 1, master.log()
    assert "frontend 0" in master.log() and "did not end in time: killed" in master.log()


def test_second_sigterm_does_not_wait_for_drain_time(make_master):
    master = make_master(drain_time="300s")
    master.stubborn.update({"frontend 0", "worker 1001:1001", "lookup"})
    master.start()
    master.want_worker(1001)
    master.wait_event(master.wait_role("worker 1001:1001"), "introduce")
    master.signal(signal.SIGTERM)
    master.wait_event(master.wait_role("frontend 0"), "stop")
    master.signal(signal.SIGTERM)
    assert master.wait() == 0


def test_roles_end_with_master(make_master):
    master = make_master().start()
    master.want_worker(1001)
    roles = [master.wait_role(t) for t in ("lookup", "frontend 0", "worker 1001:1001")]
    master.process.kill()
    master.process.wait()
    for role in roles:
        master.wait_event(role, "control_ended")
        master.until(lambda role=role: role.gone)


def test_role_that_refuses_the_configuration_ends_the_start_with_78(make_master):
    master = make_master()
    master.mute.add("lookup")
    master.start(ready=False)
    master.wait_event(master.wait_role("lookup"), "start")
    master.wait_role("lookup").order("exit 78")
    assert master.wait() == 78
    assert "lookup refused the configuration" in master.log()
    assert not master.socket.exists()


def test_role_that_dies_during_the_start_is_tried_again(make_master):
    master = make_master()
    master.mute.add("lookup")
    master.start(ready=False)
    master.wait_event(master.wait_role("lookup"), "start")
    master.mute.clear()
    master.wait_role("lookup").order("exit 1")
    master.wait_log("ready:")


def test_service_manager_is_told(make_master):
    master = make_master()
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    name = f"\0lmtpd-test-{os.getpid()}"
    told.bind(name)
    told.setblocking(False)

    def hear():
        try:
            return told.recv(4096).decode()
        except BlockingIOError:
            return None

    master.start(ready=False, env={**os.environ, "NOTIFY_SOCKET": "@" + name[1:]})
    assert master.until(hear).startswith("READY=1\n")
    master.signal(signal.SIGHUP)
    assert master.until(hear).startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert master.until(hear).startswith("READY=1\n")
    master.signal(signal.SIGTERM)
    assert master.until(hear) == "STOPPING=1"
    assert master.wait() == 0
    told.close()
