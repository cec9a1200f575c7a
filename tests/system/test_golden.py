"""Resolution case by case: tests/lookup/golden through a database and an LMTP dialogue.

README.md there explains the columns. Each case runs on PostgreSQL without the cache and on SQLite
with it, once for each recipient_delimiter that it names, in an empty mail base. The daemon is asked
twice: the cache answers as the tables do.
"""

import os
import re
import shutil
import sqlite3
from typing import NamedTuple

import pytest

from testsite import Lmtpd, stored
from testsite.daemon import BESIDE_POSTFIX
from testsite.directory import REPOSITORY

GOLDEN = REPOSITORY / "tests" / "lookup" / "golden"
MESSAGE = b"Subject: golden\n\nbody\n"

# Tables beyond the site's five, for the parameters that a case sets.
ALIASES = "query=SELECT userid FROM virtual WHERE address = '%s'"  # without a row for each user
TABLES = {
    "aliases": ALIASES,
    "parts": "query=SELECT userid FROM virtual WHERE address = '%u@%d'",
    "labels": "query=SELECT userid FROM virtual WHERE address = '%u@%2.%1' AND '%s' NOT LIKE 'x%%'",
    "local": "query=SELECT userid FROM virtual WHERE address = '%u'",
    "conditions": "table=virtual\nselect_field=userid\nwhere_field=address\n"
                  "additional_conditions=AND address NOT LIKE 'fo%%'",
    "function": "select_function=more_alias",
    "columns": "query=SELECT userid, 'b@more.org' FROM virtual WHERE address = '%s'",
    "format": ALIASES + "\nresult_format=%u@more.org",
    "format_domain": ALIASES + "\nresult_format=%u@%d",
    "of_domain": ALIASES + "\ndomain=catch.org, list.org",
    "of_broken": ALIASES + "\ndomain={broken}",
    "one": "table=postfix_virtual\nselect_field=userid\nwhere_field=address\nexpansion_limit=1",
    "wide": "query=SELECT userid FROM more_wide WHERE address = '%s' ORDER BY number",
    "latin1": ALIASES + "\nencoding=LATIN1",
    "first": "query=SELECT userid FROM more_first WHERE address = '%s'",
    "second": "query=SELECT userid FROM more_second WHERE address = '%s'",
    "broken": "query=SELECT no_such_column FROM virtual WHERE address = '%s'",
    "exists": "query=SELECT 1 FROM users WHERE userid = '%s'",
    "address": "query=SELECT userid FROM users WHERE userid = '%s'",
    "paths": "query=SELECT path FROM more_paths WHERE userid = '%s'",
    "path_uids": "query=SELECT uid FROM more_ids WHERE userid = '%s'",
    "path_gids": "query=SELECT gid FROM more_ids WHERE userid = '%s'",
    "two_uids": "query=SELECT uid FROM users WHERE userid = '%s' UNION ALL SELECT 1002",
}

# What cannot hold, and why; a case that passes after all fails as XPASS.
CANNOT_HOLD = {
    "sqlite": {
        "1.2-function": "Postfix's sqlite tables have no select_function",
        "1.5-columns": "Postfix's sqlite tables answer the first column only",
    },
    "pgsql": {},
}


class Case(NamedTuple):
    id: str
    delimiter: str
    setting: str  # a failure or `parameter = value; ...`
    recipient: bytes
    parameters: str  # of MAIL
    reply: str  # "code status" of a refusal, else ""
    mailboxes: list  # (directory below the base, "uid:gid", Delivered-To), sorted
    original: str  # X-Original-To, where the note says it

    def __str__(self):
        return f"{self.id}{self.delimiter.replace('+', 'plus').replace('-', 'minus')}"


def octets(text):
    """`x{64}` repeats, `\\xNN` is an octet."""
    text = re.sub(r"(.)\{(\d+)\}", lambda found: found[1] * int(found[2]), text)
    return re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode())


def expected_mailboxes(expect, delivered_to, recipient):
    if not expect.startswith("/home/"):
        return []
    domain = recipient.rpartition("@")[2]
    targets = [re.sub("//+", "/", target).rsplit(" ", 1) for target in expect.split(" ; ")]
    names = [octets(name).decode() for name in delivered_to.split(" / ")]
    names = [name + domain if name.endswith("@") else name for name in names]
    assert len(targets) == len(names), expect
    return sorted((path.removeprefix("/home/").rstrip("/"), owner, name)
                  for (path, owner), name in zip(targets, names))


def read_cases(file):
    lines = (GOLDEN / file).read_text(encoding="utf-8").splitlines()
    for line in lines[1:]:
        number, delimiters, rcpt, kind, expect, delivered_to, _, _, note = line.split("\t")
        if kind == "n/a":
            continue
        rcpt, _, setting = rcpt.partition(", ")
        parameters = " SMTPUTF8" if rcpt.endswith(" SMTPUTF8") else ""
        recipient = rcpt.removesuffix(" SMTPUTF8").removesuffix(" (no SMTPUTF8)")
        mailboxes = expected_mailboxes(expect, delivered_to, recipient)
        original = note.partition("X-Original-To: ")[2]
        for delimiter in ["", "+", "+-"] if delimiters == "any" else [delimiters.strip("'")]:
            yield Case(number, delimiter, setting, octets(recipient), parameters,
                       "" if mailboxes else expect, mailboxes, original)


def sql(*files):
    return "\n".join((GOLDEN / file).read_text(encoding="utf-8") for file in files)


class Postgres:
    scheme = "pgsql"
    cache_size = 0

    def __init__(self, server):
        self.server = server
        server.sql("CREATE DATABASE golden", database="postgres")
        self.login = (f"hosts=localhost:{server.port}\nuser=mailreader\npassword=secret\n"
                      "dbname=golden\n")
        self._run(sql("fixture.sql", "more.sql") + """
            CREATE FUNCTION more_alias(text) RETURNS SETOF varchar LANGUAGE sql
                AS $$SELECT userid FROM virtual WHERE address = $1$$;
            GRANT SELECT ON ALL TABLES IN SCHEMA public TO mailreader;""")

    def forbid(self, relation):
        self._run(f"REVOKE SELECT ON {relation} FROM mailreader")

    def allow(self, relation):
        self._run(f"GRANT SELECT ON {relation} TO mailreader")

    def _run(self, statements):
        self.server.sql(statements, database="golden")


class Sqlite:
    scheme = "sqlite"
    cache_size = 10000

    def __init__(self, directory):
        self.path = directory / "golden.db"
        self.login = f"dbpath={self.path}\n"
        self.views = {}
        with self._open() as database:
            database.create_function("repeat", 2, lambda text, count: text * count)
            database.executescript(
                re.sub(r"E'([^']*)'", lambda text: text[0][1:].replace("\\n", "\n"),
                       sql("fixture.sql", "more.sql")))
            # What `encoding` makes of it on PostgreSQL.
            database.execute("UPDATE virtual SET userid = CAST(x'fc406d6f72652e6f7267' AS TEXT)"
                             " WHERE address = 'latin1@more.org'")

    def forbid(self, relation):
        """SQLite has no rights: the relation goes away (the views follow a table's new name)."""
        with self._open() as database:
            (kind, text), = database.execute(
                "SELECT type, sql FROM sqlite_master WHERE name = ?", (relation,))
            self.views[relation] = text
            database.execute(f"DROP VIEW {relation}" if kind == "view"
                             else f"ALTER TABLE {relation} RENAME TO {relation}_away")

    def allow(self, relation):
        with self._open() as database:
            text = self.views.pop(relation)
            database.execute(text if "view" in text.lower()
                             else f"ALTER TABLE {relation}_away RENAME TO {relation}")

    def _open(self):
        return sqlite3.connect(self.path)


class Site:
    """One database, and the daemon that the present case asks for."""

    def __init__(self, site, database):
        self.site = site
        self.database = database
        self.base = site.make(f"{database.scheme}-home", mode=0o711)
        self.directory = site.make(f"{database.scheme}-tables")
        self.tables = {}
        for name in ("transport", "uids", "gids", "mailboxes", "virtual"):
            text = (REPOSITORY / "contrib" / "postfix" / f"{name}.cf").read_text()
            self._add(name, re.sub(r"(?m)^(hosts|user|password|dbname)=.*\n", "", text))
        for name, text in TABLES.items():
            self._add(name, text.replace("{broken}", f"{database.scheme}:{self.path('broken')}"))
        self.running = None  # the (setting, delimiter) that the daemon was started for
        self.forbidden = None
        self.daemon = None
        self.count = 0

    def _add(self, name, text):
        self.path(name).write_text(f"{self.database.login}{text}\n")
        self.tables[name] = f"{self.database.scheme}:{self.path(name)}"

    def path(self, name):
        return self.directory / f"{name}.cf"

    def daemon_for(self, setting, delimiter):
        if self.running != (setting, delimiter):
            self.stop()
            self._start(setting, delimiter)
            self.running = setting, delimiter
        return self.daemon

    def _start(self, setting, delimiter):
        parameters = {
            "virtual_uid_maps": "{uids}", "virtual_gid_maps": "{gids}",
            "virtual_mailbox_maps": "{mailboxes}", "virtual_maps": "{virtual}",
            "transport_maps": "{transport}", "transport_errors": "yes",
            "alias_expansion": "full", "recipient_delimiter": delimiter,
            "mydestination": "$mydomain, $myhostname", "cache_size": str(self.database.cache_size),
            **BESIDE_POSTFIX,
        }
        if setting.startswith("SQL error on "):
            self.forbidden = setting.removeprefix("SQL error on ")
            self.database.forbid(self.forbidden)
        elif setting == "uid query returns 2 rows":
            parameters["virtual_uid_maps"] = "{two_uids}"
        elif setting:
            parameters |= dict(text.split(" = ") for text in setting.split("; "))
        self.count += 1
        name = f"{self.database.scheme}{self.count}"
        queue = self.site.make(name + "-queue")
        self.site.make(f"{name}-queue/private", mode=0o700)
        self.daemon = Lmtpd(self.site, self.base, queue, {
            parameter: value.format(**self.tables) for parameter, value in parameters.items()},
            name=name).start()

    def stop(self):
        """The database is again as it was."""
        self.running = None
        if self.forbidden:
            self.database.allow(self.forbidden)
            self.forbidden = None
        if self.daemon:
            self.daemon.stop()
            self.daemon = None

    def clear(self):
        for entry in self.base.iterdir():
            shutil.rmtree(entry)

    def delivered(self):
        """As Case.mailboxes, and each message behind it."""
        mailboxes = [os.path.dirname(folder) for folder, _, _ in os.walk(self.base)
                     if os.path.basename(folder) == "new"]
        return sorted((os.path.relpath(mailbox, self.base), ":".join(map(str, message.owner)),
                       *message.header("Delivered-To"), message)
                      for mailbox in mailboxes for message in stored(mailbox))


@pytest.fixture(scope="module")
def sites(site, postgres):
    made = {"pgsql": Site(site, Postgres(postgres)),
            "sqlite": Site(site, Sqlite(site.make("sqlite")))}
    yield made
    for one in made.values():
        one.stop()


@pytest.fixture
def golden(sites, scheme):
    sites[scheme].clear()
    return sites[scheme]


@pytest.fixture
def daemon(golden, case):
    return golden.daemon_for(case.setting, case.delimiter)


def cases():
    """Those of one daemon one after another."""
    read = sorted([*read_cases("cases.tsv"), *read_cases("more.tsv")],
                  key=lambda case: (case.setting, case.delimiter))
    for scheme, reasons in CANNOT_HOLD.items():
        assert reasons.keys() <= {case.id for case in read}
        for case in read:
            reason = reasons.get(case.id)
            marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
            yield pytest.param(scheme, case, id=f"{scheme}-{case}", marks=marks)


@pytest.mark.parametrize("scheme, case", cases())
def test_is_answered_and_delivered_as_the_case_says(golden, daemon, case):  # B26
    sender = "sender@remote.example"
    # A chain of 1000 aliases is 1000 steps, which a sanitizer makes slow.
    with daemon.client(timeout=300) as client:
        outcome = client.deliver(sender, [case.recipient], MESSAGE, case.parameters)
        client.command("RSET")
        client.command(f"MAIL FROM:<{sender}>{case.parameters}")
        again = client.command(b"RCPT TO:<" + case.recipient + b">")
        client.quit()
    delivered = golden.delivered()
    (first,) = outcome.recipients
    assert str(again) == str(first)
    if case.reply:
        assert f"{first.code} {first.enhanced}" == case.reply, first
        assert outcome.data.code == 503
    else:
        assert first.code == 250, first
        (final,) = outcome.final
        assert (final.code, final.enhanced[:2]) == (250, "2."), final
    assert [found[:-1] for found in delivered] == case.mailboxes
    if case.original:
        assert [found[-1].header("X-Original-To") for found in delivered] == [[case.original]]


@pytest.mark.parametrize("scheme", ["pgsql", "sqlite"])
def test_two_aliases_and_the_user_of_one_transaction_make_one_copy(golden):
    daemon = golden.daemon_for("", "")
    outcome = daemon.deliver(["alias1@domain.org", "user@domain.org", "alias2@domain.org"], MESSAGE)
    assert [reply.code for reply in (*outcome.recipients, *outcome.final)] == [250] * 6
    (mailbox, owner, delivered_to, message), = golden.delivered()
    assert [mailbox, owner] == ["domain.org/mails/user", "1001:1001"]
    assert delivered_to == "user@domain.org"
    assert message.header("X-Original-To") == ["alias1@domain.org"]
    daemon.deliver("user@domain.org", MESSAGE)  # another transaction
    assert len(golden.delivered()) == 2
