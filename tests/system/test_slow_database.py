"""A database that is merely slow is not away: what it says is the truth, for everybody."""

import time

import pytest

from testsite import Distance, Tables, stored, wait_until

MESSAGE = b"Subject: slow\n\nbody\n"
TTL = 2


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


def test_an_unknown_user_is_unknown_each_time(slow_daemon):
    replies = []
    with slow_daemon.client() as client:
        end = time.monotonic() + 2.5 * TTL
        while time.monotonic() < end:
            replies += [rcpt(client, "nobody@domain.org"), rcpt(client, "nobody+x@foo.org")]
            time.sleep(0.1)
        time.sleep(1.2 * TTL)  # past the end of what nobody asked for meanwhile
        replies += [rcpt(client, "nobody@domain.org"), rcpt(client, "nobody+x@foo.org")]
    assert set(replies) == {(550, "5.1.1")}


def test_a_changed_row_is_in_effect_after_the_ttl(postgres, slow_daemon, mail_base):
    old, new = (mail_base / "domain.org" / name for name in ("mails/user2", "moved/user2"))
    assert slow_daemon.deliver("user2@domain.org", MESSAGE).final[0].code == 250
    postgres.sql("UPDATE users SET home = 'domain.org/moved/user2' WHERE userid = 'user2@domain.org'")
    try:
        time.sleep(TTL + 0.2)
        before = len(stored(old))
        for _ in range(5):
            assert slow_daemon.deliver("user2@domain.org", MESSAGE).final[0].code == 250
        assert (len(stored(old)), len(stored(new))) == (before, 5)
    finally:
        postgres.sql("UPDATE users SET home = 'domain.org/mails/user2' WHERE userid = 'user2@domain.org'")


def test_a_new_user_has_his_own_mail_and_not_the_catch_all(postgres, slow_daemon, mail_base):
    postgres.sql("INSERT INTO virtual (address, userid) VALUES ('@foo.org', 'user@foo.org')")
    try:
        with slow_daemon.client() as client:
            assert rcpt(client, "new@foo.org") == (250, "2.1.5")
        postgres.sql("INSERT INTO users (userid, uid, gid, home)"
                     " VALUES ('new@foo.org', 1002, 1002, 'foo.org/mails/new')")
        time.sleep(TTL + 0.2)
        before = len(stored(mail_base / "foo.org/mails/user"))
        assert slow_daemon.deliver("new@foo.org", MESSAGE).final[0].code == 250
        assert len(stored(mail_base / "foo.org/mails/user")) == before
        assert len(stored(mail_base / "foo.org/mails/new")) == 1
    finally:
        postgres.sql("DELETE FROM virtual WHERE address = '@foo.org';"
                     "DELETE FROM users WHERE userid = 'new@foo.org'")
