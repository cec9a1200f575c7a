"""Workers: started when asked for, as whom, how many, and what they may ask of master."""

import os
import pwd
import signal
import stat

import pytest

from harness import (BAD_MAILBOX, FRONTEND_USER, IO, KIND_FRONTEND, KIND_WORKER, LISTEN_OWNER,
                     LOOKUP_USER, NO_ACCESS, SYNC_USER, kept_from_its_end)


def ids(user):
    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid


@pytest.fixture
def master(make_master):
    return make_master(virtual_minimum_uid=1).start()


def test_worker_is_started_once_and_introduced_to_each_frontend(make_master):
    master = make_master(frontend_processes=2).start()
    first = master.want_worker(1001, frontend=0)
    assert (first["event"], first["kind"]) == ("introduce", KIND_WORKER)
    second = master.want_worker(1001, frontend=1)
    worker = master.wait_role("worker 1001:1001")
    assert worker.all("configure")[0]["uid"] == "1001"
    assert worker.all("configure")[0]["has_key"] == "true"
    for number in (0, 1):
        master.wait_event(worker, "introduce", kind=KIND_FRONTEND, instance=number)
    assert len([r for r in master.roles if r.title.startswith("worker")]) == 1
    master.wait_role("frontend 1").order(f"say {second['channel']} hello")
    assert master.wait_event(worker, "heard")["text"] == "hello"


def descriptors(master):
    return len(os.listdir(f"/proc/{master.process.pid}/fd"))


def test_frontend_that_asks_again_and_again_while_a_worker_starts_is_introduced_once(make_master):
    master = make_master()
    master.mute.add("worker 1001:1001")
    master.start()
    channel = master.want_worker(1001)["channel"]
    worker = master.wait_role("worker 1001:1001")
    frontend = master.wait_role("frontend 0")
    master.want_worker(1002)
    before = descriptors(master)
    for _ in range(200):
        master.wait_role("lookup").order("start_worker 0 1001 1001")
    master.want_worker(1003)  # behind them
    assert descriptors(master) <= before + 5
    assert len(frontend.all("introduce", uid=1001)) == 1
    # The first is as good as ever, with what was sent on it meanwhile.
    frontend.order(f"say {channel} hello")
    worker.order("ready")
    assert master.wait_event(worker, "heard")["text"] == "hello"
    assert len(worker.all("introduce")) == 1


def test_worker_that_starts_is_introduced_to_the_frontend_that_is_there_by_then(make_master):
    master = make_master()
    master.mute.add("worker 1001:1001")
    master.start()
    master.want_worker(1001)
    worker = master.wait_role("worker 1001:1001")
    master.wait_role("frontend 0").order("exit 1")
    second = master.wait_role("frontend 0", 1)
    master.wait_event(second, "introduce")  # to lookup
    master.wait_role("lookup").order("start_worker 0 1001 1001")
    channel = master.wait_event(second, "introduce", uid=1001)["channel"]
    worker.order("ready")
    second.order(f"say {channel} hello")
    assert master.wait_event(worker, "heard")["text"] == "hello"
    assert len(worker.all("introduce")) == 1


def test_same_uid_with_another_gid_is_another_worker(master):
    master.want_worker(1001, 1001)
    master.want_worker(1001, 1002)
    assert master.wait_role("worker 1001:1001") and master.wait_role("worker 1001:1002")


@pytest.mark.parametrize("uid, gid", [
    (0, 1001), (1001, 0), (0, 0), (2**32 - 1, 1001), (1001, 2**32 - 1),
    (ids(FRONTEND_USER)[0], 1001), (1001, ids(FRONTEND_USER)[1]),
    (ids(LOOKUP_USER)[0], 1001), (1001, ids(LOOKUP_USER)[1]),
    (ids(SYNC_USER)[0], 1001), (1001, ids(SYNC_USER)[1]),
    (ids(LISTEN_OWNER)[0], 1001), (1001, ids(LISTEN_OWNER)[1]),
    (ids("games")[0], 1001), (1001, ids("games")[1]),   # mail_owner, setgid_group
])
def test_refused_owners(master, uid, gid):
    answer = master.want_worker(uid, gid)
    assert (answer["event"], answer["reason"]) == ("worker_refused", BAD_MAILBOX)
    assert not [r for r in master.roles if r.title.startswith("worker")]
    assert f"worker {uid}:{gid}: refused" in master.log()


def test_uid_below_virtual_minimum_uid_is_refused(make_master):
    master = make_master(virtual_minimum_uid=1000).start()
    assert master.want_worker(999)["event"] == "worker_refused"
    assert master.want_worker(1000, 100)["event"] == "introduce"


def test_dead_worker_waits_out_its_back_off_and_others_do_not(master):
    master.want_worker(1001)
    frontend = master.wait_role("frontend 0")
    # Who is slow to ask finds the first back-offs over; each is twice as long as the one before.
    for life in range(8):
        worker = master.wait_role("worker 1001:1001", life)
        master.wait_event(worker, "introduce")
        worker.order("exit 1")
        master.wait_event(frontend, "channel_ended", number=life)
        master.wait_log(f"exited with status 1; not started again for {100 << life} ms")
        answer = master.want_worker(1001)
        if answer["event"] == "worker_refused":
            break
    assert (answer["event"], answer["reason"]) == ("worker_refused", IO)
    assert master.want_worker(1002)["event"] == "introduce"
    master.until(lambda: master.want_worker(1001)["event"] == "introduce")
    assert master.wait_role("worker 1001:1001", life + 1)


def test_expelled_worker_is_killed(master):
    master.want_worker(1001)
    worker = master.wait_role("worker 1001:1001")
    master.wait_event(worker, "introduce")
    master.wait_role("frontend 0").order("expel_worker 1001 1001")
    master.wait_event(master.wait_role("frontend 0"), "channel_ended")
    assert f"worker 1001:1001 (pid {worker.pid}): expelled" in master.log()
    master.until(lambda: not os.path.exists(f"/proc/{worker.pid}"))
    # Of an owner without a worker: it may have died meanwhile.
    master.wait_role("frontend 0").order("expel_worker 1005 1005")
    master.settle()
    assert not master.wait_role("frontend 0").gone


def test_worker_is_expelled_only_for_a_frontend_that_it_was_introduced_to(make_master):
    master = make_master(frontend_processes=2).start()
    worker = ready_worker(master, 1001, frontend=1)
    master.wait_role("frontend 0").order("expel_worker 1001 1001")
    refused = f"worker 1001:1001 (pid {worker.pid}): not expelled for frontend "
    master.wait_log(refused + "0 ")
    # Nor for one that has come after the one that it was introduced to.
    master.wait_role("frontend 1").order("exit 1")
    successor = master.wait_role("frontend 1", 1)
    successor.order("expel_worker 1001 1001")
    master.wait_log(refused + "1 ")
    assert not worker.gone and not master.wait_role("frontend 0").gone and not successor.gone
    # Control.
    master.wait_role("lookup").order("start_worker 1 1001 1001")
    master.wait_event(successor, "introduce", uid=1001)
    successor.order("expel_worker 1001 1001")
    master.until(lambda: worker.gone)


def test_successor_of_an_expelled_worker_is_not_expelled_for_it(make_master):
    master = make_master(frontend_processes=2).start()
    ready_worker(master, 1001, frontend=0).order("exit 1")
    master.wait_log("exited with status 1; not started again")
    master.until(lambda: master.want_worker(1001, frontend=1)["event"] == "introduce")
    successor = master.wait_role("worker 1001:1001", 1)
    # As if it had crossed the end of the first.
    master.wait_role("frontend 0").order("expel_worker 1001 1001")
    master.wait_log("not expelled for frontend 0")
    assert not successor.gone and not master.wait_role("frontend 0").gone


def test_expelled_worker_that_was_stopped_is_killed_and_has_a_successor(master):
    worker = ready_worker(master, 1001)
    os.kill(worker.pid, signal.SIGSTOP)
    master.wait_role("frontend 0").order("expel_worker 1001 1001")
    master.wait_log("killed by signal 9")
    master.until(lambda: master.want_worker(1001)["event"] == "introduce")
    assert master.wait_role("worker 1001:1001", 1).pid != worker.pid


def test_expelled_worker_that_does_not_die_has_no_second_beside_it_and_holds_up_no_other(make_master):
    master = make_master(worker_limit=2).start()
    hanging = ready_worker(master, 1001)
    other = ready_worker(master, 1002)
    with kept_from_its_end(hanging.pid):
        master.wait_role("frontend 0").order("expel_worker 1001 1001")
        master.wait_log("expelled")
        master.wait_role("lookup").order("start_worker 0 1001 1001")
        # It counts as one of the two: there is room for this one when the other has left.
        master.want_worker(1003)
        assert master.wait_event(other, "stop")
        assert len([role for role in master.roles if role.title == "worker 1001:1001"]) == 1
    master.until(lambda: master.want_worker(1001)["event"] == "introduce")
    assert master.wait_role("worker 1001:1001", 1)


def test_worker_that_says_what_it_may_not_is_killed(master):
    master.want_worker(1001)
    worker = master.wait_role("worker 1001:1001")
    worker.order("start_worker 0 1002 1002")
    master.until(lambda: worker.gone)
    assert "that it may not send: killed" in master.log()
    assert not [r for r in master.roles if r.title == "worker 1002:1002"]


def test_at_the_limit_the_idlest_worker_leaves(make_master):
    master = make_master(worker_limit=2)
    master.stubborn.update({"worker 1001:1001", "worker 1002:1002"})
    master.start()
    for uid in (1001, 1002):
        master.want_worker(uid)
        master.wait_event(master.wait_role(f"worker {uid}:{uid}"), "introduce")
    # 1001 was introduced first, but again, last.
    master.settle(0.2)
    master.want_worker(1001)
    master.settle(0.2)
    master.wait_role("lookup").order("start_worker 0 1003 1003")
    leaving = master.wait_role("worker 1002:1002")
    master.wait_event(leaving, "stop")
    master.settle()
    assert not [r for r in master.roles if r.title == "worker 1003:1003"], "not before one is gone"
    assert not master.wait_role("worker 1001:1001").all("stop")
    leaving.order("exit 0")
    master.wait_event(master.wait_role("worker 1003:1003"), "introduce")
    assert not master.wait_role("worker 1001:1001").all("stop")
    assert "killed" not in master.log()


def test_owner_whose_worker_leaves_waits_for_it_and_gets_another(make_master):
    master = make_master(worker_limit=1)
    master.stubborn.add("worker 1001:1001")
    master.start()
    master.want_worker(1001)
    old = master.wait_role("worker 1001:1001")
    master.wait_event(old, "introduce")
    master.wait_role("lookup").order("start_worker 0 1002 1002")
    master.wait_event(old, "stop")
    master.wait_role("lookup").order("start_worker 0 1001 1001")
    master.settle(0.2)
    assert len([r for r in master.roles if r.title == "worker 1001:1001"]) == 1
    old.order("exit 0")
    # Each in its turn.
    master.wait_event(master.wait_role("worker 1002:1002"), "introduce")
    assert master.wait_role("worker 1001:1001", 1)


def sealed(master, uid, gid, path, seconds=60):
    lookup = master.wait_role("lookup")
    number = len(lookup.all("sealed"))
    lookup.order(f"seal {uid} {gid} {path} {seconds}")
    return master.wait_event(lookup, "sealed", number=number)["ticket"]


def ready_worker(master, uid, frontend=0):
    master.want_worker(uid, frontend=frontend)
    worker = master.wait_role(f"worker {uid}:{uid}")
    master.wait_event(worker, "introduce")
    return worker


def test_mailbox_is_made_for_its_owner(master):
    worker = ready_worker(master, 1001)
    worker.order("make_mailbox 7 " + sealed(master, 1001, 1001, "domain.org/mails/user/"))
    assert master.wait_event(worker, "mailbox_made", id=7)["made"] == "true"
    for path, owner, mode in [("domain.org", 0, 0o711), ("domain.org/mails", 0, 0o711),
                              ("domain.org/mails/user", 1001, 0o700)]:
        status = (master.dir / "mail" / path).stat()
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (owner, owner, mode)
    # The same again is no error.
    worker.order("make_mailbox 8 " + sealed(master, 1001, 1001, "domain.org/mails/user/"))
    assert master.wait_event(worker, "mailbox_made", id=8)["made"] == "true"


def test_many_mailboxes_at_once(master):
    worker = ready_worker(master, 1001)
    for number in range(60):
        worker.order(f"make_mailbox {number} " + sealed(master, 1001, 1001, f"domain.org/u{number % 40}/"))
    for number in range(60):
        assert master.wait_event(worker, "mailbox_made", id=number)["made"] == "true"
    assert len(list((master.dir / "mail/domain.org").iterdir())) == 40


def test_forged_tickets_make_nothing(master):
    worker = ready_worker(master, 1001)
    of_another = sealed(master, 1002, 1002, "domain.org/a/")
    expired = sealed(master, 1001, 1001, "domain.org/b/", seconds=-1)
    own = bytearray.fromhex(sealed(master, 1001, 1001, "domain.org/c/"))
    own[-1] ^= 1
    for number, ticket in enumerate([of_another, expired, own.hex(), "00", ""]):
        worker.order(f"make_mailbox {number} {ticket}")
        answer = master.wait_event(worker, "mailbox_made", id=number)
        assert (answer["made"], answer["reason"]) == ("false", NO_ACCESS)
    assert not list((master.dir / "mail").iterdir())
    assert "the ticket is forged, another's, or expired" in master.log()


def test_why_a_mailbox_was_not_made_is_told(master):
    (master.dir / "mail" / "domain.org").mkdir()
    os.chown(master.dir / "mail" / "domain.org", 1002, 1002)
    worker = ready_worker(master, 1001)
    worker.order("make_mailbox 1 " + sealed(master, 1001, 1001, "domain.org/user/"))
    answer = master.wait_event(worker, "mailbox_made", id=1)
    assert (answer["made"], answer["reason"]) == ("false", NO_ACCESS)
    assert "domain.org" in answer["text"]


def test_worker_that_asks_for_more_than_its_window_is_killed(master):
    worker = ready_worker(master, 1001)
    ticket = sealed(master, 1001, 1001, "domain.org/user/")
    # In one packet, so that none is answered meanwhile.
    worker.order(f"make_mailboxes 65 {ticket}")
    master.until(lambda: worker.gone)
    assert "that it may not send: killed" in master.log()


def test_workers_see_the_end_of_a_restarted_frontend(master):
    worker = ready_worker(master, 1001)
    master.wait_role("frontend 0").order("exit 1")
    master.wait_event(worker, "channel_ended")
    master.wait_event(master.wait_role("frontend 0", 1), "introduce")
    master.wait_role("lookup").order("start_worker 0 1001 1001")
    master.wait_event(worker, "introduce", number=1)
