"""Rows that change reach the next RCPT: at once with the triggers of contrib/sql, else by cache_ttl."""

import pathlib

import pytest

from testsite import wait_until

SQL = pathlib.Path(__file__).parents[2] / "contrib" / "sql"


@pytest.fixture
def triggers(postgres):
    postgres.sql((SQL / "notify.sql").read_text())
    yield
    postgres.sql("DROP FUNCTION lmtpd_notify() CASCADE; DROP FUNCTION lmtpd_watch(regclass, text)")


def rcpt(client, address):
    client.command("RSET")
    client.command("MAIL FROM:<sender@example.org>")
    return client.command(f"RCPT TO:<{address}>").code


def wait_for_effect(client, address, code):
    wait_until(lambda: rcpt(client, address) == code, f"{code} for {address}")


def test_every_kind_of_change_is_in_effect_long_before_the_ttl(postgres, triggers, make_daemon):
    daemon = make_daemon(cache_ttl="1h", cache_negative_ttl="1h")
    daemon.wait_log("changed rows are noticed")
    with daemon.client() as client:
        for statement, address, before, after in [
                ("INSERT INTO users (userid, uid, gid, home) VALUES ('new@domain.org', 1001, 1001,"
                 " 'domain.org/mails/new')", "new@domain.org", 550, 250),
                ("UPDATE users SET userid = 'newer@domain.org' WHERE userid = 'new@domain.org'",
                 "new@domain.org", 250, 550),
                ("UPDATE users SET uid = 0 WHERE userid = 'newer@domain.org'",
                 "newer@domain.org", 250, 451),
                ("DELETE FROM users WHERE userid = 'newer@domain.org'",
                 "newer@domain.org", 451, 550),
                ("INSERT INTO virtual (address, userid) VALUES ('alias@foo.org', 'user@foo.org')",
                 "alias@foo.org", 550, 250),
                ("UPDATE virtual SET userid = 'nobody@foo.org' WHERE address = 'alias@foo.org'",
                 "alias@foo.org", 250, 550),
                ("UPDATE virtual SET userid = 'user@foo.org' WHERE address = 'alias@foo.org'",
                 "alias@foo.org", 550, 250),
                ("DELETE FROM virtual WHERE address = 'alias@foo.org'", "alias@foo.org", 250, 550),
                ("INSERT INTO virtual (address, userid) VALUES ('@foo.org', 'user@foo.org')",
                 "anybody@foo.org", 550, 250),
                ("DELETE FROM virtual WHERE address = '@foo.org'", "anybody@foo.org", 250, 550)]:
            assert rcpt(client, address) == before, statement
            assert rcpt(client, address) == before
            postgres.sql(statement)
            wait_for_effect(client, address, after)


def test_a_bulk_load_does_not_leave_an_old_answer(postgres, triggers, make_daemon):
    daemon = make_daemon(cache_ttl="1h", cache_negative_ttl="1h")
    daemon.wait_log("changed rows are noticed")
    with daemon.client() as client:
        assert rcpt(client, "bulk99999@domain.org") == 550
        postgres.sql("INSERT INTO users (userid, uid, gid, home) SELECT 'bulk' || n || '@domain.org',"
                     " 1001, 1001, 'domain.org/mails/bulk' || n FROM generate_series(1, 100000) n")
        wait_for_effect(client, "bulk99999@domain.org", 250)
        assert daemon.counters()["notices"] < 5
        postgres.sql("DELETE FROM users WHERE userid LIKE 'bulk%'")
        wait_for_effect(client, "bulk99999@domain.org", 550)


def test_without_triggers_it_is_seen_after_the_ttl(postgres, make_daemon):
    daemon = make_daemon(cache_ttl="2s", cache_negative_ttl="2s", notify_hosts="none")
    with daemon.client() as client:
        assert rcpt(client, "late@domain.org") == 550
        postgres.sql("INSERT INTO users (userid, uid, gid, home) VALUES ('late@domain.org', 1001,"
                     " 1001, 'domain.org/mails/late')")
        try:
            wait_for_effect(client, "late@domain.org", 250)
        finally:
            postgres.sql("DELETE FROM users WHERE userid = 'late@domain.org'")


def test_flush_and_status(postgres, make_daemon):
    daemon = make_daemon(cache_ttl="1h", cache_negative_ttl="1h", notify_hosts="none")
    with daemon.client() as client:
        for what in ("flushed@domain.org", "FLUSHED+ext@domain.org", "@domain.org", None):
            assert rcpt(client, "flushed@domain.org") == 550
            assert rcpt(client, "user@foo.org") == 250
            postgres.sql("INSERT INTO users (userid, uid, gid, home) VALUES ('flushed@domain.org',"
                         " 1001, 1001, 'domain.org/mails/flushed')")
            assert rcpt(client, "flushed@domain.org") == 550
            assert daemon.ctl("flush", *([what] if what else [])).returncode == 0
            queries = daemon.counters()["database_queries"]
            assert rcpt(client, "user@foo.org") == 250
            assert (daemon.counters()["database_queries"] == queries) == bool(what), what
            assert rcpt(client, "flushed@domain.org") == 250
            postgres.sql("DELETE FROM users WHERE userid = 'flushed@domain.org'")
            assert daemon.ctl("flush").returncode == 0
        assert rcpt(client, "user@foo.org") == 250
    counters = daemon.counters()
    assert counters["cache_flushes"] == 5
    assert counters["notices_arrive"] == 0
    assert counters["cache_entries"] > 0 and counters["cache_octets"] > 0
    assert counters["cache_hits"] > 0 and counters["cache_misses"] > 0
    refused = daemon.ctl("flush", "a@b@c")
    assert (refused.returncode, refused.stdout[:9]) == (1, "553 5.1.3")
    assert daemon.ctl("status", "extra").returncode == 64
