"""strace proves the order: write, fsync(file), link, fsync(new/), unlink(tmp), reply; and, where a sync is shared:
write, syncfs, link, syncfs, unlink(tmp), reply.

A 250 after the dot means that the message is on disk (RFC 2033 4.2); an operation counts as done before
another only if its result was there before the other began.
"""

import os
import re

import pytest

from testsite.daemon import status
from testsite.syncs import deliver_at_once
from testsite.trace import Trace

MESSAGE = b"Subject: traced\n\nbody\n"


@pytest.fixture
def warm(daemon):
    """The workers run, the mailboxes are there, and their chains were synced."""
    outcome = daemon.deliver(["user@domain.org", "user2@domain.org", "user@foo.org"], MESSAGE)
    assert [reply.code for reply in outcome.final] == [250] * 3
    return daemon


def of(calls, name, pattern=""):
    return [call for call in calls if re.fullmatch(name, call.name) and re.search(pattern, call.arguments)
            and not call.result.startswith("-")]


def messages(calls):
    """The tmp/ names that were linked into new/, and the calls on each."""
    found = []
    for link in of(calls, "linkat?"):
        directory, name = re.match(r'\d+<(\S+)/tmp>, "([^"]+)", \d+<\1/new>', link.arguments).groups()
        path = re.escape(f"{directory}/tmp/{name}")
        found.append({
            "directory": directory,
            "writes": of(calls, "p?writev?(64)?", rf"^\d+<{path}>"),
            "fsync": of(calls, "fsync|fdatasync", rf"^\d+<{path}>"),
            "link": link,
            "fsync new": of(calls, "fsync", rf"^\d+<{re.escape(directory)}/new>"),
            "unlink": of(calls, "unlinkat", rf'^\d+<{re.escape(directory)}/tmp>, "{re.escape(name)}"'),
        })
    return found


def assert_before(first, second):
    assert first.ended < second.started, f"not before:\n  {first}\n  {second}"


def assert_in_order(message):
    assert message["writes"] and message["fsync"] and len(message["unlink"]) == 1
    for write in message["writes"]:
        assert_before(write, message["fsync"][0])
    assert_before(message["fsync"][0], message["link"])
    after = [sync for sync in message["fsync new"] if sync.started > message["link"].ended]
    assert after, "new/ was not synced after the link"
    assert_before(after[0], message["unlink"][0])


def test_a_lone_delivery(warm, site):
    worker, frontend = warm.worker(1002), warm.role("frontend")[0]
    with Trace(site.path, [worker, frontend]) as trace:
        outcome = warm.deliver("user@foo.org", MESSAGE)
    assert outcome.final[0].code == 250
    # Nobody else waits for the worker: its loop delivers.
    calls = [call for call in trace.calls if call.pid == worker]
    (message,) = messages(calls)
    assert_in_order(message)
    # The worker says nothing between the first octet written and the proof, and the frontend's 250
    # comes after what the worker says then.
    said = [call for call in of(calls, "sendmsg") if call.started > message["writes"][0].started]
    assert said
    assert_before(message["unlink"][0], said[0])
    (reply,) = of([call for call in trace.calls if call.pid == frontend],
                  "write|writev|sendmsg|sendto", r'"250 2\.0\.0')
    assert_before(message["unlink"][0], reply)


def test_several_at_once_keep_each_its_order(warm, site):
    """Eight transactions wait for the worker, whose threads deliver them beside each other."""
    recipients = ["user@domain.org", "user2@domain.org"] * 4
    worker = warm.worker(1001)
    # So slow a disk that hardly a thread takes a second message.
    with Trace(site.path, [worker], inject="fsync:delay_enter=500000") as trace:
        replies = deliver_at_once(warm, recipients, [worker], MESSAGE)
    assert [reply.code for reply in replies] == [250] * len(recipients)
    found = messages(trace.calls)
    assert len(found) == len(recipients)
    assert len({message["directory"] for message in found}) == 2
    # The loop's first message was alone when the frontend passed it on, but not when it was read.
    threads = {message["link"].pid for message in found}
    assert len(threads) > 1 and worker not in threads
    for message in found:
        its = message["link"].pid
        assert_in_order({**message, "fsync new": [call for call in message["fsync new"] if call.pid == its]})
        assert {call.pid for call in (*message["writes"], *message["fsync"], *message["unlink"])} == {its}
    # Outcomes are all of one size: never more of them have left than messages were proven.
    said = of([call for call in trace.calls if call.pid == worker], "sendmsg")
    each, rest = divmod(sum(int(call.result) for call in said), len(found))
    assert rest == 0
    answered = 0
    for call in said:
        answered += int(call.result) / each
        assert answered <= sum(message["unlink"][0].ended < call.started for message in found), call


@pytest.fixture
def sharing(make_daemon, shared_syncs):
    """As warm, with a committer, for which deliveries wait however slow the disk is."""
    daemon = make_daemon(commit_timeout="30s", **shared_syncs)
    outcome = daemon.deliver(["user@domain.org", "user2@domain.org", "user@foo.org"], MESSAGE)
    assert [reply.code for reply in outcome.final] == [250] * 3
    return daemon


def test_workers_share_the_committers_syncs(sharing, site):
    """No message is linked before a whole sync that began after its write, nor is it answered for before another
    that began after that."""
    recipients = ["user@domain.org", "user@foo.org", "user2@domain.org", "user@foo.org"] * 3
    workers = [sharing.worker(1001), sharing.worker(1002)]
    (committer,), (frontend,) = sharing.role("committer"), sharing.role("frontend")
    threads = {int(thread) for thread in os.listdir(f"/proc/{committer}/task")}
    # So slow a disk that who comes late waits for the same sync as others.
    with Trace(site.path, [*workers, committer, frontend], inject="syncfs:delay_enter=100000") as trace:
        replies = deliver_at_once(sharing, recipients, workers, MESSAGE)
    assert [reply.code for reply in replies] == [250] * len(recipients)
    syncs = [call for call in of(trace.calls, "syncfs") if call.pid in threads]
    assert not [call for call in trace.calls if call.pid in threads and "/mails/" in call.arguments]
    found = messages(trace.calls)
    assert len(found) == len(recipients)
    for message in found:
        (unlink,) = message["unlink"]
        assert message["writes"] and not message["fsync"] and not message["fsync new"], message
        before = [sync for sync in syncs if message["writes"][-1].ended < sync.started]
        assert before and before[0].ended < message["link"].started, message
        after = [sync for sync in syncs if message["link"].ended < sync.started]
        assert after and after[0].ended < unlink.started, message
    assert len(syncs) < 2 * len(found), "each had its own"
    # Each 250 is for a message that was proven before.
    answers = of([call for call in trace.calls if call.pid == frontend],
                 "write|writev|sendmsg|sendto", r'"250 2\.0\.0 Stored')
    assert len(answers) == len(found)
    for number, answer in enumerate(answers, 1):
        assert sum(message["unlink"][0].ended < answer.started for message in found) >= number, answer


def test_directories_made_on_the_way_are_synced_before_the_reply(make_daemon, postgres, site, mail_base):
    """A name is durable once the directory that holds it is, up to what was there before."""
    daemon = make_daemon()
    postgres.sql("""INSERT INTO users (userid, uid, gid, home)
        VALUES ('deep@domain.org', 1001, 1001, 'domain.org/deep/down/box')""")
    daemon.deliver("user@domain.org", MESSAGE)
    worker = daemon.worker(1001)
    # The helper that makes the mailbox is forked by master.
    with Trace(site.path, [daemon.master, worker], Trace.SYSCALLS + ",mkdir,mkdirat") as trace:
        assert daemon.deliver("deep@domain.org", MESSAGE).final[0].code == 250
    (message,) = messages(trace.calls)
    said = [call for call in of(trace.calls, "sendmsg")
            if call.pid == worker and call.started > message["unlink"][0].ended]
    whole = of(trace.calls, "syncfs")
    for name in ("domain.org/deep", "domain.org/deep/down", "domain.org/deep/down/box"):
        path = mail_base / name
        above = re.escape(str(path.parent))
        # The mailbox itself is made under another name.
        made = of(trace.calls, "mkdirat", rf'^\d+<{above}>, "{path.name}"') + of(
            trace.calls, "renameat2", rf'^\d+<{above}>, "[^"]+", \d+<{above}>, "{path.name}"')
        assert len(made) == 1, f"{path} was not made"
        synced = [sync for sync in of(trace.calls, "fsync", rf"^\d+<{above}>") + whole
                  if sync.started > made[0].ended and sync.ended < said[0].started]
        assert synced, f"{path.parent} was not synced between {made[0]} and {said[0]}"
    # tmp/, new/ and cur/ are names in the mailbox.
    box = re.escape(str(mail_base / "domain.org/deep/down/box"))
    made = of(trace.calls, "mkdirat", rf'^\d+<{box}>, "(tmp|new|cur)"')
    assert len(made) == 3
    assert [sync for sync in of(trace.calls, "fsync", rf"^\d+<{box}>") + whole
            if sync.started > made[-1].ended and sync.ended < said[0].started]


def test_the_worker_is_the_recipient_and_cannot_be_root_again(warm):
    for uid in (1001, 1002):
        now = status(warm.worker(uid))
        assert now["Uid"].split() == [str(uid)] * 4
        assert now["Gid"].split() == [str(uid)] * 4
        assert now["Groups"].split() == []
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(now[capabilities], 16) == 0, capabilities
        assert now["NoNewPrivs"].strip() == "1"


def test_the_other_roles_dropped_too(sharing):
    for role in ("frontend", "lookup", "committer"):
        (pid,) = sharing.role(role)
        now = status(pid)
        assert "0" not in now["Uid"].split() + now["Gid"].split(), role
        assert now["Groups"].split() == [], role
        assert int(now["CapPrm"], 16) == int(now["CapEff"], 16) == 0, role
        assert now["NoNewPrivs"].strip() == "1", role


def test_every_message_was_proven(daemon, mail_base):
    """Nothing stays in tmp/."""
    assert daemon.deliver("user@domain.org", MESSAGE).final[0].code == 250
    assert list(mail_base.rglob("tmp/*")) == []
