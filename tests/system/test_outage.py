"""The database killed, restarted, cut off and slowed down under load: cached recipients never notice,
nobody is refused, and it recovers by itself.

One load runs through all of it, and a stranger beside it, whom nobody knows. Before each disturbance the database is
left in peace, and p99 of what began in that time is what the disturbance's is compared with. What cached recipients
really wait for, they wait for each time; a bad minute of the machine's host is another matter. So a disturbance
comes again where p99 was too long, ATTEMPTS times at most.
"""

import bisect
import ipaddress
import itertools
import os
import pathlib
import signal
import subprocess
import threading
import time

import pytest

from testsite import PrivatePostgres, Tables, wait_until

USERS = 40
RATE = 300  # messages a second
TTL = 3
IN_PEACE, DISTURBED, AFTERWARDS = 5, 7, 3  # seconds, the last from recovery on: it belongs to the disturbance
MOST = 1.5  # times p99 in peace
ATTEMPTS = 5
NOISE = 1.0  # milliseconds on top: a load of the same kind differs so much from itself on a machine of two cores


def ip(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


class Namespace:
    """A network namespace with one link to here. Names and addresses are this process's own."""

    prefix = "lmtpd-test-db-"

    def __init__(self, pid=os.getpid()):
        self.name = f"{self.prefix}{pid}"
        self.link, self.peer = f"lmtpd{pid}h", f"lmtpd{pid}t"
        # Of the networks for tests of devices (RFC 2544 C.2.2), one of two hosts.
        network = ipaddress.ip_network("198.18.0.0/15")
        first = int(network.network_address) + 4 * (pid % (network.num_addresses // 4))
        self.here, self.there = (str(ipaddress.ip_address(first + host)) for host in (1, 2))

    def __enter__(self):
        self.remove_leftovers()
        ip("netns", "add", self.name)
        ip("link", "add", self.link, "type", "veth", "peer", "name", self.peer, "netns", self.name)
        ip("addr", "add", f"{self.here}/30", "dev", self.link)
        ip("link", "set", self.link, "up")
        self.ip("addr", "add", f"{self.there}/30", "dev", self.peer)
        self.ip("link", "set", self.peer, "up")
        self.ip("link", "set", "lo", "up")
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        # By itself: the namespace outlives its name, and the link with it, while a connection ends.
        if pathlib.Path("/sys/class/net", self.link).exists():
            ip("link", "del", self.link)
        ip("netns", "del", self.name)

    # Of runs that were killed.
    def remove_leftovers(self):
        for name in (line.split()[0] for line in ip("netns", "list").splitlines()):
            pid = name.removeprefix(self.prefix)
            if name != pid and not pathlib.Path("/proc", pid).exists():
                Namespace(int(pid)).remove()

    def ip(self, *words):
        ip("-n", self.name, *words)

    # As a firewall that drops: what comes in is answered, and the answers vanish.
    def cut_off(self):
        self.ip("route", "add", "blackhole", f"{self.here}/32")

    def reconnect(self):
        self.ip("route", "del", "blackhole", f"{self.here}/32")


@pytest.fixture(scope="module")
def mail_base(mail_base_in_memory):
    """That a disk has other work is not the database's doing."""
    return mail_base_in_memory


@pytest.fixture(scope="module")
def far():
    with Namespace() as namespace:
        yield namespace


@pytest.fixture(scope="module")
def database(site, far):
    """The site's database, reached over the link. It takes the cores only when nobody else wants them, as if it
    had a machine of its own."""
    database = PrivatePostgres(site, "far", far.there,
                               ["nice", "-n", "19", "ip", "netns", "exec", far.name])
    try:
        database.create()
        database.sql(f"""
            INSERT INTO users (userid, uid, gid, home)
                SELECT u||'user@domain.org', 1001, 1001, 'domain.org/far/'||u||'user'
                FROM generate_series(1, {USERS}) u;
            INSERT INTO virtual (address, userid)
                SELECT u||'alias@domain.org', u||'user@domain.org' FROM generate_series(1, {USERS}) u;""")
        yield database
    finally:
        database.stop()


class Stranger(threading.Thread):
    """Asks for addresses that exist and that nobody has asked for; the replies' codes."""

    counts = itertools.count(1)  # of all strangers: an address that was answered once stands in later

    def __init__(self, daemon):
        super().__init__()
        self.daemon_ = daemon
        self.codes = []  # since they were last taken
        self.over = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def run(self):
        with self.daemon_.client() as client:
            while not self.over.wait(0.2):
                client.command("MAIL FROM:<sender@example.org>")
                self.codes.append(client.command(f"RCPT TO:<user+{next(self.counts)}@domain.org>").code)
                client.command("RSET")

    def take_codes(self):
        codes, self.codes = self.codes, []
        return set(codes)


class Load:
    """Deliveries to users and aliases that are in the cache. Each message counts for the phase that it began in."""

    def __init__(self, daemon, build, latencies):
        self.latencies = latencies
        self.beginnings = []  # of phases
        self.command = [
            build / "bench" / "blast", "-c", "8", "--rate", str(RATE), "-s", "1000", "--duration", "3600",
            "--latencies", latencies, "-t", f"{{1-{USERS}}}user@domain.org",
            "-t", f"{{1-{USERS}}}alias@domain.org", f"unix:{daemon.socket_path}"]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def begin_phase(self):
        self.beginnings.append(time.monotonic_ns())

    def last_phases(self, count):
        """The latencies of each, but of the one that is not over, in milliseconds, from the first command on: it is
        at RCPT that the database might be waited for. Each reply was right, or the load would have ended before."""
        if self.process.poll() is not None:
            pytest.fail("".join(self.process.communicate()))
        phases = [[] for _ in range(count)]
        for began, latency in self.lines():
            phase = bisect.bisect(self.beginnings, began) - len(self.beginnings) + count
            if 0 <= phase < count:
                phases[phase].append(latency / 1e6)
        return phases

    def lines(self):
        # The last may be under way.
        complete, _, _ = self.latencies.read_text().rpartition("\n")
        return [tuple(map(int, line.split("\t"))) for line in complete.splitlines()]


def percentile(values, percent):
    return sorted(values)[max(-(-len(values) * percent // 100) - 1, 0)]


@pytest.fixture(scope="module")
def far_tables(database, site):
    return Tables(site.make("far-tables"), database)


@pytest.fixture
def far_daemon(far_tables, make_daemon):
    daemon = make_daemon(**far_tables.parameters(), cache_ttl=f"{TTL}s", fsync="no",
                         db_connect_timeout="2s", db_query_timeout="2s")
    daemon.wait_log("changed rows are noticed")
    return daemon


def test_cached_recipients_never_notice(database, far, far_daemon, build, tmp_path, capsys):
    def slow_down():
        database.sql("""CREATE OR REPLACE VIEW postfix_mailboxes AS
            SELECT userid, home||'/' AS mailbox FROM users CROSS JOIN pg_sleep(0.3)
            UNION ALL SELECT domain AS userid, 'dummy' AS mailbox FROM transport""")

    def speed_up():
        database.sql("""CREATE OR REPLACE VIEW postfix_mailboxes AS
            SELECT userid, home||'/' AS mailbox FROM users
            UNION ALL SELECT domain AS userid, 'dummy' AS mailbox FROM transport""")

    disturbances = {
        "killed": (lambda: database.stop(signal.SIGQUIT), database.start),
        "restarted": (database.restart, lambda: None),
        "cut off": (far.cut_off, far.reconnect),
        "slowed down": (slow_down, speed_up),
    }

    def is_not_noticed(load, stranger, name):
        begin, end = disturbances[name]
        stranger.take_codes()
        load.begin_phase()
        time.sleep(IN_PEACE)
        codes = stranger.take_codes()
        assert codes <= {250, 451}, (name, codes)
        if codes != {250}:  # the database itself was far behind
            return False
        load.begin_phase()
        begin()
        time.sleep(DISTURBED)
        codes = stranger.take_codes()
        assert codes <= {250, 451}, (name, codes)
        if name in ("killed", "cut off"):
            assert 451 in codes, name
        end()
        stranger.take_codes()
        wait_until(lambda: 250 in stranger.codes, f"recovery after {name}")
        time.sleep(AFTERWARDS)
        assert stranger.take_codes() <= {250, 451}, name
        load.begin_phase()
        peace, disturbed = load.last_phases(2)
        if len(disturbed) < 0.5 * RATE * DISTURBED:  # the load itself was far behind
            return False
        allowed = MOST * percentile(peace, 99) + NOISE
        with capsys.disabled():
            print(f"{name:12} {len(disturbed):8} {percentile(disturbed, 50):7.3f} {percentile(disturbed, 99):7.3f}"
                  f" {max(disturbed):7.1f} {allowed:8.3f}")
        return percentile(disturbed, 99) <= allowed

    with capsys.disabled():
        print("", "database     messages  median     p99     max  allowed", sep="\n")
    with Load(far_daemon, build, tmp_path / "latencies") as load, Stranger(far_daemon) as stranger:
        time.sleep(2)
        for name in disturbances:
            assert any(is_not_noticed(load, stranger, name) for _ in range(ATTEMPTS)), name


def test_a_silent_database_is_waited_for_once(far, far_daemon):
    """1 s in all, not for each address, nor for each table that it needs, however rarely they are asked for."""
    addresses = [f"{n}alias@domain.org" for n in range(1, 7)]

    def waits():
        with far_daemon.client() as client:
            for address in addresses:
                began = time.monotonic()
                client.command("MAIL FROM:<sender@example.org>")
                assert client.command(f"RCPT TO:<{address}>").code == 250, address
                yield time.monotonic() - began
                client.command("RSET")

    def is_waited_for_once():
        in_peace = max(waits())
        time.sleep(TTL)
        far.cut_off()
        try:
            first, *others = waits()
            time.sleep(2 * TTL)  # nobody asks, and all that was asked has failed
            later = max(waits())
        finally:
            far.reconnect()
        wait_until(lambda: far_daemon.ctl("resolve", "user@domain.org").returncode == 0, "the database is back")
        return in_peace < 1 and first < 1.9 and max(others) < 0.9 and later < 0.9
    assert any(is_waited_for_once() for _ in range(ATTEMPTS))
