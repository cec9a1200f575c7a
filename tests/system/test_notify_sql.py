"""contrib/sql/notify.sql: which notices a change of rows sends."""

import re
import time

import psycopg2
import pytest

from testsite.postgres import SQL

NOTIFY = (SQL / "notify.sql").read_text()


@pytest.fixture(scope="module")
def watched(postgres):
    """The triggers, loaded twice as after an upgrade, on a database of its own."""
    postgres.sql("CREATE DATABASE watched", database="postgres")
    postgres.sql((SQL / "schema.sql").read_text(), database="watched")
    postgres.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON users, virtual, transport TO mailwriter",
                 database="watched")
    for _ in range(2):
        postgres.sql(NOTIFY, database="watched")
    return postgres


class Listener:
    def __init__(self, postgres):
        self.connection = psycopg2.connect(host="localhost", port=postgres.port, user="mailreader",
                                           password="secret", dbname="watched")
        self.connection.autocommit = True
        with self.connection.cursor() as cursor:
            cursor.execute("LISTEN lmtpd")

    def payloads(self):
        """All that was sent by now: a session reads its notices before it answers a query."""
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        taken = [notice.payload for notice in self.connection.notifies]
        del self.connection.notifies[:]
        return taken

    def keys(self):
        return sorted(key for payload in self.payloads() for key in payload.split("\n"))


@pytest.fixture
def listener(watched):
    watched.sql("DELETE FROM users; DELETE FROM virtual; DELETE FROM transport", "watched")
    listener = Listener(watched)
    yield listener
    listener.connection.close()


@pytest.fixture
def sql(watched, listener):
    """Runs statements, in one transaction if there are several, as `mailwriter`."""
    writer = psycopg2.connect(host="localhost", port=watched.port, user="mailwriter",
                              password="secret", dbname="watched")

    def run(statements):
        with writer, writer.cursor() as cursor:
            cursor.execute(statements)
    yield run
    writer.close()


def user(address):
    return f"('{address}', 1001, 1001, 'h')"


INSERT = "INSERT INTO users (userid, uid, gid, home) "


def test_every_change_of_a_row_names_its_key(sql, listener):
    sql(INSERT + f"VALUES {user('a@d.org')}, {user('B@d.org')}")
    assert listener.keys() == ["B@d.org", "a@d.org"]
    sql("UPDATE users SET home = 'x' WHERE userid = 'a@d.org'")
    assert listener.keys() == ["a@d.org"]
    sql("UPDATE users SET userid = 'c@d.org' WHERE userid = 'a@d.org'")
    assert listener.keys() == ["a@d.org", "c@d.org"]
    sql("DELETE FROM users")
    assert listener.keys() == ["B@d.org", "c@d.org"]
    sql("DELETE FROM users")
    assert listener.payloads() == []
    sql("INSERT INTO virtual VALUES ('@d.org', 'a@d.org'); INSERT INTO transport VALUES ('d.org', ':')")
    assert listener.keys() == ["@d.org", "d.org"]
    sql("UPDATE transport SET transport = 'x' WHERE domain = 'd.org'; DELETE FROM virtual")
    assert listener.keys() == ["@d.org", "d.org"]


def test_an_upsert_names_new_and_old_rows(sql, listener):
    sql(INSERT + f"VALUES {user('old@d.org')}")
    listener.payloads()
    sql(INSERT + f"VALUES {user('old@d.org')}, {user('new@d.org')} "
        "ON CONFLICT (userid) DO UPDATE SET home = 'other'")
    assert set(listener.keys()) == {"new@d.org", "old@d.org"}
    sql(INSERT + f"VALUES {user('old@d.org')} ON CONFLICT DO NOTHING")
    assert listener.payloads() == []


def test_a_transaction_tells_when_it_commits(watched, sql, listener):
    with pytest.raises(psycopg2.Error):
        sql(INSERT + f"VALUES {user('gone@d.org')}; SELECT 1/0")
    assert listener.payloads() == []
    sql(INSERT + f"VALUES {user('a@d.org')}; SAVEPOINT s; " + INSERT + f"VALUES {user('b@d.org')};"
        "ROLLBACK TO s; DELETE FROM users; " + INSERT + f"VALUES {user('c@d.org')}")
    assert listener.keys() == ["a@d.org", "c@d.org"]


def test_notices_are_split_at_7000_octets(sql, listener):
    """Octets, not characters; no key is lost or cut."""
    sql("INSERT INTO virtual SELECT lpad(n::text, 100, 'ü'), 'x' FROM generate_series(1, 200) AS n")
    payloads = listener.payloads()
    assert len(payloads) > 4
    assert all(6700 < len(payload.encode()) <= 7000 for payload in payloads[:-1])
    keys = [key for payload in payloads for key in payload.split("\n")]
    assert sorted(keys) == sorted(str(n).rjust(100, "ü") for n in range(1, 201))


@pytest.mark.parametrize("rows, payloads", [(1000, None), (1001, ["*"])])
def test_more_than_1000_keys_of_a_statement_are_everything(sql, listener, rows, payloads):
    numbers = f"generate_series(1, {rows}) AS n"
    for statement in ("INSERT INTO virtual SELECT n || '@d.org', 'x' FROM " + numbers,
                      "UPDATE virtual SET userid = 'y'", "DELETE FROM virtual"):
        sql(statement)
        found = listener.payloads()
        assert found == payloads if payloads else len("\n".join(found).split("\n")) == rows, statement


def test_moved_keys_count_twice(sql, listener):
    sql("INSERT INTO virtual SELECT n || '@d.org', 'x' FROM generate_series(1, 501) AS n")
    listener.payloads()
    sql("UPDATE virtual SET address = 'new' || address WHERE address <> '501@d.org'")
    assert len(listener.keys()) == 1000
    sql("UPDATE virtual SET address = 'new' || address")
    assert listener.payloads() == ["*"]


def test_so_are_those_of_a_transaction(sql, listener):
    """A loader of one INSERT a row, as psycopg2's executemany or pg_dump --inserts."""
    one = "INSERT INTO virtual VALUES ('{0}@d.org', 'x'); "
    sql("".join(one.format(n) for n in range(3000)))
    found = listener.payloads()
    assert found[-1] == "*" and len(found) == 1001
    # What a savepoint takes back is not counted, nor is `*` thought to have been sent.
    sql("SAVEPOINT s; DELETE FROM virtual; ROLLBACK TO s; " + one.format("after"))
    assert listener.payloads() == ["after@d.org"]


def test_a_bulk_load_costs_one_notice(watched, sql, listener):
    """Prints what the triggers add to its time."""
    load = "COPY virtual FROM STDIN"
    rows = "".join(f"user{n}@domain{n % 100}.org\tx\n" for n in range(100_000))
    spent = {"on": [], "off": []}
    for _ in range(3):
        for triggers, command in (("off", "DISABLE"), ("on", "ENABLE")):
            watched.sql(f"ALTER TABLE virtual {command} TRIGGER USER; DELETE FROM virtual; "
                        "CHECKPOINT", "watched")
            listener.payloads()
            begin = time.monotonic()
            watched.sql(f"{load};\n{rows}\\.\n", "watched")
            spent[triggers].append(time.monotonic() - begin)
            assert listener.payloads() == (["*"] if triggers == "on" else [])
    print(f"COPY of 100,000 rows: {min(spent['off']):.2f} s without triggers, "
          f"{min(spent['on']):.2f} s with them")
    sql("UPDATE virtual SET userid = 'y'")
    assert listener.payloads() == ["*"]
    sql("DELETE FROM virtual")
    assert listener.payloads() == ["*"]


def test_truncate_is_everything(watched, listener):
    watched.sql("TRUNCATE users", "watched")
    assert listener.payloads() == ["*"]


def test_a_key_that_is_no_line_is_everything(sql, listener):
    sql(r"INSERT INTO virtual VALUES (E'a\nb@d.org', 'x'), ('c@d.org', 'x')")
    assert listener.payloads() == ["*"]
    sql("INSERT INTO virtual VALUES ('', 'x')")
    assert listener.payloads() == []
    sql("INSERT INTO transport VALUES ('*', 'x')")
    assert listener.payloads() == ["*"]


def test_other_schemas(watched, listener):
    """A key that is an expression, a column that may be NULL or very long, names that need quotes."""
    watched.sql("""
        CREATE SCHEMA other;
        CREATE TABLE other.domains (id int PRIMARY KEY, name text);
        CREATE TABLE other."Mail box" ("Local Part" text, domain int);
        INSERT INTO other.domains VALUES (1, 'd.org');
        SELECT lmtpd_watch('other."Mail box"',
            $$"Local Part" || '@' || (SELECT name FROM other.domains WHERE id = domain)$$);
        INSERT INTO other."Mail box" VALUES ('a', 1), ('b', 1), (NULL, 1), ('c', 2)""", "watched")
    assert listener.keys() == ["a@d.org", "b@d.org"]
    watched.sql("""INSERT INTO other."Mail box" VALUES (repeat('x', 7001), 1)""", "watched")
    assert listener.payloads() == ["*"]
    watched.sql("""UPDATE other."Mail box" SET "Local Part" = 'same'""", "watched")
    assert listener.keys() == ["*"]


def test_nobody_can_put_functions_under_it(watched, sql, listener):
    """A writer's search_path is not that of the trigger."""
    watched.sql("CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO mailwriter;"
                "CREATE FUNCTION evil.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT 1/0'",
                "watched")
    sql("SET search_path = evil, public, pg_catalog; SET standard_conforming_strings = off; " +
        INSERT + f"VALUES {user('a@d.org')}")
    assert listener.keys() == ["a@d.org"]


def test_it_can_be_removed(watched, listener):
    remove = re.search(r"To remove it:  (.*)", NOTIFY).group(1)
    watched.sql(remove, "watched")
    try:
        watched.sql(INSERT + f"VALUES {user('a@d.org')}; TRUNCATE users", "watched")
        assert listener.payloads() == []
        count = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"
        assert watched.sql(count, "watched").strip() == "0"
    finally:
        watched.sql(NOTIFY, "watched")
