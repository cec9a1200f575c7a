"""Lookups through PgBouncer, mostly in transaction mode: each may run in another server process."""

import re
import threading
import types

import pytest

from testsite import PrivatePgbouncer, Tables, stored, wait_until
from testsite.postgres import SQL

DOMAINS = 10
USERS = 60


@pytest.fixture(scope="module")
def pgbouncer(site, postgres):
    """1user to 60user in each of ten domains, a uid and gid a domain; 1alias to 60alias for them."""
    postgres.sql(f"""
        INSERT INTO transport SELECT 'd'||d||'.example', 'virtual:' FROM generate_series(1, {DOMAINS}) d;
        INSERT INTO users (userid, uid, gid, home)
            SELECT u||'user@d'||d||'.example', 3000 + d, 3000 + d, 'd'||d||'.example/mails/'||u||'user'
            FROM generate_series(1, {DOMAINS}) d, generate_series(1, {USERS}) u;
        INSERT INTO virtual SELECT replace(userid, 'user', 'alias'), userid FROM users
            WHERE userid LIKE '%user@d%.example'""")
    pooler = PrivatePgbouncer(site, postgres)
    yield pooler.start()
    pooler.stop()


def through(pooler, site):
    """The parameters of a daemon whose every lookup goes through it; that of 30user's uid fails."""
    tables = Tables(site.make(f"{pooler.directory.name}-tables"), pooler)
    uids = tables.path("uids")
    uids.write_text(uids.read_text() + "query = SELECT uid / (userid NOT LIKE '30user%%')::int"
                    " FROM users WHERE userid = '%s'\n")
    return {**tables.parameters(), "cache_size": "0"}


@pytest.fixture(scope="module")
def pooled(site, pgbouncer):
    return through(pgbouncer, site)


def test_it_is_noticed_and_nothing_is_prepared(pgbouncer, pooled, make_daemon, postgres):
    daemon = make_daemon(**pooled)
    daemon.wait_log("connected to PostgreSQL at localhost:.*, through a pooler: no statement is prepared")
    assert [reply.code for reply in daemon.deliver("user@domain.org", b"x\n").final] == [250]
    before = postgres.log.read_text().count("ERROR")
    for _ in range(8):
        assert daemon.deliver("nobody@foo.org", b"x\n").recipients[0].code == 550
    assert daemon.run("-t").returncode == 0
    assert postgres.log.read_text().count("ERROR") == before


def ask(daemon, number, wrong):
    """Pipelined transactions of 60 RCPTs, each third to nobody, one to 30user."""
    with daemon.client() as client:
        for turn in range(10):
            domain = (number + turn) % DOMAINS + 1
            recipients = [f"{n}{('user', 'alias', 'nobody')[n % 3]}@d{domain}.example"
                          for n in range(1, USERS + 1)]
            client.send(b"MAIL FROM:<>\r\n" + b"".join(
                f"RCPT TO:<{recipient}>\r\n".encode() for recipient in recipients) + b"RSET\r\n")
            assert client.reply().code == 250
            for recipient in recipients:
                reply = client.reply()
                expected = 550 if "nobody" in recipient else 451 if recipient.startswith("30") else 250
                if reply.code != expected:
                    wrong.append((recipient, str(reply)))
            assert client.reply().code == 250


def told_wrong(daemons, clients):
    wrong = []
    threads = [threading.Thread(target=ask, args=(daemons[number % len(daemons)], number, wrong))
               for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


@pytest.mark.parametrize("prepared", ["auto", "never"])
def test_two_daemons_under_load_hear_the_truth(pgbouncer, pooled, make_daemon, prepared):
    """Theirs are the same server connections, and the pool is smaller than their clients are many."""
    daemons = [make_daemon(**pooled, db_prepared_statements=prepared) for _ in range(2)]
    assert told_wrong(daemons, clients=16) == []


@pytest.mark.parametrize("mode", ["session", "statement"])
def test_other_modes_are_told_the_truth_too(site, postgres, pgbouncer, make_daemon, mode):
    """Where a client keeps its server process, notices come through."""
    pooler = PrivatePgbouncer(site, postgres, name=f"pgbouncer-{mode}", pool_mode=mode).start()
    try:
        daemon = make_daemon(**through(pooler, site))
        daemon.wait_log("through a pooler: no statement is prepared")
        assert told_wrong([daemon], clients=4) == []
        if mode == "session":
            daemon.wait_log("changed rows are noticed")
    finally:
        pooler.stop()


def test_mail_lands_where_it_belongs(pooled, make_daemon, mail_base):
    daemon = make_daemon(**pooled)
    for domain in range(1, DOMAINS + 1):
        aliases = [f"{user}alias@d{domain}.example" for user in range(1, 30)]
        assert {reply.code for reply in daemon.deliver(aliases, b"x\n").final} == {250}
        for user in range(1, 30):
            (message,) = stored(mail_base / f"d{domain}.example/mails/{user}user")
            assert message.owner == (3000 + domain, 3000 + domain)


def test_it_may_be_restarted(pgbouncer, pooled, make_daemon):
    daemon = make_daemon(**pooled)
    assert [reply.code for reply in daemon.deliver("user@foo.org", b"x\n").final] == [250]
    pgbouncer.stop()
    assert str(daemon.deliver("user@foo.org", b"x\n").recipients[0]).startswith("451 4.3.0")
    pgbouncer.start()
    wait_until(lambda: daemon.deliver("user@foo.org", b"x\n").recipients[0].code == 250,
               "lookups through the new one")


def test_the_database_behind_it_may_be_restarted(postgres, pgbouncer, pooled, make_daemon):
    """PgBouncer goes on to take clients meanwhile."""
    daemon = make_daemon(**pooled)
    postgres.stop()
    try:
        for _ in range(3):
            assert str(daemon.deliver("user@foo.org", b"x\n").recipients[0]).startswith("451 4.3.0")
    finally:
        postgres.start()

    def back():
        (reply,) = daemon.deliver("user@foo.org", b"x\n").recipients
        assert reply.code in (250, 451), reply
        return reply.code == 250
    wait_until(back, "lookups again", interval=0.2)


def test_one_whose_database_is_away_is_passed_over(site, postgres, make_daemon):
    nowhere = types.SimpleNamespace(directory="/nonexistent", port=1)
    pooler = PrivatePgbouncer(site, nowhere, name="pgbouncer-alone").start()
    try:
        tables = Tables(site.make("two-hosts"), postgres,
                        hosts=f"localhost:{pooler.port}, localhost:{postgres.port}")
        daemon = make_daemon(**tables.parameters(), db_connect_timeout="1s")
        wait_until(lambda: daemon.deliver("user@foo.org", b"x\n").recipients[0].code == 250,
                   "lookups at the second host")
        daemon.wait_log(f"connected to PostgreSQL at localhost:{postgres.port}$")
    finally:
        pooler.stop()


def test_notices_do_not_come_through_it(postgres, pgbouncer, pooled, make_daemon):
    """A change is then seen after cache_ttl, and no server process of the pool is left listening."""
    postgres.sql((SQL / "notify.sql").read_text())
    postgres.sql("ALTER SYSTEM SET log_statement = 'all'; SELECT pg_reload_conf()")
    try:
        before = len(postgres.log.read_text())
        daemon = make_daemon(**{**pooled, "cache_size": "1000"}, cache_negative_ttl="2s")
        daemon.wait_log("changed rows are not noticed, they are seen after cache_ttl: a NOTIFY did not"
                        " arrive within 10 s .a pooler in between")
        assert daemon.counters()["notices_arrive"] == 0

        def processes(command):
            return re.findall(rf"\[(\d+)\] mailreader LOG:  statement: {command} lmtpd;",
                              postgres.log.read_text()[before:])
        wait_until(lambda: processes("LISTEN")[0] in processes("UNLISTEN"), "LISTEN is taken back")
        assert daemon.deliver("late@foo.org", b"x\n").recipients[0].code == 550
        postgres.sql("INSERT INTO virtual VALUES ('late@foo.org', 'user@foo.org')")
        wait_until(lambda: daemon.deliver("late@foo.org", b"x\n").recipients[0].code == 250,
                   "the new alias is known")
    finally:
        postgres.sql("ALTER SYSTEM RESET log_statement; SELECT pg_reload_conf();"
                     "DELETE FROM virtual WHERE address = 'late@foo.org'")


def test_notices_come_past_it(postgres, pooled, make_daemon):
    """Rows are read through PgBouncer; what has changed is heard from PostgreSQL itself."""
    postgres.sql((SQL / "notify.sql").read_text())
    daemon = make_daemon(**{**pooled, "cache_size": "1000"}, notify_hosts=f"localhost:{postgres.port}",
                         cache_negative_ttl="1h")
    daemon.wait_log("changed rows are noticed")
    assert daemon.deliver("new@foo.org", b"x\n").recipients[0].code == 550
    postgres.sql("INSERT INTO virtual VALUES ('new@foo.org', 'user@foo.org')")
    wait_until(lambda: daemon.deliver("new@foo.org", b"x\n").recipients[0].code == 250,
               "the new alias is known")
    postgres.sql("DELETE FROM virtual WHERE address = 'new@foo.org'")
    wait_until(lambda: daemon.deliver("new@foo.org", b"x\n").recipients[0].code == 550,
               "the alias is gone")
