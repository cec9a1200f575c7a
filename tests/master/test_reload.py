"""SIGHUP: a new generation beside the old one, or none."""

import os
import re
import signal
import socket
import stat
import threading
import time

import pytest

from harness import WITHOUT_SYNCS, kept_from_its_end


def generation(master, number):
    """The roles of the number-th generation, where none died."""
    return master.wait_role("lookup", number), master.wait_role("frontend 0", number)


def test_new_generation_takes_over_and_the_old_one_drains(make_master):
    master = make_master()
    master.stubborn.update({"frontend 0"})
    master.start()
    old_lookup, old_frontend = generation(master, 0)
    master.want_worker(1001)
    old_worker = master.wait_role("worker 1001:1001")
    master.wait_event(old_worker, "introduce")
    inode = master.socket.stat().st_ino
    (master.dir / "mailboxes").write_text("another@domain.org domain.org/another/\n")
    master.reload("ready:")
    lookup, frontend = generation(master, 1)
    assert b"another@" in bytes.fromhex(lookup.all("file")[0]["contents"])
    assert master.socket.stat().st_ino == inode, "the listening socket is the same"
    master.wait_event(frontend, "introduce")
    master.wait_event(old_frontend, "stop")
    master.settle()
    # A transaction of the old generation still has its lookup and workers.
    assert not old_lookup.all("stop") and not old_worker.all("stop")
    old_lookup.order("start_worker 0 1002 1002")
    master.wait_event(old_frontend, "introduce", uid=1002)
    master.wait_event(master.wait_role("worker 1002:1002"), "introduce")
    old_frontend.order("exit 0")
    for role in (old_worker, old_lookup):
        master.wait_event(role, "stop")
        master.until(lambda role=role: role.gone)
    assert not lookup.gone and not frontend.gone
    master.stubborn.clear()
    assert master.stop() == 0


def test_ticket_key_is_shared(make_master):
    master = make_master()
    master.stubborn.add("frontend 0")
    master.start()
    old_lookup = master.wait_role("lookup")
    master.reload("ready:")
    old_lookup.order("seal 1001 1001 domain.org/user/ 60")
    ticket = master.wait_event(old_lookup, "sealed")["ticket"]
    new_lookup, new_frontend = generation(master, 1)
    new_lookup.order("start_worker 0 1001 1001")
    master.wait_event(new_frontend, "introduce", uid=1001)
    worker = master.wait_role("worker 1001:1001")
    master.wait_event(worker, "introduce")
    worker.order(f"make_mailbox 1 {ticket}")
    assert master.wait_event(worker, "mailbox_made")["made"] == "true"


@pytest.mark.parametrize("changes, why", [
    ({"virtual_mailbox_base": "relative"}, "virtual_mailbox_base"),
    ({"virtual_mailbox_maps": "texthash:/no/such/file"}, "/no/such/file"),
    ({"no_such_parameter": "1"}, "no_such_parameter"),
    ({"listen": "unix:absent/lmtp"}, "absent"),
    ({"trusted_clients": "/no/such/file"}, "trusted_clients: /no/such/file"),
    ({"trusted_clients": "/etc/passwd"}, "trusted_clients: "),
    ({"frontend_user": "games"}, "frontend_user: changed, which needs a restart"),
    ({"lookup_user": "games"}, "lookup_user: changed, which needs a restart"),
    ({"queue_directory": "/tmp"}, "queue_directory: changed, which needs a restart"),
])
def test_bad_configuration_is_refused_and_the_old_one_stays(make_master, changes, why):
    master = make_master().start()
    lookup, frontend = generation(master, 0)
    if "queue_directory" in changes:
        changes = {**changes, "listen": f"unix:{master.socket}"}
    master.write_config(**changes)
    master.reload("reload refused; the configuration of before stays")
    assert why in master.log()
    master.settle()
    assert not lookup.gone and not frontend.gone and not frontend.all("stop")
    assert len(master.roles) == 2
    assert master.socket.exists()


def test_configuration_that_lookup_refuses_leaves_the_old_one(make_master):
    master = make_master().start()
    lookup, frontend = generation(master, 0)
    master.mute.add("lookup")
    master.write_config(listen="unix:private/lmtp, unix:private/second")
    master.reload()
    second = master.wait_role("lookup", 1)
    master.wait_event(second, "start")
    second.order("exit 78")
    master.wait_log("reload refused; the configuration of before stays")
    assert "lookup refused the configuration" in master.log()
    master.until(lambda: all(r.gone for r in master.roles[2:]))
    assert not lookup.gone and not frontend.gone and not frontend.all("stop")
    assert os.listdir(master.socket.parent) == ["lmtp"]
    master.mute.clear()
    assert master.stop() == 0


def test_what_a_refused_reload_kills_is_no_news(make_master):
    """A role that is not ready when its generation is given up."""
    master = make_master().start()
    master.mute.update({"lookup", "frontend 0"})
    master.write_config(session_timeout="200s")
    master.reload()
    lookup, frontend = generation(master, 1)
    for role in (lookup, frontend):
        master.wait_event(role, "start")
    frontend.order("exit 78")
    master.wait_log("reload refused; the configuration of before stays")
    master.until(lambda: lookup.gone)
    master.mute.clear()
    assert master.stop() == 0
    assert "killed" not in master.log()


def test_a_configuration_without_syncs_is_warned_of(make_master):
    master = make_master().start()
    assert "fsync" not in master.log()
    master.write_config(fsync="no")
    master.reload("ready:")
    assert len(re.findall(WITHOUT_SYNCS, master.log())) == 1, master.log()
    assert master.stop() == 0


def test_listeners_come_and_go(make_master):
    master = make_master().start()
    master.write_config(listen="unix:private/second", listen_mode="0600")
    master.reload("ready:")
    assert os.listdir(master.socket.parent) == ["second"]
    # The same place with another mode: a new socket over the old one.
    master.write_config(listen_mode="0660")
    master.reload("ready:")
    second = master.socket.parent / "second"
    assert stat.S_IMODE(second.stat().st_mode) == 0o660
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(second))
    assert master.stop() == 0
    assert os.listdir(master.socket.parent) == []


def test_control_socket_leads_to_the_new_lookup(make_master):
    master = make_master().start()
    before = master.control.stat().st_ino
    master.reload("ready:")
    assert master.control.stat().st_ino != before
    master.until(lambda: master.wait_role("lookup").gone)
    assert master.control.exists()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(master.control))


def test_no_connection_is_refused_during_a_reload(make_master):
    master = make_master().start()
    refused, ended = [], threading.Event()

    def knock():
        while not ended.is_set():
            with socket.socket(socket.AF_UNIX) as client:
                client.setblocking(False)
                try:
                    client.connect(str(master.socket))
                except BlockingIOError:
                    pass  # a fake frontend takes nothing out of the backlog
                except OSError as error:
                    refused.append(error)
            time.sleep(0.002)

    thread = threading.Thread(target=knock)
    thread.start()
    for _ in range(3):
        master.reload("ready:")
    ended.set()
    thread.join()
    assert not refused


def test_reloads_asked_for_during_a_reload_are_one_more(make_master):
    master = make_master().start()
    master.mute.add("lookup")
    master.signal(signal.SIGHUP)
    second = master.wait_role("lookup", 1)
    master.wait_event(second, "start")
    for _ in range(5):
        master.signal(signal.SIGHUP)
        master.settle(0.05)
    master.mute.clear()
    second.order("ready")
    third = master.wait_role("lookup", 2)
    master.wait_event(third, "introduce")
    master.settle()
    assert len([r for r in master.roles if r.title == "lookup"]) == 3


def test_the_oldest_of_many_generations_waits_no_longer(make_master):
    master = make_master()
    master.stubborn.add("frontend 0")
    master.start()
    first = master.wait_role("frontend 0")
    for _ in range(4):
        master.reload("ready:")
    master.until(lambda: first.gone)
    assert not master.wait_role("frontend 0", 1).gone
    master.signal(signal.SIGTERM)
    master.settle()
    master.signal(signal.SIGTERM)
    assert master.wait() == 0


def test_role_that_hangs_in_the_kernel_is_left_behind_and_reaped_in_the_end(make_master):
    master = make_master()
    master.stubborn.add("lookup")
    master.start()
    lookup = master.wait_role("lookup")
    with kept_from_its_end(lookup.pid):
        master.reload("ready:", f"lookup (pid {lookup.pid}) hangs and is left behind")
    master.until(lambda: not os.path.exists(f"/proc/{lookup.pid}"))


def test_stop_during_a_reload(make_master):
    master = make_master().start()
    master.mute.add("lookup")
    master.signal(signal.SIGHUP)
    master.wait_event(master.wait_role("lookup", 1), "start")
    assert master.stop() == 0
    assert os.listdir(master.socket.parent) == [] and not master.control.exists()
