"""lmtpctl check-db: what it finds in a database of tricky rows, and its exit status."""

import pathlib
import re
import sqlite3

import pytest

from testsite import Tables, dovecot_hash
from testsite.daemon import BESIDE_POSTFIX

GOLDEN = pathlib.Path(__file__).parents[1] / "lookup" / "golden"


@pytest.fixture(scope="module")
def tricky(site, postgres):
    """The golden fixture, in a database beside the site's."""
    postgres.sql("CREATE DATABASE tricky", database="postgres")
    postgres.sql((GOLDEN / "fixture.sql").read_text()
                 + "GRANT SELECT ON ALL TABLES IN SCHEMA public TO mailreader;", database="tricky")
    tables = Tables(site.make("tricky-tables"), postgres)
    for path in tables.directory.iterdir():
        path.write_text(path.read_text().replace("dbname=mails", "dbname=tricky"))
    return tables


def check(make_daemon, tables, **parameters):
    daemon = make_daemon(start=False, **{**tables.parameters(), **BESIDE_POSTFIX, **parameters})
    return daemon.ctl("check-db")


def sqlite_site(folder, script, **files):
    """A database of `script`, and beside it a table file NAME.cf of each of `files`."""
    with sqlite3.connect(folder / "mail.db") as database:
        database.executescript(script)
    for name, lines in files.items():
        (folder / f"{name}.cf").write_text(f"dbpath = {folder}/mail.db\n{lines}\n")
    return folder


# What the golden fixture's administrator would be told, but for the tables' names.
FAULTS = """\
mailboxes: <@trap.org> has a dummy row
mailboxes: <Mixed.Org> never matches: keys are folded, it is asked for as <mixed.org>
mailboxes: <Mixed@Domain.Org> never matches: keys are folded, it is asked for as <mixed@domain.org>
mailboxes: <both@domain.org> note: has a mailbox and an alias
mailboxes: <dotdot2@domain.org> leads to no mailbox: <dotdot2@domain.org> mailbox path
mailboxes: <dotdot@domain.org> leads to no mailbox: <dotdot@domain.org> mailbox path
mailboxes: <emptyhome@domain.org> leads to no mailbox: <emptyhome@domain.org> mailbox path "/" is
mailboxes: <ghostt@domain.org> has a dummy row
mailboxes: <ghostt@domain.org> leads to no mailbox: <ghostt@domain.org> has a dummy row and no mailbox
mailboxes: <gid0@domain.org> leads to no mailbox: <gid0@domain.org> has an owner that is refused
mailboxes: <neguid@domain.org> leads to no mailbox: <neguid@domain.org> has uid "-2"
mailboxes: <nullhome@domain.org> has a NULL
mailboxes: <nullhome@domain.org> leads to no mailbox: unknown user
mailboxes: <special@domain.org> has a dummy row
mailboxes: <straße@domain.org> never matches: keys are folded, it is asked for as <strasse@domain.org>
mailboxes: <uid0@domain.org> leads to no mailbox: <uid0@domain.org> has an owner that is refused
mailboxes: <uid99@domain.org> leads to no mailbox: <uid99@domain.org> has an owner that is refused
virtual: <UPPERKEY@domain.org> never matches: keys are folded, it is asked for as <upperkey@domain.org>
virtual: <abuse> has no domain
virtual: <aldom.org> note: is a bare domain in an alias table
virtual: <back\\slash@domain.org> never matches: the key is asked for as <"back\\\\slash"@domain.org>
virtual: <bare@domain.org> leads to no mailbox: alias target <user@
virtual: <blank@domain.org> leads to no mailbox: alias <blank@domain.org> leads to no address
virtual: <cmd@domain.org> leads to no mailbox: alias target <|/bin/cat
virtual: <empty@domain.org> has an empty value
virtual: <empty@domain.org> leads to no mailbox: unknown user
virtual: <file@domain.org> leads to no mailbox: alias target </tmp/x
virtual: <garbage@domain.org> leads to no mailbox: alias target <MAILER-DAEMON@
virtual: <ghost2@domain.org> alias <ghost2@domain.org>: dead target beside living ones
virtual: <ghost@domain.org> leads to no mailbox: unknown user: "nobody@domain.org"
virtual: <grow2@loop.org> leads to no mailbox: alias expansion of <grow2@loop.org>
virtual: <grow@loop.org> alias <grow@loop.org>: dead target beside living ones
virtual: <incl@domain.org> leads to no mailbox: alias target <":include:
virtual: <jane doe@domain.org> never matches: the key is asked for as <"jane doe"@domain.org>
virtual: <junk@domain.org> leads to no mailbox: alias <junk@domain.org> leads to no address
virtual: <long@domain.org> note: leads to no mailbox: alias target <yyy
virtual: <loopa@loop.org> leads to no mailbox: alias expansion of <loopa@loop.org>: <loopa@loop.org> leads back
virtual: <loopb@loop.org> leads to no mailbox: alias expansion of <loopb@loop.org>: <loopb@loop.org> leads back
virtual: <mixlocalremote@domain.org> note: leads to no mailbox: alias target <someone@remote.example>
virtual: <p8@domain.org> leads to no mailbox: unknown user
virtual: <p9@domain.org> alias <p9@domain.org>: dead target beside living ones
virtual: <remote@domain.org> note: leads to no mailbox: alias target <someone@remote.example>
""".splitlines()


def assert_faults(done, tables, kind):
    *lines, total = done.stdout.splitlines()
    shown = [line.removeprefix(f"{kind}:{tables.directory}/").replace(".cf:", ":", 1)
             for line in lines]
    assert [line[:len(fault)] for line, fault in zip(shown, FAULTS)] == FAULTS
    assert len(shown) == len(FAULTS), shown
    notes = sum("> note: " in fault for fault in FAULTS)
    assert total.endswith(f" rows, {len(FAULTS) - notes} faults, {notes} notes")
    assert done.returncode == 1
    # The tables' own word on rows that are among the faults.
    warned = re.findall(r'^.*warning: .*: empty lookup result for "(.*)" ignored$', done.stderr, re.MULTILINE)
    assert sorted(warned) == ["empty@domain.org", "nullhome@domain.org"]
    assert len(done.stderr.splitlines()) == len(warned), done.stderr


def test_it_finds_every_row_that_is_wrong(make_daemon, tricky):
    assert_faults(check(make_daemon, tricky), tricky, "pgsql")


def test_a_clean_database_is_silent(make_daemon, tables):
    done = check(make_daemon, tables)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(" rows, 0 faults, 0 notes\n") and done.stdout.count("\n") == 1


def test_keys_in_the_wrong_form_and_domain_lists(make_daemon, site, tables):
    folder = sqlite_site(site.make("forms"), """
        CREATE TABLE mailboxes (userid TEXT, mailbox TEXT);
        INSERT INTO mailboxes VALUES ('jane doe@b.org', 'b.org/jane/'), ('up up@b.org', '../up/'),
            ('u@ b.org', 'b.org/u/');
        CREATE TABLE aliases (address TEXT, target TEXT);
        INSERT INTO aliases VALUES ('in ner@b.org', 'user@domain.org');
        CREATE TABLE domains (name TEXT);
        INSERT INTO domains VALUES ('b.org'), ('Mixed.org');""",
        mailboxes="query = SELECT mailbox FROM mailboxes WHERE userid = '%s'",
        aliases="query = SELECT target FROM aliases WHERE address = '%s'",
        domains="query = SELECT 1 FROM domains WHERE name = '%s'")
    done = check(make_daemon, tables, virtual_mailbox_maps=f"sqlite:{folder}/mailboxes.cf",
                 virtual_mailbox_domains=f"sqlite:{folder}/domains.cf",
                 virtual_uid_maps="static:1001", virtual_gid_maps="static:1001",
                 virtual_maps=f"sqlite:{folder}/aliases.cf")
    assert [line.removeprefix(f"sqlite:{folder}/")[:60] for line in done.stdout.splitlines()] == [
        line[:60] for line in (
            'aliases.cf: <in ner@b.org> never matches: the key is asked for as <"in ner"@b.org>',
            "domains.cf: <Mixed.org> never matches: keys are folded, it is asked for as <mixed.org>",
            "mailboxes.cf: <u@ b.org> never matches: no address is like that",
            "mailboxes.cf: <up up@b.org> leads to no mailbox: <\"up up\"@b.org> mailbox path",
            "6 rows, 4 faults, 0 notes")]
    assert done.returncode == 1


def test_transport_rows_for_addresses(make_daemon, tricky):
    done = check(make_daemon, tricky, transport_maps=tricky.map("transport"), transport_errors="yes")
    for key in ("special@domain.org", "ghostt@domain.org", "@trap.org"):
        assert f"transport.cf: <{key}> is a transport row for an address" in done.stdout
    assert "<u@dead.org> leads to no mailbox: 5.7.1 no mail here" in done.stdout


def test_other_modes_of_expansion_have_other_faults(make_daemon, tricky):
    full = check(make_daemon, tricky, alias_expansion="full")
    assert "<both@domain.org>" not in full.stdout
    assert "<loopa@loop.org>" in full.stdout


def test_a_query_that_cannot_be_listed_is_said(make_daemon, tables, site):
    folder = site.make("unlisted")
    path = folder / "virtual.cf"
    login = "".join(line + "\n" for line in tables.path("virtual").read_text().splitlines()
                    if line.split("=")[0].strip() in ("hosts", "user", "password", "dbname"))
    path.write_text(login + "query = SELECT userid FROM postfix_virtual WHERE address = '%u@%d'\n")
    done = check(make_daemon, tables, virtual_maps=f"pgsql:{path}")
    assert f"pgsql:{path}: its rows cannot be listed" in done.stderr
    assert done.returncode == 0
    path.write_text(login + "query = select userid from postfix_virtual where address='%s' and true\n")
    done = check(make_daemon, tables, virtual_maps=f"pgsql:{path}")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_without_a_database_nothing_is_said_to_be_right(make_daemon, tables, postgres, site):
    postgres.stop()
    try:
        done = check(make_daemon, tables)
    finally:
        postgres.start()
    assert (done.returncode, done.stdout) == (69, "")
    assert "Connection refused" in done.stderr
    postgres.sql("REVOKE SELECT ON postfix_virtual FROM mailreader")
    try:
        done = check(make_daemon, tables)
    finally:
        postgres.sql("GRANT SELECT ON postfix_virtual TO mailreader")
    assert done.returncode == 69 and "permission denied" in done.stderr
    assert check(make_daemon, tables, virtual_uid_maps="nosuch:x").returncode == 78


def test_rows_that_cannot_be_used_are_found_one_by_one(make_daemon, site, tables):
    folder = sqlite_site(site.make("unusable"), """
        CREATE TABLE aliases (address TEXT, target TEXT);
        INSERT INTO aliases VALUES ('many@b.org', 'user@domain.org'), ('many@b.org', 'user@foo.org'),
            ('octets@b.org', CAST(X'ff40622e6f7267' AS TEXT)), ('zed@b.org', 'nobody@domain.org');""",
        aliases="query = SELECT target FROM aliases WHERE address = '%s'\nexpansion_limit = 1")
    table = f"sqlite:{folder}/aliases.cf"
    done = check(make_daemon, tables, virtual_maps=table)
    assert done.stdout.splitlines()[:-1] == [
        f'{table}: <many@b.org> leads to no mailbox: {table}: the result for "many@b.org" has more'
        " values than expansion_limit = 1",
        f'{table}: <octets@b.org> leads to no mailbox: {table}: the result for "octets@b.org" is not'
        " valid UTF-8",
        f'{table}: <zed@b.org> leads to no mailbox: unknown user: "nobody@domain.org"']
    assert (done.returncode, done.stderr) == (1, "")


def test_sqlite_rows_are_listed_too(make_daemon, site, tables):
    folder = sqlite_site(site.make("lite"), """
        CREATE TABLE mailboxes (userid TEXT, mailbox TEXT);
        INSERT INTO mailboxes VALUES ('a@b.org', 'b.org/a/'), ('Upper@b.org', 'b.org/u/'),
            ('b.org', 'dummy'), ('null@b.org', NULL);""",
        mailboxes="query = SELECT mailbox FROM mailboxes WHERE userid = '%s'")
    done = check(make_daemon, tables, virtual_mailbox_maps=f"sqlite:{folder}/mailboxes.cf",
                 virtual_uid_maps="static:1001", virtual_gid_maps="static:1001", virtual_maps="")
    assert done.stdout.splitlines() == [
        f"sqlite:{folder}/mailboxes.cf: <Upper@b.org> never matches: keys are folded, it is asked for"
        " as <upper@b.org>",
        f"sqlite:{folder}/mailboxes.cf: <null@b.org> has a NULL, which counts as no row",
        f'sqlite:{folder}/mailboxes.cf: <null@b.org> leads to no mailbox: unknown user: "null@b.org"',
        "4 rows, 3 faults, 0 notes"]
    assert done.returncode == 1


SECRET = "pencil-Sharpener"


def test_stored_passwords_that_nobody_can_log_in_with(make_daemon, tables, postgres):
    """Of Dovecot's, say. The reasons are told, nothing of the passwords."""
    whole = dovecot_hash("SHA512-CRYPT", SECRET)
    stored = {"bare": SECRET, "cut": whole[:-1], "plain": "{PLAIN}" + SECRET, "sha": dovecot_hash("SSHA256", SECRET),
              "argon": dovecot_hash("ARGON2ID", SECRET), "Upper": whole,
              "verifier": dovecot_hash("SCRAM-SHA-256", SECRET), **{f"hash{n}": whole for n in range(5)}}
    postgres.sql("CREATE TABLE logins (name text, password text); GRANT SELECT ON logins TO mailreader;"
                 "INSERT INTO logins VALUES ('none', NULL),"
                 + ", ".join(f"('{name}', '{password}')" for name, password in stored.items()))
    path = tables.directory / "logins.cf"
    path.write_text(tables.path("passwords").read_text().replace("table=users", "table=logins")
                    .replace("where_field=userid", "where_field=name"))
    table = f"pgsql:{path}"
    unknown = "cannot log in: the scheme {%s} of the stored password is not supported"
    faults = [
        "auth_password_maps: note: no password, and no login: <none>",
        f"{table}: <Upper> never matches: a user's name is folded, it is asked for as <upper>",
        f"{table}: <argon> " + unknown % "ARGON2ID",
        f"{table}: <bare> cannot log in: the stored password, without a {{SCHEME}}, is no hash that crypt(5) knows",
        f"{table}: <cut> cannot log in: what stands behind {{SHA512-CRYPT}} is no hash that crypt(5) knows",
        f"{table}: <plain> " + unknown % "PLAIN",
        f"{table}: <sha> " + unknown % "SSHA256",
    ]
    done = check(make_daemon, tables, auth_password_maps=table)
    *lines, total = done.stdout.splitlines()
    assert lines == faults
    assert total.endswith(" rows, 6 faults, 1 notes") and done.returncode == 1
    with_scram = check(make_daemon, tables, auth_password_maps=table, auth_mechanisms="SCRAM-SHA-256, PLAIN")
    assert [line for line in with_scram.stdout.splitlines()[:-1] if line not in faults] == [
        f"{table}: note: no password for SCRAM-SHA-256, which auth_mechanisms has, and a client may try"
        " nothing else: <hash0>, <hash1>, <hash2> and 2 more"]
    secrets = [SECRET, *(password.partition("}")[2][:8] for password in stored.values() if "}" in password)]
    for output in (done.stdout, done.stderr, with_scram.stdout, with_scram.stderr):
        assert not [secret for secret in secrets if secret in output]


def test_passwords_as_a_login_finds_them(make_daemon, site, tables):
    """result_format is applied, the first table that has a user counts, and a table that cannot be listed is told."""
    folder = sqlite_site(site.make("logins"), f"""
        CREATE TABLE mine (name TEXT, hash TEXT);
        INSERT INTO mine VALUES ('joe', '{dovecot_hash("SHA512-CRYPT", SECRET).partition("}")[2]}');
        CREATE TABLE old (name TEXT, password TEXT);
        INSERT INTO old VALUES ('joe', '{SECRET}'), ('jim', '{SECRET}');""",
        mine="query = SELECT hash FROM mine WHERE name = '%s'\nresult_format = {SHA512-CRYPT}%s",
        old="query = SELECT password FROM old WHERE name = '%s'",
        unlisted="query = SELECT password FROM old WHERE name = '%u'")
    mine, old, unlisted = (f"sqlite:{folder}/{name}.cf" for name in ("mine", "old", "unlisted"))
    done = check(make_daemon, tables, auth_password_maps=f"{mine}, {old}, {unlisted}")
    assert [line.partition(" is no hash")[0] for line in done.stdout.splitlines()[:-1]] == [
        f"{old}: <jim> cannot log in: the stored password, without a {{SCHEME}},"]
    assert done.stderr == (f"lmtpctl: {unlisted}: its rows cannot be listed: the query is not SELECT ... FROM"
                           " ... WHERE COLUMN = '%s' ...\n")
    assert SECRET not in done.stdout


def test_a_value_that_the_database_complains_of_is_not_shown(make_daemon, tables, postgres):
    path = tables.directory / "cast.cf"
    login = tables.path("passwords").read_text().partition("table=")[0]
    path.write_text(f"{login}hosts={postgres.host}:{postgres.port}\n"
                    f"query = SELECT ('{SECRET}' || userid)::int FROM users WHERE userid = '%s'\n")
    done = check(make_daemon, tables, auth_password_maps=f"pgsql:{path}")
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr == f"lmtpctl: pgsql:{path}: the query fails at a row (SQLSTATE 22P02)\n"
