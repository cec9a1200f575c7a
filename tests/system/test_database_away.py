"""PostgreSQL stopped: what is cached is delivered, the rest waits (451 4.3.0), nothing bounces."""

import pytest

from testsite import stored, wait_until

MESSAGE = b"Subject: database\n\nbody\n"


@pytest.fixture
def running(postgres):
    """The database runs again after the test, whatever happened in it."""
    yield postgres
    if postgres.process is None:
        postgres.start()


def replies(daemon, address):
    """The RCPT's reply and, where it was taken, the one after the dot."""
    outcome = daemon.deliver(address, MESSAGE)
    return [*outcome.recipients, *outcome.final]


def test_cached_recipients_go_on_and_others_are_told_to_come_again(running, make_daemon, mail_base):
    daemon = make_daemon()
    # What is on the way when notices begin to come is not cached.
    daemon.wait_log("changed rows are noticed")
    assert [reply.code for reply in replies(daemon, "user@domain.org")] == [250, 250]
    before = len(stored(mail_base / "domain.org/mails/user"))
    running.stop()
    assert [reply.code for reply in replies(daemon, "user@domain.org")] == [250, 250]
    assert len(stored(mail_base / "domain.org/mails/user")) == before + 1
    for address in ("foo@foo.org", "user2@domain.org", "nobody@domain.org", "x@elsewhere.example"):
        (reply,) = replies(daemon, address)
        assert (reply.code, reply.enhanced) == (451, "4.3.0"), (address, reply)  # B35


def test_old_answers_stand_in_for_so_long_and_the_log_says_so(running, make_daemon):
    address = "user@domain.org"
    ever, briefly = [make_daemon(cache_ttl="1s", cache_stale_ttl=life) for life in ("1h", "1s")]
    for daemon in (ever, briefly):
        daemon.wait_log("changed rows are noticed")
        assert [reply.code for reply in replies(daemon, address)] == [250, 250]
    running.stop()

    def is_refused():
        codes = [reply.code for reply in replies(briefly, address)]
        assert codes in ([250, 250], [451]), codes
        return codes == [451]
    wait_until(is_refused, "the end of cache_stale_ttl")
    assert [reply.code for reply in replies(ever, address)] == [250, 250], "past cache_ttl by more than a second"
    ever.wait_log(r"warning: pgsql:\S+: the database does not answer: \d+ answers past cache_ttl used in its place$")


def test_it_recovers_by_itself(running, make_daemon, mail_base):
    daemon = make_daemon()
    running.stop()
    (reply,) = replies(daemon, "foo@foo.org")
    assert (reply.code, reply.enhanced) == (451, "4.3.0")
    running.start()
    before = len(stored(mail_base / "foo.org/mails/user"))

    def recovered():
        answers = replies(daemon, "foo@foo.org")
        assert not [reply for reply in answers if reply.code >= 500], answers
        return [reply.code for reply in answers] == [250, 250]
    wait_until(recovered, "delivery after the database came back", interval=0.2)
    assert len(stored(mail_base / "foo.org/mails/user")) == before + 1
    (unknown,) = replies(daemon, "nobody@foo.org")
    assert (unknown.code, unknown.enhanced) == (550, "5.1.1")


def test_a_restart_between_two_transactions_is_not_noticed(running, make_daemon):
    """The connections are dead, the server is there: at most a moment of 451."""
    daemon = make_daemon(cache_size="0")
    assert [reply.code for reply in replies(daemon, "user@foo.org")] == [250, 250]
    running.restart()

    def delivered():
        answers = [reply.code for reply in replies(daemon, "user@foo.org")]
        assert answers in ([250, 250], [451]), answers
        return answers == [250, 250]
    wait_until(delivered, "delivery after the restart", interval=0.1)


def test_it_starts_without_the_database(running, make_daemon):
    running.stop()
    daemon = make_daemon()
    (reply,) = replies(daemon, "user@domain.org")
    assert (reply.code, reply.enhanced) == (451, "4.3.0")
    running.start()
    wait_until(lambda: [reply.code for reply in replies(daemon, "user@domain.org")] == [250, 250],
               "delivery once the database runs", interval=0.2)


@pytest.mark.parametrize("broken, expected", [
    # Which of the tables an address needs: a mailbox row for the address itself asks no alias.
    ("users", {"user@domain.org": "451 4.3.0", "foo@foo.org": "451 4.3.0", "nobody@foo.org": "550 5.1.1"}),
    ("postfix_mailboxes",
     {"user@domain.org": "451 4.3.0", "foo@foo.org": "451 4.3.0", "nobody@foo.org": "451 4.3.0"}),
    ("postfix_virtual",
     {"user@domain.org": "250 2.1.5", "foo@foo.org": "451 4.3.0", "nobody@foo.org": "451 4.3.0"}),
])
def test_a_query_that_fails_is_no_unknown_user(running, make_daemon, broken, expected):
    daemon = make_daemon()
    running.sql(f"REVOKE SELECT ON {broken} FROM mailreader")
    try:
        found = {address: str(replies(daemon, address)[0])[:9] for address in expected}
    finally:
        running.sql(f"GRANT SELECT ON {broken} TO mailreader")
    assert found == expected
