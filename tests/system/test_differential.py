"""The same addresses to a real Postfix and to lmtpd, over generated tables: the same final recipients.

Postfix takes each by SMTP, expands it in cleanup(8), and hands what it comes to to an LMTP server that
takes everything and writes it down. lmtpd (alias_expansion = full) is asked over its control socket.
docs/differences.md explains where the answers differ, and why; here each such difference is a rule.
"""

import collections
import os
import random
import re
import smtplib
import socket
import socketserver
import string
import subprocess
import threading

import pytest

from testsite import PrivatePostfix, REPOSITORY, Tables, wait_until

SEED = int(os.environ.get("LMTPD_DIFFERENTIAL_SEED", "20261123"))
ADDRESSES = 2400
DOMAINS = [f"d{number}.example" for number in range(1, 6)]
ELSEWHERE = "remote.test"
EXTENSIONS = ["ext", "Ext", "a+b", "", "x-y"]


def quoted(local):
    return local if re.fullmatch(r"[\w!#$%&'*/=?^`{|}~+-]+(\.[\w!#$%&'*/=?^`{|}~+-]+)*", local) \
        else '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Site:
    """Generated rows, and addresses to try on them."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.names = [f"{word}{number}" for number in range(60)
                      for word in ("anna", "ben.o", "c-d", "e_f", "owner-g")]
        self.users = {}
        for name in self.random.sample(self.names, 200):
            self.add_user(f"{name}@{self.domain()}")
        for local in ("john doe", "back\\slash", 'quo"te', "two..dots", "o'brien", "plus+one"):
            self.add_user(f"{quoted(local)}@{self.domain()}")
        for address in self.random.sample(sorted(self.users), 20):
            local, domain = address.rsplit("@", 1)
            if not local.startswith('"'):
                self.add_user(f"{local}+ext@{domain}")  # a mailbox of its own
        self.add_user("Dead.Case@d1.example")
        self.aliases = {}
        for number in range(900):
            local = self.random.choice([f"alias{number}", f"list{number}", f"alias{number}+ext",
                                        quoted(f"odd alias {number}")])
            self.aliases[f"{local}@{self.domain()}"] = ""
        for address in self.random.sample(sorted(self.users), 40):
            self.aliases[address] = ""  # beside the row that each user has in the view
        for address in self.aliases:
            self.aliases[address] = self.targets(address)
        self.aliases |= {"@d4.example": self.user(), "@d5.example": "@d1.example"}

    def domain(self):
        return self.random.choice(DOMAINS)

    def add_user(self, address):
        self.users[address] = f"box{len(self.users)}"

    def user(self):
        return self.random.choice(sorted(self.users))

    def target(self):
        kind = self.random.random()
        if kind < 0.45:
            return self.user()
        if kind < 0.75:
            return self.random.choice(sorted(self.aliases))
        if kind < 0.85:
            local, domain = self.user().rsplit("@", 1)
            return local + "@" + domain if local.startswith('"') else f"{local}+t@{domain}"
        if kind < 0.92:
            return f"nobody{self.random.randrange(1000)}@{self.domain()}"
        if kind < 0.96:
            return self.user().upper()
        return f"someone{self.random.randrange(100)}@{ELSEWHERE}"

    def targets(self, address):
        kind = self.random.random()
        if kind < 0.02:
            return ""
        if kind < 0.03:
            return self.random.choice([":,;", "  ", "()"])
        if kind < 0.05:
            return "@" + self.domain()
        count = self.random.choice([1, 1, 1, 2, 3, 5])
        targets = [self.target() for _ in range(count)]
        if self.random.random() < 0.05:
            targets.append(address)  # itself, too
        if self.random.random() < 0.1:
            targets = [f"Some One <{target}>" for target in targets]
            return ", ".join(targets)
        return self.random.choice([", ", ",", " ", "; ", "\n"]).join(targets)

    def addresses(self):
        known = sorted(self.users) + sorted(key for key in self.aliases if not key.startswith("@"))
        made = []
        while len(made) < ADDRESSES:
            kind = self.random.random()
            address = self.random.choice(known)
            local, domain = address.rsplit("@", 1)
            if kind < 0.2 and not local.startswith('"'):
                address = f"{local}+{self.random.choice(EXTENSIONS)}@{domain}"
            elif kind < 0.3:
                address = "".join(self.random.choice([c.lower(), c.upper()]) for c in address)
            elif kind < 0.35 and not local.startswith('"'):
                address = f'"{local}"@{domain}'
            elif kind < 0.5:
                address = f"{self.random.choice(self.names)}@{self.domain()}"
            elif kind < 0.53:
                address = "".join(self.random.choices(string.ascii_letters + "._+-", k=8)).strip(".") \
                    + "@" + self.domain()
            made.append(address)
        return made

    def sql(self):
        def text(value):
            return "'" + value.replace("'", "''") + "'"
        return "\n".join([
            *(f"INSERT INTO transport VALUES ({text(domain)}, 'virtual:');" for domain in DOMAINS),
            *(f"INSERT INTO users (userid, uid, gid, home) VALUES ({text(user)}, 1001, 1001, {text(home)});"
              for user, home in self.users.items()),
            *(f"INSERT INTO virtual (address, userid) VALUES ({text(alias)}, {text(value)});"
              for alias, value in self.aliases.items())])


class Sink(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """An LMTP server that takes everything; the recipients by sender, each time he came."""

    daemon_threads = True
    request_queue_size = 200

    def __init__(self, path):
        super().__init__(str(path), SinkSession)
        os.chmod(path, 0o666)
        self.recipients = collections.defaultdict(list)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class SinkSession(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        self.say("220 sink ready")
        while line := self.rfile.readline().decode("utf-8", "surrogateescape").rstrip("\r\n"):
            verb = line[:4].upper()
            if verb == "LHLO":
                self.say("250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE")
            elif verb == "MAIL":
                sender, taken = re.search("<(.*?)>", line)[1], []
                self.say("250 2.1.0 ok")
            elif verb == "RCPT":
                taken.append(re.search("<(.*)>", line)[1])
                self.say("250 2.1.5 ok")
            elif verb == "DATA":
                self.say("354 go on")
                while self.rfile.readline() != b".\r\n":
                    pass
                self.server.recipients[sender] += taken
                for _ in taken:
                    self.say("250 2.0.0 ok")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")


@pytest.fixture(scope="module")
def generated():
    print(f"LMTPD_DIFFERENTIAL_SEED={SEED}")
    return Site(SEED)


@pytest.fixture(scope="module")
def their_tables(site, postgres, generated):
    postgres.sql("CREATE DATABASE differential", database="postgres")
    postgres.sql((REPOSITORY / "contrib" / "sql" / "schema.sql").read_text() + generated.sql()
                 + "GRANT SELECT ON ALL TABLES IN SCHEMA public TO mailreader;", database="differential")
    tables = Tables(site.make("differential-tables"), postgres)
    for path in tables.directory.iterdir():
        path.write_text(path.read_text().replace("dbname=mails", "dbname=differential"))
    return tables


@pytest.fixture(scope="module")
def postfix(site, their_tables, mail_base):
    server = PrivatePostfix(site, their_tables, mail_base, {
        "transport_maps": None, "recipient_delimiter": "+",
        "virtual_transport": "lmtp:unix:private/sink", "default_transport": "lmtp:unix:private/sink",
        "smtpd_recipient_restrictions": "permit_mynetworks, reject", "smtpd_relay_restrictions": "permit",
        "smtpd_client_connection_count_limit": "0", "in_flow_delay": "0",
        "smtpd_soft_error_limit": "1000000", "smtpd_hard_error_limit": "1000000",
        "smtpd_junk_command_limit": "1000000", "allow_min_user": "yes"})
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="module")
def sink(postfix):
    server = Sink(postfix.queue_directory / "private" / "sink")
    yield server
    server.shutdown()


def submit(postfix, addresses):
    """What Postfix said to each: the reply to RCPT, or to the message where that was taken."""
    replies = [None] * len(addresses)

    def work(first):
        client = smtplib.SMTP("127.0.0.1", postfix.port, timeout=120)
        client.ehlo()
        for number in range(first, len(addresses), 8):
            client.mail(f"s{number}@sender.test")
            code, text = client.rcpt(addresses[number])
            if code == 250:
                code, text = client.data(b"Subject: x\r\n\r\nx\r\n")
            else:
                client.rset()
            replies[number] = (code, text.decode(errors="replace"))
        client.quit()
    threads = [threading.Thread(target=work, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return replies


def wait_for_an_empty_queue(postfix):
    def empty():
        shown = subprocess.run(["postqueue", "-c", postfix.configuration, "-p"], capture_output=True,
                               text=True, check=False).stdout
        return "Mail queue is empty" in shown
    wait_until(empty, "Postfix's queue is empty", 120, 0.2)


def with_mailbox(postfix, tables, addresses):
    """Those of `addresses` that Postfix's own postmap finds in the table of mailboxes."""
    def keys(address):
        local, domain = address.rsplit("@", 1)
        yield address
        if not local.startswith('"') and "+" in local[1:]:
            yield local[:local.index("+", 1)] + "@" + domain
    wanted = sorted({key for address in addresses for key in keys(address)})
    found = subprocess.run(["postmap", "-c", postfix.configuration, "-q", "-", tables.map("mailboxes")],
                           input="".join(key + "\n" for key in wanted), capture_output=True, text=True,
                           check=False).stdout
    boxes = dict(line.split("\t", 1) for line in found.splitlines())
    return {address: next((boxes[key] for key in keys(address) if key in boxes), None)
            for address in addresses}


def resolve_all(daemon, addresses):
    """lmtpctl's protocol: (status, lines) for each."""
    answers = []
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(daemon.control_socket))
        lines = client.makefile("r", encoding="utf-8", errors="surrogateescape")
        for address in addresses:
            client.sendall(f"resolve {address}\n".encode())
            answer = []
            while (line := lines.readline().rstrip("\n")) != ".":
                answer.append(line)
            answers.append(answer)
    return answers


class Postfix:
    """What it did with an address."""

    def __init__(self, reply, finals, boxes):
        self.code, self.text = reply
        self.finals = finals
        self.boxes = {boxes[final] for final in finals if boxes[final]}
        self.remote = [final for final in finals if final.rsplit("@", 1)[1] not in DOMAINS]


class Lmtpd:
    def __init__(self, answer):
        self.reason = answer[-1] if not answer[0].startswith("ok") else ""
        self.error = answer[0]
        self.boxes = {re.search("path=.*/(.*?)/,", line)[1] for line in answer
                      if line.startswith("path=")}
        self.delivered_to = [re.search("delivered_to=<(.*)>", line)[1] for line in answer
                             if line.startswith("path=")]


UNKNOWN, LOOKUP_FAILED, ALIAS_LIMIT, REMOTE = "unknown user", "lookup failed", "alias limit", "remote"


def expectation(postfix):
    """What lmtpd has to say: an error's kind, or nothing, and why that is not what Postfix said."""
    if postfix.code == 550:
        return UNKNOWN, None
    if postfix.code == 451 and "4.6.0" in postfix.text:
        return ALIAS_LIMIT, None
    if postfix.code == 451:
        return LOOKUP_FAILED, None
    assert postfix.code == 250, (postfix.code, postfix.text)
    if postfix.remote:
        return REMOTE, "a target elsewhere: lmtpd forwards nothing"
    if not postfix.boxes:
        return UNKNOWN, "accepted and bounced: lmtpd refuses at RCPT"
    return None, None


def kind_of(lmtpd):
    if not lmtpd.error.startswith("error"):
        return None
    for kind, words in ((UNKNOWN, "unknown user"), (REMOTE, "alias target"),
                        (LOOKUP_FAILED, "leads to no address"), (ALIAS_LIMIT, "alias expansion of")):
        if words in lmtpd.error:
            return kind
    return lmtpd.error


def test_the_same_addresses_reach_the_same_mailboxes(generated, their_tables, postfix, sink, make_daemon):
    addresses = generated.addresses()
    assert len(addresses) >= 2000
    replies = submit(postfix, addresses)
    wait_for_an_empty_queue(postfix)
    finals = [sink.recipients[f"s{number}@sender.test"] for number in range(len(addresses))]
    boxes = with_mailbox(postfix, their_tables, {final for group in finals for final in group})
    daemon = make_daemon(**their_tables.parameters(), alias_expansion="full", recipient_delimiter="+",
                         myhostname="mx.host.test", mydomain="host.test")
    answers = resolve_all(daemon, addresses)

    explained, differences = collections.Counter(), []
    for address, reply, group, answer in zip(addresses, replies, finals, answers):
        theirs, ours = Postfix(reply, group, boxes), Lmtpd(answer)
        wanted, why = expectation(theirs)
        explained[why or "alike: " + (wanted or "delivered")] += 1
        same = kind_of(ours) == wanted and (wanted or (
            ours.boxes == {box.rstrip("/") for box in theirs.boxes}
            and {each.lower() for each in ours.delivered_to} <= {final.lower() for final in group}))
        if not same:
            differences.append((address, reply, group, answer))
    print(dict(explained))
    assert not differences, f"seed {SEED}: {len(differences)}, the first: {differences[:5]}"
    for outcome in ("alike: delivered", "alike: " + UNKNOWN, "alike: " + ALIAS_LIMIT,
                    "alike: " + LOOKUP_FAILED):
        assert explained[outcome] > 0, explained
