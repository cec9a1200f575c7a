"""A hostile program in a role's place, speaking its channels, reaches nothing that is not its own.

The frontend can read a ticket, but cannot make one, alter one, use one at another owner's worker or
beyond its life. A worker can forge tickets for itself, and for no one else.
"""

import hashlib
import os
import struct
import time

import pytest

from testsite import channel as wire
from testsite import stored

BODY = b"Subject: hostile\n\nbody\n"
WORKERS = {"user@domain.org": (1001, 1001), "user@foo.org": (1002, 1002)}


class HostileFrontend:
    """The frontend's channels, in the test's hands."""

    def __init__(self, stand_in):
        self.control, self.settings = stand_in.begin()
        self.lookup = self.introduction("lookup").channel
        self.control.expect("serve")
        self.numbers = 0

    def introduction(self, kind):
        found = wire.introduced(self.control.expect("introduce"))
        assert found.kind == kind
        return found

    def number(self):
        self.numbers += 1
        return self.numbers

    def ticket(self, address):
        number = self.number()
        self.lookup.send("resolve", wire.resolve(number, address))
        answer = wire.resolved(self.lookup.expect("resolved"))
        assert answer.id == number and len(answer.targets) == 1, answer
        return answer.targets[0][0]

    def worker(self, ticket):
        self.lookup.send("want_worker", wire.text(ticket))
        found = self.introduction("worker")
        assert found.owner == wire.read_ticket(ticket).owner
        return found.channel

    def deliver(self, worker, tickets):
        """{ticket: Outcome} for each, in windows that the channel allows."""
        found = {}
        for start in range(0, len(tickets), 32):
            numbers = {self.number(): ticket for ticket in tickets[start:start + 32]}
            worker.send("deliver", wire.deliver(list(numbers.items()), BODY))
            for _ in numbers:
                outcome = wire.outcome(worker.expect("outcome"))
                found[numbers[outcome.id]] = outcome
        return found

    def assert_refused(self, worker, tickets):
        """The worker answers for each, so that none hides behind another, and stores nothing."""
        found = self.deliver(worker, tickets)
        assert set(found) == set(tickets)
        assert not [ticket for ticket, outcome in found.items() if outcome.stored]


@pytest.fixture
def frontend(site, build, make_daemon):
    programs = wire.copy_programs(site, build)
    stand_in = wire.StandIn(programs, "lmtpd-frontend")
    make_daemon(start=False, programs=programs, drain_time="1s").start(ready=False)
    hostile = HostileFrontend(stand_in)
    yield hostile
    stand_in.end()


def mails(mail_base):
    return sorted(message.path for mailbox in mail_base.glob("*/mails/*")
                  for message in stored(mailbox))


@pytest.fixture
def made(make_daemon):
    """Mailboxes that are there: an altered ticket fails for no other reason."""
    daemon = make_daemon()
    assert [reply.code for reply in daemon.deliver(list(WORKERS), BODY).final] == [250, 250]


def test_a_true_ticket_is_delivered(made, frontend, mail_base):
    """Control: what the other tests send is right but for the ticket."""
    before = mails(mail_base)
    ticket = frontend.ticket("user@domain.org")
    found = frontend.deliver(frontend.worker(ticket), [ticket])
    assert found[ticket].stored
    (new,) = set(mails(mail_base)) - set(before)
    assert new.parent == mail_base / "domain.org/mails/user/new"
    assert new.read_bytes() == b"X-By: a hostile role\n" + BODY


def test_no_octet_of_a_ticket_can_be_altered(made, frontend, mail_base):
    """Each bit of what a ticket says and of the worker's tag, and a ticket made longer or shorter."""
    before = mails(mail_base)
    ticket = frontend.ticket("user@domain.org")
    worker = frontend.worker(ticket)
    altered = []
    for place in range(len(ticket) - 16):
        for bit in range(8):
            octets = bytearray(ticket)
            octets[place] ^= 1 << bit
            altered.append(bytes(octets))
    altered += [ticket[:-1], ticket[1:], ticket + b"\0", b"", ticket[:32], ticket * 2]
    frontend.assert_refused(worker, altered)
    assert mails(mail_base) == before


def test_a_ticket_cannot_be_made(made, frontend, mail_base):
    before = mails(mail_base)
    true = wire.read_ticket(frontend.ticket("user@domain.org"))
    other = wire.read_ticket(frontend.ticket("user2@domain.org"))
    worker = frontend.worker(true.sealed())
    forged = [
        true._replace(worker_tag=bytes(16), maker_tag=bytes(16)).sealed(),
        true._replace(worker_tag=os.urandom(16)).sealed(),
        # Another mailbox of the same owner, with the tags of this one; and the other way round.
        true._replace(path=other.path).sealed(),
        true._replace(worker_tag=other.worker_tag, maker_tag=other.maker_tag).sealed(),
        # A life without end, a path out of the base.
        true._replace(expiry=(1 << 63) - 1).sealed(),
        true._replace(path=b"domain.org/../foo.org/mails/user").sealed(),
        # A tag under the keys that a frontend might try: none, nulls.
        *(true._replace(worker_tag=hashlib.blake2b(true.body(), digest_size=16, key=key).digest())
          .sealed() for key in (b"", bytes(32), frontend.settings.key)),
    ]
    frontend.assert_refused(worker, forged)
    assert mails(mail_base) == before


def test_the_frontend_is_given_no_key(frontend):
    assert frontend.settings.key == bytes(32)


def test_a_ticket_serves_at_its_owners_worker_only(made, frontend, mail_base):
    before = mails(mail_base)
    tickets = {address: frontend.ticket(address) for address in WORKERS}
    workers = {address: frontend.worker(ticket) for address, ticket in tickets.items()}
    one, two = WORKERS
    for mine, another in ((one, two), (two, one)):
        # With the owner's name changed to the worker's, too.
        disguised = wire.read_ticket(tickets[another])._replace(owner=WORKERS[mine]).sealed()
        frontend.assert_refused(workers[mine], [tickets[another], disguised])
    assert mails(mail_base) == before


@pytest.mark.parametrize("change", [{"owner": (4711, 4711)}, {"maker_tag": bytes(16)}, {"owner": (0, 0)}])
def test_no_worker_is_started_for_a_forged_ticket(frontend, change):
    """Lookup asks master for a worker only where it made the ticket itself; else it hangs up."""
    forged = wire.read_ticket(frontend.ticket("user@foo.org"))._replace(**change).sealed()
    frontend.lookup.send("want_worker", wire.text(forged))
    assert frontend.lookup.receive() is None
    with pytest.raises(TimeoutError):
        frontend.control.receive(0.5)


def test_a_mailbox_is_made_only_for_a_true_ticket(frontend, postgres, mail_base):
    """The maker's tag: altered, it makes nothing, whatever the worker thinks of the ticket."""
    postgres.sql("""INSERT INTO users (userid, uid, gid, home)
        VALUES ('absent@foo.org', 1002, 1002, 'foo.org/absent')""")
    ticket = frontend.ticket("absent@foo.org")
    worker = frontend.worker(ticket)
    altered = [ticket[:-16] + bytes(16), ticket[:-1] + bytes([ticket[-1] ^ 1])]
    frontend.assert_refused(worker, altered)
    assert not (mail_base / "foo.org/absent").exists()
    # Control.
    assert frontend.deliver(worker, [ticket])[ticket].stored
    assert (mail_base / "foo.org/absent/new").is_dir()


def test_a_ticket_ends(made, site, build, make_daemon, mail_base):
    """In lookup's place too, since its own tickets live longer than a test."""
    programs = wire.copy_programs(site, build)
    as_lookup = wire.StandIn(programs, "lmtpd-lookup")
    as_frontend = wire.StandIn(programs, "lmtpd-frontend")
    make_daemon(start=False, programs=programs, drain_time="1s").start(ready=False)
    lookup, settings = as_lookup.begin()
    frontend = HostileFrontend(as_frontend)
    before = mails(mail_base)
    owner = (1001, 1001)
    lookup.send("start_worker", struct.pack("=III", 0, *owner))
    worker = frontend.introduction("worker").channel

    ticket, ended = (wire.seal_ticket(settings.key, owner, b"domain.org/mails/user", life)
                     for life in (3600, -0.001))
    assert frontend.deliver(worker, [ticket])[ticket].stored  # control
    assert len(mails(mail_base)) == len(before) + 1
    longer = wire.read_ticket(ended)
    longer = longer._replace(expiry=longer.expiry + 3600 * 10**9).sealed()
    frontend.assert_refused(worker, [ended, longer])
    assert len(mails(mail_base)) == len(before) + 1
    as_frontend.end()
    as_lookup.end()


def test_lookups_tickets_end_soon_after_the_longest_transaction(frontend):
    left = wire.read_ticket(frontend.ticket("user@domain.org")).expiry - time.clock_gettime_ns(
        time.CLOCK_MONOTONIC)
    assert 30 * 60 * 10**9 < left < 60 * 60 * 10**9  # transaction_time_limit = 30m


@pytest.mark.parametrize("message", ["stop", "serve", "configure", "start_worker",
                                     "make_mailbox", "outcome"])
def test_a_frontend_that_says_to_master_what_it_may_not_is_ended(site, build, make_daemon, message):
    programs = wire.copy_programs(site, build)
    stand_in = wire.StandIn(programs, "lmtpd-frontend")
    daemon = make_daemon(start=False, programs=programs, drain_time="1s").start(ready=False)
    control, _ = stand_in.begin()
    control.send(message, bytes(12))
    while control.receive() is not None:
        pass
    daemon.wait_log(r"frontend.*killed")
    stand_in.end()


# ---- a worker in hostile hands

@pytest.fixture
def hostile_worker(site, build, make_daemon):
    """(daemon, its control channel, its settings, its channel to the frontend), asked to deliver."""
    programs = wire.copy_programs(site, build)
    stand_in = wire.StandIn(programs, "lmtpd-worker")
    daemon = make_daemon(programs=programs, drain_time="1s")
    client = daemon.client()
    client.envelope("sender@remote.example", ["user@foo.org"])
    client.send(BODY.replace(b"\n", b"\r\n") + b".\r\n")
    control, settings = stand_in.begin()
    frontend = wire.introduced(control.expect("introduce")).channel
    yield daemon, control, settings, frontend, client
    stand_in.end()
    client.close()


def own_ticket(settings, owner, path):
    """What the owner's key can make: the worker's tag is right, the maker's cannot be."""
    ticket = wire.Ticket(owner, time.clock_gettime_ns(time.CLOCK_MONOTONIC) + 60 * 10**9,
                         os.urandom(8), path, b"", bytes(16))
    tag = wire.keyed_hash(settings.key, ticket.body(), 16)
    return ticket._replace(worker_tag=tag).sealed()


def test_a_worker_has_mailboxes_made_by_true_tickets_only(hostile_worker, mail_base):
    _, control, settings, frontend, _ = hostile_worker
    frontend.expect("deliver")
    for owner, path in (((1002, 1002), b"foo.org/mine"), ((1001, 1001), b"domain.org/theirs"),
                        ((0, 0), b"root")):
        control.send("make_mailbox", struct.pack("=Q", 1) + wire.text(own_ticket(settings, owner, path)))
        answer = control.receive()
        if answer is None:
            break
        fields = wire.Fields(answer.payload)
        assert (answer.type, fields.number("Q"), fields.number("B")) == ("mailbox_made", 1, 0)
        assert not (mail_base / path.decode()).exists()


def test_an_outcome_that_was_not_asked_for_ends_the_worker(hostile_worker):
    """It counts for no delivery, and the recipient is told to come again."""
    daemon, _, _, frontend, client = hostile_worker
    asked = frontend.expect("deliver")
    number = struct.unpack_from("=Q", asked.payload, 4)[0]
    frontend.send("outcome", struct.pack("=QBB", number + 1000, 1, 0) + wire.text(""))
    assert frontend.receive() is None
    reply = client.reply()
    assert (reply.code, reply.enhanced) == (451, "4.3.0")
    daemon.wait_log(r"worker.*killed|expel")


def test_a_workers_death_after_the_hand_over_is_451(hostile_worker):
    _, _, _, frontend, client = hostile_worker
    frontend.expect("deliver")
    frontend.close()
    assert client.reply().code == 451
