"""Roles die and are replaced; the daemon ends in order. Nothing that was acknowledged is lost."""

import contextlib
import os
import signal
import socket
import threading

import pytest

from testsite import PATIENCE, stored, wait_until
from testsite.channel import copy_programs
from testsite.intruder import PIDFD_GETFD, libc
from testsite.syncs import sync_page

MESSAGE = b"Subject: ends\n\nbody\n"


CONTROL = 3  # a role's descriptor of its channel to master
ROLES = {"lmtpd-frontend", "lmtpd-lookup", "lmtpd-worker"}


@pytest.fixture(params=[False, True], ids=["", "committer"])
def roles(request):
    """(parameters, the programs that run then)"""
    if request.param:
        return request.getfixturevalue("shared_syncs"), ROLES | {"lmtpd-committer"}
    return {}, ROLES


def test_sigterm_leaves_nothing_behind(make_daemon, roles):
    parameters, programs = roles
    daemon = make_daemon(**parameters)
    daemon.deliver(["user@domain.org", "user@foo.org"], MESSAGE)
    assert set(daemon.children().values()) == programs
    assert daemon.stop() == 0
    assert not daemon.socket_path.exists()


def test_sigterm_in_data_lets_the_message_be_finished(make_daemon, mail_base):  # B37
    daemon = make_daemon()
    before = len(stored(mail_base / "domain.org/mails/user"))
    client = daemon.client()
    idle = daemon.client()
    assert client.envelope("s@remote.example", ["user@domain.org"])[2].code == 354
    client.send(b"Subject: not yet done\r\n\r\n")
    os.kill(daemon.master, signal.SIGTERM)
    # Who has sent nothing is told within a second (RFC 5321 3.8).
    reply = idle.reply()
    assert (reply.code, reply.enhanced) == (421, "4.3.2")
    assert idle.at_end()
    client.send(b"the end\r\n.\r\n")
    assert client.reply().code == 250
    assert client.reply().code == 421
    assert client.at_end()
    assert daemon.stop() == 0
    assert len(stored(mail_base / "domain.org/mails/user")) == before + 1


def test_signals_to_all_of_the_unit_are_for_master(make_daemon, roles):
    parameters, programs = roles
    daemon = make_daemon(**parameters)
    daemon.deliver("user@domain.org", MESSAGE)
    before = daemon.children()
    assert set(before.values()) == programs
    for pid in before:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
            os.kill(pid, number)
    assert daemon.deliver("user@domain.org", MESSAGE).final[0].code == 250
    assert daemon.children() == before


@pytest.mark.parametrize("role", ["worker", "lookup", "frontend", "committer"])
def test_a_role_that_is_killed_comes_back(make_daemon, role, request):
    daemon = make_daemon(**request.getfixturevalue("shared_syncs") if role == "committer" else {})
    assert daemon.deliver("user@domain.org", MESSAGE).final[0].code == 250
    mailbox = daemon.mail_base / "domain.org/mails/user"
    before = len(stored(mailbox))
    (pid,) = daemon.role(role)
    os.kill(pid, signal.SIGKILL)
    taken = 0

    def delivered():
        nonlocal taken
        try:
            outcome = daemon.deliver("user@domain.org", MESSAGE)
        except ConnectionError:
            assert role == "frontend"
            return False
        replies = [reply for reply in (*outcome.recipients, *outcome.final) if reply.code != 250]
        assert not [reply for reply in replies if reply.code != 451], replies
        taken += len(outcome.final) - len([reply for reply in outcome.final if reply.code != 250])
        return not replies
    wait_until(delivered, f"delivery after the {role}'s death", interval=0.1)
    wait_until(lambda: pid not in daemon.children(), "the end of what was killed")
    wait_until(lambda: daemon.role(role), f"another {role}")
    assert len(stored(mailbox)) == before + taken
    daemon.wait_log(rf"{role}.*signal 9")


def end_channels(pid):
    """Those of this role, but for the one to master."""
    with contextlib.ExitStack() as stack:
        pidfd = os.pidfd_open(pid)
        stack.callback(os.close, pidfd)
        taken = [stack.enter_context(socket.socket(fileno=libc.syscall(PIDFD_GETFD, pidfd, int(fd), 0)))
                 for fd in os.listdir(f"/proc/{pid}/fd")
                 if int(fd) != CONTROL and os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")]
        channels = [one for one in taken if one.type == socket.SOCK_SEQPACKET]
        for channel in channels:
            channel.shutdown(socket.SHUT_RDWR)
        return len(channels)


def test_lookup_and_a_frontend_get_another_channel_where_theirs_ends_and_they_do_not(make_daemon):
    daemon = make_daemon()
    assert daemon.deliver("user@domain.org", MESSAGE).final[0].code == 250
    before = daemon.children()
    for _ in range(2):
        assert end_channels(daemon.role("lookup")[0]) == 1

        def delivered():
            outcome = daemon.deliver("user@domain.org", MESSAGE)
            assert outcome.recipients[0].code in (250, 451)
            return outcome.recipients[0].code == 250
        wait_until(delivered, "delivery over another channel", interval=0.1)
    assert daemon.children() == before
    daemon.wait_log("frontend 0: its channel to lookup has ended", count=2)


@pytest.mark.parametrize("role, shares", [
    ("worker", False), ("lookup", False), ("frontend", False), ("worker", True), ("committer", True),
], ids=["worker", "lookup", "frontend", "worker of shared syncs", "committer"])
def test_what_was_acknowledged_is_there_whatever_dies_under_load(make_daemon, role, shares, request):  # A14
    """Each message has a mark of its own; every 250 that was read has its file, once."""
    daemon = make_daemon(**request.getfixturevalue("shared_syncs") if shares else {})
    daemon.deliver("user@foo.org", MESSAGE)
    acknowledged, sent, unanswered = [], [], []
    stop = threading.Event()

    def send(number):
        count = 0
        while not stop.is_set():
            try:
                with daemon.client() as client:
                    while not stop.is_set():
                        count += 1
                        mark = f"{role}-{shares}-{number}-{count}"
                        sent.append(mark)
                        outcome = client.deliver("s@remote.example", ["user@foo.org"],
                                                 f"X-Mark: {mark}\n\nbody\n".encode())
                        if [reply.code for reply in outcome.final] == [250]:
                            acknowledged.append(mark)
            except TimeoutError:
                unanswered.append(client.dialogue())
            except (OSError, AssertionError):
                pass  # the frontend is being replaced

    senders = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for sender in senders:
        sender.start()
    try:
        for _ in range(3):
            have = len(acknowledged)
            wait_until(lambda: len(acknowledged) > have + 20, f"deliveries around the {role}'s deaths")
            for pid in daemon.role(role):
                os.kill(pid, signal.SIGKILL)
        have = len(acknowledged)
        wait_until(lambda: len(acknowledged) > have + 20, "deliveries after the last death")
    finally:
        stop.set()
        for sender in senders:
            sender.join()
    assert not shares or sync_page(daemon).begun > 0
    assert not unanswered, "a client waited in vain:\n" + unanswered[0]
    marks = [mark for message in stored(daemon.mail_base / "foo.org/mails/user")
             for mark in message.header("X-Mark") if mark.startswith(f"{role}-{shares}-")]
    assert sorted(set(acknowledged) - set(marks)) == []
    assert len(marks) == len(set(marks))
    assert set(marks) <= set(sent)


@pytest.mark.parametrize("role", ["lmtpd-frontend", "lmtpd-lookup"])
def test_sigterm_while_a_role_cannot_start(site, build, make_daemon, role):
    """Nothing is under way: it ends at once, not after drain_time, which is 300 s."""
    programs = copy_programs(site, build)
    (programs / role).write_text("#!/bin/sh\nexit 1\n")
    daemon = make_daemon(start=False, programs=programs).start(ready=False)
    daemon.wait_log("started again", count=2)
    assert daemon.stop() is not None


def test_children_end_when_master_is_killed(make_daemon):
    """No role lives on without master."""
    daemon = make_daemon()
    daemon.deliver("user@foo.org", MESSAGE)
    children = list(daemon.children())
    os.kill(daemon.master, signal.SIGKILL)
    daemon.process.wait(PATIENCE)
    wait_until(lambda: not [pid for pid in children if os.path.exists(f"/proc/{pid}/exe")
                            and _runs(pid)], "the roles are gone")


def _runs(pid):
    try:
        os.readlink(f"/proc/{pid}/exe")
        return True
    except OSError:
        return False
