"""What deliveries cost the database, as its own log tells."""

import subprocess

import psycopg2
import pytest

from testsite import HoldingProxy, Lmtp, Tables, wait_until

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
    """Of mailreader since the last call; the proofs that notices arrive are none of a lookup's. A statement is
    in the log before it is answered."""

    def __init__(self, postgres):
        self.log = postgres.log
        self.offset = self.log.stat().st_size

    def count(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            log.seek(self.offset)
            text = log.read()
            self.offset = log.tell()
        return sum(1 for line in text.splitlines()
                   if "] mailreader LOG:  execute " in line and "pg_notify" not in line)


def test_a_hundred_thousand_deliveries_to_a_thousand_users(users, postgres, make_daemon, build,
                                                           mail_base):
    daemon = make_daemon(cache_ttl="24h", fsync="no")
    daemon.wait_log("changed rows are noticed")
    queries = Queries(postgres)
    for _ in range(10):
        done = subprocess.run(
            [build / "bench" / "blast", "-c", "10", "-m", "200", "-r", "50", "-s", "512",
             "-t", f"{{1-{USERS}}}user@q{{1-{DOMAINS}}}.example", f"unix:{daemon.socket_path}"],
            capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        for domain in range(1, DOMAINS + 1):
            messages = list((mail_base / f"q{domain}.example").glob("*/new/*"))
            assert len(messages) == 10_000 / DOMAINS
            for message in messages:
                message.unlink()
    assert 3 * USERS * DOMAINS <= queries.count() <= 6 * USERS * DOMAINS


def test_many_who_ask_for_one_address_cost_one_query_a_key(users, postgres, make_daemon):
    daemon = make_daemon()
    daemon.wait_log("changed rows are noticed")
    # The domain's own keys are known then.
    assert daemon.ctl("resolve", "1user@q1.example").returncode == 0
    queries = Queries(postgres)

    def cost(address):
        assert daemon.ctl("resolve", address).returncode == 0
        return queries.count()

    # What was asked just as notices began may have to be asked again.
    alone = min(cost(f"{number}user@q1.example") for number in (3, 4, 5))
    assert alone >= 3

    clients = [Lmtp(daemon.socket_path) for _ in range(32)]
    for client in clients:
        client.lhlo()
        client.command("MAIL FROM:<sender@example.org>")
    # Nobody is answered before all have asked.
    lock = psycopg2.connect(host=str(postgres.directory), port=postgres.port, user="postgres", dbname="mails")
    with lock, lock.cursor() as cursor:
        cursor.execute("LOCK TABLE users")
        misses = daemon.counters()["cache_misses"]
        for client in clients:
            client.send(b"RCPT TO:<2user@q1.example>\r\n")
        wait_until(lambda: daemon.counters()["cache_misses"] >= misses + len(clients), "all have asked")
    assert [client.reply().code for client in clients] == [250] * len(clients)
    lock.close()
    assert queries.count() == alone
    for client in clients:
        client.quit()


def test_fifty_pipelined_recipients_cost_a_round_trip_an_alias_step_and_one_for_the_ids(
        users, postgres, make_daemon, site):
    postgres.sql("INSERT INTO virtual SELECT u||'alias@q1.example', u||'middle@q1.example'"
                 " FROM generate_series(1, 50) u;"
                 "INSERT INTO virtual SELECT u||'middle@q1.example', u||'user@q1.example'"
                 " FROM generate_series(1, 50) u;")
    proxy = HoldingProxy(postgres)
    tables = Tables(site.make("held-tables"), proxy)
    daemon = make_daemon(**tables.parameters(), notify_hosts="none")
    daemon.ctl("resolve", "1user@q2.example")  # connected, and each statement prepared
    # Two tables each time, the aliases and mailboxes or the uids and gids: an address is a key of both, and at first
    # its domain.
    for name, round_trips in (("user", [102, 102]), ("alias", [102, 100, 100, 102])):
        with daemon.client() as client:
            client.command("MAIL FROM:<>")
            proxy.hold()
            client.send(b"".join(
                b"RCPT TO:<%d%s@q1.example>\r\n" % (number, name.encode()) for number in range(1, 51)))
            # All of each round trip are asked before the first is answered.
            for statements in round_trips:
                wait_until(lambda: proxy.held() >= statements, f"{statements} statements of {name}")
                assert proxy.let_through() == statements, name
            assert [client.reply().code for _ in range(50)] == [250] * 50
            assert proxy.held() == 0
            proxy.release()
        assert daemon.ctl("flush").returncode == 0
