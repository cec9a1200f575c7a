"""The schemas of other projects, each with its own Postfix queries: tests/schemas/NAME.

schema.sql are its tables with rows, tables.ini the queries, lmtpd.cf the lines that docs/schemas.md
shows, addresses.tsv what each address gets: `DIRECTORY UID:GID`, several parted by ` ; `, or the
reply to RCPT. A line holds for one value of alias_expansion, or for `auto` and `full` alike (`any`).
"""

import configparser
import csv
import os
import re
from typing import NamedTuple

import pytest

from testsite import REPOSITORY, Lmtpd, stored

SCHEMAS = REPOSITORY / "tests" / "schemas"
# Who owns virtual_mailbox_base: where there is one user for all mail, his worker makes what is missing.
OWNERS = {"postfixadmin": (8, 8), "iredmail": (2000, 2000), "ispmail": (5000, 5000),
          "modoboa": (1005, 1006), "vmm": (0, 0)}
MESSAGE = b"Subject: schema\n\nbody\n"


class Case(NamedTuple):
    schema: str
    expansion: str
    recipient: str
    expect: str
    why: str

    def __str__(self):
        return f"{self.schema}-{self.expansion}-{self.recipient}"


def cases():
    for schema in OWNERS:
        with open(SCHEMAS / schema / "addresses.tsv", encoding="utf-8") as rows:
            for row in csv.DictReader(rows, delimiter="\t"):
                for expansion in ("auto", "full") if row["expansion"] == "any" else [row["expansion"]]:
                    yield Case(schema, expansion, row["recipient"], row["expect"], row["why"])


def parameters(schema):
    """lmtpd.cf's, in one line each."""
    text = (SCHEMAS / schema / "lmtpd.cf").read_text()
    return dict(line.split(" = ", 1) for line in re.sub(r"\n +", " ", text).splitlines())


def queries(schema):
    """{table file: query}"""
    tables = configparser.RawConfigParser()
    tables.read(SCHEMAS / schema / "tables.ini")
    return {name: tables[name]["query"] for name in tables.sections()}


class Site:
    """The database and table files of one schema, and a daemon with each kind of expansion."""

    def __init__(self, site, postgres, schema):
        postgres.sql(f"CREATE DATABASE {schema}", database="postgres")
        postgres.sql((SCHEMAS / schema / "schema.sql").read_text() +
                     "GRANT SELECT ON ALL TABLES IN SCHEMA public TO mailreader;", database=schema)
        tables = site.make(f"{schema}-tables")
        for name, query in queries(schema).items():
            (tables / name).write_text(
                f"hosts = localhost:{postgres.port}\nuser = mailreader\npassword = secret\n"
                f"dbname = {schema}\nquery = {query}\n")
        self.bases = {}
        self.daemons = {}
        for expansion in ("auto", "full"):
            name = f"{schema}-{expansion}"
            base = site.make(f"{name}-home", mode=0o711)
            os.chown(base, *OWNERS[schema])
            queue = site.make(f"{name}-queue")
            site.make(f"{name}-queue/private", owner="postfix", mode=0o700)
            lines = {name: re.sub(r"pgsql:\S*/", f"pgsql:{tables}/", value)
                     for name, value in parameters(schema).items()}
            lines.update(virtual_mailbox_base=str(base), alias_expansion=expansion)
            self.bases[expansion] = base
            self.daemons[expansion] = Lmtpd(site, base, queue, lines, name=name).start()

    def take(self, expansion):
        """The mailboxes with a message, which is removed: `DIRECTORY UID:GID` for each, sorted."""
        found = []
        base = self.bases[expansion]
        for directory, folders, _ in os.walk(base):
            for message in stored(directory) if "new" in folders else []:
                found.append("{} {}:{}".format(os.path.relpath(directory, base), *message.owner))
                message.path.unlink()
        return sorted(found)

    def stop(self):
        for daemon in self.daemons.values():
            daemon.stop()


@pytest.fixture(scope="module")
def sites(site, postgres):
    """sites(schema), made when first asked for; one runs at a time."""
    running = {}

    def get(schema):
        if schema not in running:
            stop()
            running[schema] = Site(site, postgres, schema)
        return running[schema]

    def stop():
        while running:
            running.popitem()[1].stop()

    yield get
    stop()


@pytest.mark.parametrize("case", cases(), ids=str)
def test_address(sites, case):
    here = sites(case.schema)
    outcome = here.daemons[case.expansion].deliver(case.recipient, MESSAGE)
    accepted = outcome.recipients[0]
    if case.expect[3] == " ":
        assert f"{accepted.code} {accepted.enhanced}" == case.expect, accepted
        expected = []
    else:
        assert [reply.code for reply in outcome.final] == [250], accepted
        expected = sorted(case.expect.split(" ; "))
    assert here.take(case.expansion) == expected, case.why


@pytest.mark.parametrize("schema", OWNERS)
def test_the_documented_lines_are_the_tested_ones(schema):
    documented = (REPOSITORY / "docs" / "schemas.md").read_text()
    assert f"```\n{(SCHEMAS / schema / 'lmtpd.cf').read_text()}```\n" in documented


@pytest.mark.parametrize("name", ("sql-mailboxes.cf", "sql-uids.cf", "sql-gids.cf"))
def test_modoboas_documented_queries_are_the_tested_ones(name):
    documented = (REPOSITORY / "docs" / "schemas.md").read_text()
    assert f"# {name}\nquery = {queries('modoboa')[name]}\n" in documented
