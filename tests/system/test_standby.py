"""The first host is a hot standby, the second its primary, from which the notices come."""

import psycopg2
import pytest

from testsite import Tables, wait_until
from testsite.postgres import SQL


@pytest.fixture(scope="module")
def standby(postgres):
    postgres.sql((SQL / "notify.sql").read_text())
    server = postgres.make_standby()
    yield server
    server.stop()


@pytest.fixture
def near_daemon(site, postgres, standby, make_daemon):
    tables = Tables(site.make(f"near-tables{sum(1 for _ in site.path.glob('near-tables*'))}"), postgres,
                    hosts=f"localhost:{standby.port}, localhost:{postgres.port}")

    def make(**parameters):
        daemon = make_daemon(**tables.parameters(), notify_hosts=f"localhost:{postgres.port}", **parameters)
        daemon.wait_log(f"connected to PostgreSQL at localhost:{standby.port}$")
        daemon.wait_log(f"changed rows are noticed, by PostgreSQL at localhost:{postgres.port}$")
        return daemon
    return make


def code(daemon, address):
    return daemon.deliver(address, b"x\n").recipients[0].code


def pause_replay(standby):
    standby.sql("SELECT pg_wal_replay_pause()")
    wait_until(lambda: standby.sql("SELECT pg_get_wal_replay_pause_state()") == "paused\n",
               "replay is paused")


def test_what_it_has_not_replayed_yet_is_not_missed(postgres, standby, near_daemon):
    """The notice is there before the row is."""
    daemon = near_daemon(cache_ttl="1h", cache_negative_ttl="1h")
    assert code(daemon, "late@foo.org") == 550
    pause_replay(standby)
    try:
        before = daemon.counters()["notices"]
        postgres.sql("INSERT INTO virtual VALUES ('late@foo.org', 'user@foo.org')")
        wait_until(lambda: daemon.counters()["notices"] > before, "the notice")
        assert code(daemon, "late@foo.org") == 550
        assert code(daemon, "user@foo.org") == 250
    finally:
        standby.sql("SELECT pg_wal_replay_resume()")
    wait_until(lambda: code(daemon, "late@foo.org") == 250, "the row is seen")


def test_where_it_waits_for_a_lock_the_primary_is_asked(postgres, standby, near_daemon):
    """As for a migration's lock, whose end it does not hear of."""
    daemon = near_daemon(db_query_timeout="2s", cache_size="0")
    assert code(daemon, "user@foo.org") == 250
    migration = psycopg2.connect(host=str(postgres.directory), port=postgres.port, user="postgres",
                                 dbname="mails")
    try:
        migration.cursor().execute("LOCK TABLE users")
        postgres.sql("SELECT pg_switch_wal()")  # sends what is written so far
        wait_until(lambda: standby.sql("SELECT mode FROM pg_locks WHERE relation = 'users'::regclass")
                   == "AccessExclusiveLock\n", "the standby has the lock")
        pause_replay(standby)
        migration.rollback()
        (reply,) = daemon.deliver("user@foo.org", b"x\n").recipients
        assert str(reply).startswith("451 4.3.0 ")
        wait_until(lambda: code(daemon, "user@foo.org") == 250, "lookups at the primary")
        daemon.wait_log(f"connected to PostgreSQL at localhost:{postgres.port}$")
    finally:
        migration.close()
        standby.sql("SELECT pg_wal_replay_resume()")
