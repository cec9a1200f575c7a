"""Whom master lets take clients, and when: Serve, and Retire for the lookup that another takes the place of."""

import os
import socket

import pytest

from harness import KIND_FRONTEND, KIND_LOOKUP

SERVERS = ("lookup", "frontend 0", "frontend 1")


@pytest.fixture
def master(make_master):
    return make_master(frontend_processes=2)


def roles(master, number):
    """Those of the number-th generation, where none died, that clients come to."""
    return [master.wait_role(title, number) for title in SERVERS]


def told(role):
    """Of its clients, and that it is to end."""
    return [event["event"] for event in role.events if event["event"] in ("serve", "retire", "stop")]


def test_clients_are_let_in_once_all_are_ready_and_introduced(master):
    master.mute.add("frontend 1")
    master.start(ready=False)
    servers = roles(master, 0)
    master.settle()
    assert [told(role) for role in servers] == [[], [], []]
    servers[2].order("ready")
    for role in servers:
        master.wait_event(role, "serve")
        assert told(role) == ["serve"] and role.events[-1]["event"] == "serve"
    assert len(servers[0].all("introduce", kind=KIND_FRONTEND)) == 2
    for frontend in servers[1:]:
        assert len(frontend.all("introduce", kind=KIND_LOOKUP)) == 1


def test_a_worker_is_told_nothing_of_clients(master):
    master.start()
    master.want_worker(1001)
    worker = master.wait_role("worker 1001:1001")
    master.wait_event(worker, "introduce")
    master.settle()
    assert told(worker) == []


@pytest.mark.parametrize("title", SERVERS)
def test_a_role_that_is_started_again_serves_once_it_is_ready(master, title):
    master.start()
    master.mute.add(title)
    master.wait_event(master.wait_role(title), "serve")
    master.wait_role(title).order("exit 1")
    second = master.wait_role(title, 1)
    master.settle()
    assert told(second) == []
    second.order("ready")
    master.wait_event(second, "serve")
    assert second.events[-2]["event"] == "introduce"
    others = [master.wait_role(other) for other in SERVERS if other != title]
    assert [told(role) for role in others] == [["serve"], ["serve"]]


def test_a_reload_retires_the_old_lookup_and_stops_its_frontends(master):
    master.stubborn.update(SERVERS)
    master.start()
    old = roles(master, 0)
    # What is said to the old ones is there before anybody hears that the new ones serve.
    master.reload("ready:")
    new = roles(master, 1)
    for role in new:
        master.wait_event(role, "serve")
    master.wait_event(old[0], "retire")
    for frontend in old[1:]:
        master.wait_event(frontend, "stop")
    master.settle()
    assert [told(role) for role in old] == [["serve", "retire"], ["serve", "stop"], ["serve", "stop"]]
    assert [told(role) for role in new] == 3 * [["serve"]]
    for frontend in old[1:]:
        frontend.order("exit 0")
    master.wait_event(old[0], "stop")


def test_a_lookup_that_is_started_again_while_its_frontends_end_takes_no_clients(master):
    master.stubborn.update(SERVERS)
    master.start()
    old = roles(master, 0)
    master.reload("ready:")
    master.wait_event(old[0], "retire")
    old[0].order("exit 1")
    again = master.wait_role("lookup", 2)
    master.wait_event(again, "introduce", number=1)
    master.settle()
    assert told(again) == []


def test_a_lookup_that_is_not_back_at_a_reload_takes_no_clients(master):
    """The old generation's, which died before and becomes ready after it."""
    master.stubborn.update(SERVERS)
    master.start()
    master.mute.add("lookup")
    master.wait_role("lookup").order("exit 1")
    again = master.wait_role("lookup", 1)
    master.mute.clear()
    master.reload("ready:")
    again.order("ready")
    master.wait_event(again, "introduce", number=1)
    master.settle()
    assert told(again) == []


def test_the_new_ones_of_a_refused_reload_let_nobody_in(master):
    master.start()
    old = roles(master, 0)
    master.mute.add("lookup")
    master.reload()
    new = roles(master, 1)
    master.settle()
    assert [told(role) for role in new] == [[], [], []]
    new[0].order("exit 78")
    master.wait_log("reload refused; the configuration of before stays")
    master.until(lambda: all(role.gone for role in new))
    assert [told(role) for role in new] == [[], ["stop"], ["stop"]]
    master.settle()
    assert [told(role) for role in old] == 3 * [["serve"]]


def test_nor_do_they_where_a_socket_has_been_taken_meanwhile(master):
    """All are ready, and yet the reload is refused."""
    master.start()
    old = roles(master, 0)
    master.mute.add("lookup")
    second = master.socket.parent / "second"
    master.write_config(listen="unix:private/lmtp, unix:private/second")
    master.reload()
    new = roles(master, 1)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(second))
        other.listen()
        new[0].order("ready")
        master.wait_log("reload refused; the configuration of before stays")
    master.until(lambda: all(role.gone for role in new))
    assert [told(role) for role in new] == 3 * [["stop"]]
    assert [told(role) for role in old] == 3 * [["serve"]]
    os.unlink(second)


def test_a_stop_retires_nobody(master):
    """No other lookup answers."""
    master.start()
    servers = roles(master, 0)
    assert master.stop() == 0
    assert [told(role) for role in servers] == 3 * [["serve", "stop"]]


def test_a_stop_during_the_start_lets_nobody_in(master):
    master.mute.add("lookup")
    master.start(ready=False)
    servers = roles(master, 0)
    master.settle()
    assert master.stop() == 0
    assert [told(role) for role in servers] == [[], ["stop"], ["stop"]]


def test_a_check_lets_nobody_in(make_master):
    master = make_master()
    code, _, errors = master.run("-t")
    assert code == 0, errors
    assert told(master.wait_role("lookup")) == ["stop"]
