"""A database that is merely slow is not away: what it says is the truth, for everybody.

Slow is what answers within a second. Where this machine stood still for so long, an old answer may stand in: what
is tested comes again then, ATTEMPTS times at most. A fault shows each time.
"""

import itertools
import time

import pytest

from testsite import Distance, Tables, stored, wait_until

MESSAGE = b"Subject: slow\n\nbody\n"
TTL = 2
ATTEMPTS = 4


@pytest.fixture(scope="module")
def slow_tables(postgres, site):
    """Each answer takes 80 ms."""
    return Tables(site.make("slow-tables"), Distance(postgres, 0.08))


@pytest.fixture
def slow_daemon(slow_tables, make_daemon):
    """Nothing but time ends what is in its cache."""
    daemon = make_daemon(**slow_tables.parameters(), notify_hosts="none", cache_ttl=f"{TTL}s",
                         cache_negative_ttl=f"{TTL}s")
    wait_until(lambda: daemon.ctl("resolve", "user@domain.org").returncode == 0, "connected")
    return daemon


def rcpt(client, address):
    client.command("MAIL FROM:<sender@example.org>")
    reply = client.command(f"RCPT TO:<{address}>")
    client.command("RSET")
    return (reply.code, reply.enhanced)


def is_stored(daemon, address):
    """Or there was no answer in time."""
    outcome = daemon.deliver(address, MESSAGE)
    assert outcome.recipients[0].code in (250, 451)
    return [reply.code for reply in outcome.final] == [250]


def test_an_unknown_user_is_unknown_each_time(slow_daemon):
    def is_unknown():
        replies = []
        with slow_daemon.client() as client:
            end = time.monotonic() + 2.5 * TTL
            while time.monotonic() < end:
                replies += [rcpt(client, "nobody@domain.org"), rcpt(client, "nobody+x@foo.org")]
                time.sleep(0.1)
            time.sleep(1.2 * TTL)  # past the end of what nobody asked for meanwhile
            replies += [rcpt(client, "nobody@domain.org"), rcpt(client, "nobody+x@foo.org")]
        assert set(replies) <= {(550, "5.1.1"), (451, "4.3.0")}
        return (451, "4.3.0") not in replies
    assert any(is_unknown() for _ in range(ATTEMPTS))


def test_a_changed_row_is_in_effect_after_the_ttl(postgres, slow_daemon, mail_base):
    def count(home):
        return len(stored(mail_base / home))

    def move_to(home):
        postgres.sql(f"UPDATE users SET home = '{home}' WHERE userid = 'user2@domain.org'")

    def moves(old, new):
        if not is_stored(slow_daemon, "user2@domain.org"):
            return False
        move_to(new)
        time.sleep(TTL + 0.2)
        before = count(old)
        if not all([is_stored(slow_daemon, "user2@domain.org") for _ in range(5)]):
            return False
        return (count(old), count(new)) == (before, 5)

    homes = ["domain.org/mails/user2", *(f"domain.org/moved{number}/user2" for number in range(ATTEMPTS))]
    try:
        assert any(moves(old, new) for old, new in itertools.pairwise(homes))
    finally:
        move_to(homes[0])


def test_a_new_user_has_his_own_mail_and_not_the_catch_all(postgres, slow_daemon, mail_base):
    def is_found(number):
        user = f"new{number}"
        with slow_daemon.client() as client:
            if rcpt(client, f"{user}@foo.org") == (451, "4.3.0"):
                return False
        postgres.sql("INSERT INTO users (userid, uid, gid, home)"
                     f" VALUES ('{user}@foo.org', 1002, 1002, 'foo.org/mails/{user}')")
        time.sleep(TTL + 0.2)
        before = len(stored(mail_base / "foo.org/mails/user"))
        if not is_stored(slow_daemon, f"{user}@foo.org"):
            return False
        others = len(stored(mail_base / "foo.org/mails/user")) - before
        return (others, len(stored(mail_base / f"foo.org/mails/{user}"))) == (0, 1)

    postgres.sql("INSERT INTO virtual (address, userid) VALUES ('@foo.org', 'user@foo.org')")
    try:
        assert any(is_found(number) for number in range(ATTEMPTS))
    finally:
        postgres.sql("DELETE FROM virtual WHERE address = '@foo.org';"
                     "DELETE FROM users WHERE userid LIKE 'new%@foo.org'")
