"""What deliveries cost the database, as its own log tells."""

import subprocess
import time

import pytest

from testsite import Distance, Lmtp, Tables, wait_until

DOMAINS = 10
USERS = 100
UID = 4000


@pytest.fixture(scope="module")
def users(postgres):
    """1user to 100user in each of ten domains; each statement of theirs is in the server's log."""
    postgres.sql(f"""
        INSERT INTO transport SELECT 'q'||d||'.example', 'virtual:' FROM generate_series(1, {DOMAINS}) d;
        INSERT INTO users (userid, uid, gid, home)
            SELECT u||'user@q'||d||'.example', {UID} + d, {UID} + d, 'q'||d||'.example/'||u||'user'
            FROM generate_series(1, {DOMAINS}) d, generate_series(1, {USERS}) u;
        ALTER ROLE mailreader SET log_statement = 'all';""")
    yield
    postgres.sql("ALTER ROLE mailreader RESET log_statement")


class Queries:
    """Of mailreader since the last call; the proofs that notices arrive are none of a lookup's."""

    def __init__(self, postgres):
        self.log = postgres.log
        wait_until(self._is_quiet, "no more queries")
        self.offset = self.log.stat().st_size

    def count(self):
        wait_until(self._is_quiet, "no more queries")
        with open(self.log, encoding="utf-8", errors="replace") as log:
            log.seek(self.offset)
            text = log.read()
            self.offset = log.tell()
        return sum(1 for line in text.splitlines()
                   if "] mailreader LOG:  execute " in line and "pg_notify" not in line)

    def _is_quiet(self):
        before = self.log.stat().st_size
        time.sleep(0.2)
        return self.log.stat().st_size == before


def test_a_hundred_thousand_deliveries_to_a_thousand_users(users, postgres, make_daemon, build,
                                                           mail_base):
    daemon = make_daemon(cache_ttl="600s", fsync="no")
    daemon.wait_log("changed rows are noticed")
    queries = Queries(postgres)
    begin = time.monotonic()
    for _ in range(10):
        done = subprocess.run(
            [build / "bench" / "blast", "-c", "10", "-m", "200", "-r", "50", "-s", "512",
             "-t", f"{{1-{USERS}}}user@q{{1-{DOMAINS}}}.example", f"unix:{daemon.socket_path}"],
            capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        for domain in range(1, DOMAINS + 1):
            messages = list((mail_base / f"q{domain}.example").glob("*/new/*"))
            assert len(messages) == 10_000 / DOMAINS
            for message in messages:
                message.unlink()
    took = time.monotonic() - begin
    asked = queries.count()
    assert took < 600, "longer than cache_ttl"
    assert 3 * USERS * DOMAINS <= asked <= 6 * USERS * DOMAINS


def test_many_who_ask_for_one_address_cost_one_query_a_key(users, postgres, make_daemon):
    daemon = make_daemon()
    daemon.wait_log("changed rows are noticed")
    # The domain's own keys are known then.
    assert daemon.ctl("resolve", "1user@q1.example").returncode == 0
    queries = Queries(postgres)
    assert daemon.ctl("resolve", "3user@q1.example").returncode == 0
    alone = queries.count()
    assert alone >= 3

    clients = [Lmtp(daemon.socket_path) for _ in range(32)]
    for client in clients:
        client.lhlo()
        client.command("MAIL FROM:<sender@example.org>")
    # Nobody is answered before all have asked.
    lock = subprocess.Popen(
        [postgres.bin / "psql", "-X", "-q", "-h", postgres.directory, "-p", str(postgres.port), "-U",
         "postgres", "mails", "-c", "BEGIN; LOCK TABLE users; SELECT pg_sleep(2); COMMIT"],
        stdout=subprocess.DEVNULL)
    wait_until(lambda: postgres.sql("SELECT count(*) FROM pg_locks WHERE relation = 'users'::regclass"
                                    " AND mode = 'AccessExclusiveLock' AND granted").strip() == "1",
               "the table is locked")
    for client in clients:
        client.send(b"RCPT TO:<2user@q1.example>\r\n")
    assert [client.reply().code for client in clients] == [250] * len(clients)
    assert lock.wait(timeout=30) == 0
    assert queries.count() == alone
    for client in clients:
        client.quit()


def test_fifty_pipelined_recipients_cost_a_round_trip_an_alias_step_and_one_for_the_ids(
        users, postgres, make_daemon, site):
    postgres.sql("INSERT INTO virtual SELECT u||'alias@q1.example', u||'middle@q1.example'"
                 " FROM generate_series(1, 50) u;"
                 "INSERT INTO virtual SELECT u||'middle@q1.example', u||'user@q1.example'"
                 " FROM generate_series(1, 50) u;")
    tables = Tables(site.make("distant-tables"), Distance(postgres, 0.2))
    daemon = make_daemon(**tables.parameters(), notify_hosts="none")
    daemon.ctl("resolve", "1user@q2.example")  # connected, and each statement prepared
    for name, alias_steps in (("user", 1), ("alias", 3)):
        with daemon.client() as client:
            client.command("MAIL FROM:<>")
            begin = time.monotonic()
            client.send(b"".join(
                b"RCPT TO:<%d%s@q1.example>\r\n" % (number, name.encode()) for number in range(1, 51)))
            assert [client.reply().code for _ in range(50)] == [250] * 50
            round_trips = (time.monotonic() - begin) / 0.2
        assert alias_steps + 1 <= round_trips < alias_steps + 1.9, name
        assert daemon.ctl("flush").returncode == 0
