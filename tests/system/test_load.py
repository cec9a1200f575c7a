"""Many clients at once over many users and uids: nothing lost, nothing in the wrong place.

The full form, with figures and the comparison, is bench/'s.
"""

import subprocess

import pytest

from testsite import stored

DOMAINS = 10
USERS = 60


@pytest.fixture(scope="module")
def users(postgres):
    """1user to 60user in each of ten domains; a uid and gid a domain."""
    postgres.sql(f"""
        INSERT INTO transport SELECT 'd'||d||'.example', 'virtual:' FROM generate_series(1, {DOMAINS}) d;
        INSERT INTO users (userid, uid, gid, home)
            SELECT u||'user@d'||d||'.example', 3000 + d, 3000 + d, 'd'||d||'.example/mails/'||u||'user'
            FROM generate_series(1, {DOMAINS}) d, generate_series(1, {USERS}) u;""")


def counts(mail_base, prefix):
    return {
        (domain, user): sum(1 for message in stored(mail_base / f"d{domain}.example/mails/{user}user")
                            if message.header("Return-Path")[0].startswith("<" + prefix))
        for domain in range(1, DOMAINS + 1) for user in range(1, USERS + 1)
    }


def test_smtp_source_for_ten_domains_at_a_time(users, daemon, mail_base):
    sources = [
        subprocess.Popen(
            ["/usr/sbin/smtp-source", "-L", "-s", "8", "-m", str(USERS), "-l", "4096", "-N",
             "-f", "source@remote.example", "-t", f"user@d{domain}.example",
             f"unix:{daemon.socket_path}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for domain in range(1, DOMAINS + 1)
    ]
    for source in sources:
        output, _ = source.communicate(timeout=300)
        assert (source.returncode, output) == (0, "")
    found = counts(mail_base, "source@")
    assert {place: count for place, count in found.items() if count != 1} == {}
    for domain in range(1, DOMAINS + 1):
        message = stored(mail_base / f"d{domain}.example/mails/1user")[0]
        assert message.owner == (3000 + domain, 3000 + domain)


def test_new_mailboxes_of_one_owner_by_two_frontends(postgres, make_daemon, build, mail_base):
    """Each may have 64 deliveries under way at the worker, which may ask for as many mailboxes in all."""
    postgres.sql("""
        INSERT INTO transport VALUES ('new.example', 'virtual:');
        INSERT INTO users (userid, uid, gid, home)
            SELECT u||'user@new.example', 3100, 3100, 'new.example/mails/'||u||'user'
            FROM generate_series(1, 800) u;""")
    daemon = make_daemon(frontend_processes=2)
    done = subprocess.run(
        [build / "bench" / "blast", "-c", "16", "-m", "32", "-r", "25", "-t", "{1-800}user@new.example",
         f"unix:{daemon.socket_path}"],
        capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "killed" not in daemon.log_text()
    assert {len(stored(mailbox)) for mailbox in (mail_base / "new.example/mails").iterdir()} == {1}
    assert len(list((mail_base / "new.example/mails").iterdir())) == 800


def test_blast_over_a_hundred_connections(users, daemon, build, mail_base, site):
    ledger = site.path / "ledger"
    done = subprocess.run(
        [build / "bench" / "blast", "-c", "100", "-m", str(DOMAINS * USERS), "-s", "4096",
         "-f", "blast@remote.example", "-t", f"{{1-{USERS}}}user@d{{1-{DOMAINS}}}.example",
         "--ledger", ledger, f"unix:{daemon.socket_path}"],
        capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(ledger.read_text().splitlines()) == DOMAINS * USERS
    found = counts(mail_base, "blast@")
    assert {place: count for place, count in found.items() if count != 1} == {}


def test_many_recipients_of_one_message(users, daemon, mail_base):
    """One transaction over every uid: one reply each, one copy each."""
    recipients = [f"{user}user@d{domain}.example" for domain in range(1, DOMAINS + 1)
                  for user in range(1, USERS + 1)]
    with daemon.client(timeout=300) as client:
        outcome = client.deliver("many@remote.example", recipients, b"Subject: to all\n\nHello.\n")
    assert [reply.code for reply in outcome.final] == [250] * len(recipients)
    found = counts(mail_base, "many@")
    assert {place: count for place, count in found.items() if count != 1} == {}
