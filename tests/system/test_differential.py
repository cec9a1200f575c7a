"""The same addresses to a real Postfix and to lmtpd, over generated tables: the same final recipients.

Postfix takes each by SMTP, expands it in cleanup(8), and hands what it comes to to an LMTP server that
takes everything and writes it down; postmap(1) says which of those have a mailbox. lmtpd
(alias_expansion = full) is asked by LMTP and over its control socket. What lmtpd makes of the same
final recipients in another way is a rule here, and a section with the rule's name explains it in
docs/differences.md.
"""

import collections
import os
import re
import socket
import subprocess
import threading

import pytest

from testsite import PrivatePostfix, REPOSITORY, Tables, wait_until
from testsite.generated import DOMAINS, HOME, LENGTH_LIMIT, LIMIT, GeneratedSite
from testsite.lmtp_sink import LmtpSink

SEED = int(os.environ.get("LMTPD_DIFFERENTIAL_SEED", "20261123"))
RUNS = {"+": 2000, "+-": 400}  # recipient_delimiter: addresses
LIMITS = {"virtual_alias_recursion_limit": str(LIMIT), "virtual_alias_expansion_limit": str(LIMIT),
          "virtual_alias_address_length_limit": str(LENGTH_LIMIT)}

NOBODY = "An alias to nobody is refused at RCPT"
DEAD = "A dead target beside living ones"
REMOTE = "A target elsewhere"
ONE_COPY = "One copy for each mailbox"
DUMMY_BESIDE = "A dummy row beside a mailbox"
DUMMY_ALONE = "A dummy row alone"
DUMMY_DOMAIN = "A dummy row for a whole domain"
RULES = (NOBODY, DEAD, REMOTE, ONE_COPY, DUMMY_BESIDE, DUMMY_ALONE, DUMMY_DOMAIN)
CIRCLE_FIRST = "A circle, or too many addresses, beside what is no address"  # rare: not in every run


@pytest.fixture(scope="module", params=RUNS)
def delimiter(request):
    return request.param


@pytest.fixture(scope="module")
def generated(delimiter):
    print(f"LMTPD_DIFFERENTIAL_SEED={SEED}")
    return GeneratedSite(SEED, delimiter)


@pytest.fixture(scope="module")
def their_tables(site, postgres, generated, delimiter):
    name = f"differential{len(delimiter)}"
    postgres.sql(f"CREATE DATABASE {name}", database="postgres")
    postgres.sql((REPOSITORY / "contrib" / "sql" / "schema.sql").read_text() + generated.sql()
                 + "GRANT SELECT ON ALL TABLES IN SCHEMA public TO mailreader;", database=name)
    tables = Tables(site.make(name), postgres)
    for path in tables.directory.iterdir():
        path.write_text(path.read_text().replace("dbname=mails", f"dbname={name}"))
    return tables


@pytest.fixture(scope="module")
def postfix(site, their_tables, mail_base, delimiter):
    sink = "lmtp:unix:private/sink"
    server = PrivatePostfix(site, their_tables, mail_base, {
        "transport_maps": None, "recipient_delimiter": delimiter, **LIMITS,
        "virtual_transport": sink, "default_transport": sink, "local_transport": sink,
        "mydestination": HOME, "allow_min_user": "yes",
        "smtpd_recipient_restrictions": "permit_mynetworks, reject", "smtpd_relay_restrictions": "permit",
        "smtpd_soft_error_limit": "1000000", "smtpd_hard_error_limit": "1000000",
        "smtpd_junk_command_limit": "1000000"}, name=f"postfix{len(delimiter)}")
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="module")
def sink(postfix):
    server = LmtpSink(postfix.queue_directory / "private" / "sink")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def addresses(generated, delimiter):
    return generated.addresses(RUNS[delimiter])


@pytest.fixture(scope="module")
def answers(make_module_daemon, their_tables, delimiter, addresses):
    """lmtpd's, to each address."""
    daemon = make_module_daemon(
        **their_tables.parameters(), alias_expansion="full", recipient_delimiter=delimiter,
        mydestination=HOME, error_limit="1000000", cache_stale_ttl="0", **LIMITS)
    return ask(daemon, addresses)


def submit(postfix, addresses):
    """What Postfix said to each: the reply to RCPT, or to the message where that was taken."""
    replies = [None] * len(addresses)

    def work(first):
        with postfix.smtp() as client:
            client.ehlo()
            for number in range(first, len(addresses), 8):
                client.mail(f"s{number}@sender.test")
                reply = client.docmd(f"RCPT TO:<{addresses[number]}>")
                if reply[0] == 250:
                    reply = client.data(b"Subject: x\r\n\r\nx\r\n")
                else:
                    client.rset()
                replies[number] = f"{reply[0]} {reply[1].decode(errors='replace')}"
    threads = [threading.Thread(target=work, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return replies


def final_recipients(postfix, sink, addresses):
    """(reply, what was handed on) for each address."""
    replies = submit(postfix, addresses)

    def is_empty():
        shown = subprocess.run(["postqueue", "-c", postfix.configuration, "-p"], capture_output=True,
                               text=True, check=True).stdout
        return "Mail queue is empty" in shown
    wait_until(is_empty, "Postfix's queue is empty", 400, 0.2)
    return [(reply, sink.recipients[f"s{number}@sender.test"]) for number, reply in enumerate(replies)]


def postmap(postfix, table, keys):
    """The table's answer to each of `keys` that has one, by Postfix's own postmap(1)."""
    shown = subprocess.run(
        ["postmap", "-c", postfix.configuration, "-q", "-", table], capture_output=True, text=True,
        input="".join(key + "\n" for key in keys), check=False)
    assert shown.stderr.replace("\n", "") == "" or "ignored" in shown.stderr, shown.stderr
    answers = {}
    for line in shown.stdout.splitlines():
        if "\t" in line:
            key, answer = line.split("\t", 1)
            answers[key] = answer
        else:
            answers[key] += "\n" + line  # of an answer of several lines
    return answers


class Mailbox:
    """What the mailbox table says to a final recipient of Postfix's, as virtual(8) would ask it."""

    def __init__(self, address, keys, answers):
        found = next((key for key in keys if key in answers), None)
        values = answers[found].split(",") if found else []
        self.address = address
        self.box = next((value.rstrip("/") for value in values if value != "dummy"), None)
        self.has_dummy = "dummy" in values
        self.is_elsewhere = found is None and address.rsplit("@", 1)[1].lower() not in DOMAINS
        # Nothing is delivered while this one cannot be.
        self.blocks = self.is_elsewhere or (
            self.has_dummy and not self.box and not found.startswith("@"))
        self.rules = {REMOTE} if self.is_elsewhere else set()
        if self.has_dummy:
            self.rules.add(DUMMY_BESIDE if self.box else DUMMY_ALONE if self.blocks else DUMMY_DOMAIN)


def mailboxes(postfix, tables, delimiter, addresses):
    def keys(address):
        local, domain = address.rsplit("@", 1)
        yield address.lower()
        inner = re.sub(r"\\(.)", r"\1", local[1:-1]) if local.startswith('"') else local
        at = min((place for character in delimiter if (place := inner.find(character)) > 0), default=0)
        is_special = re.fullmatch("postmaster|mailer-daemon|double-bounce", inner, re.I) or (
            "-" in delimiter and re.fullmatch("owner-.*|.+-request", inner, re.I))
        if at and not is_special:
            base = inner[:at]
            if re.fullmatch(r"[^\s\"\\@,;:<>()\[\].]+(\.[^\s\"\\@,;:<>()\[\].]+)*", base):
                yield f"{base}@{domain}".lower()
            else:
                yield '"{}"@{}'.format(base.replace("\\", r"\\").replace('"', r"\""), domain).lower()
        yield f"@{domain}".lower()
    wanted = sorted({key for address in addresses for key in keys(address)})
    answers = postmap(postfix, tables.map("mailboxes"), wanted)
    return {address: Mailbox(address, list(keys(address)), answers) for address in addresses}


class Answer:
    """lmtpd's: the reply to RCPT, and what `lmtpctl resolve --explain` shows."""

    def __init__(self, reply, lines):
        self.reply = reply
        self.error = lines[0] if lines[0] != "ok" else None
        text = "\n".join(lines)
        self.boxes = dict(re.findall(r"^path=.*/(.*?)/, .*delivered_to=<(.*)>$", text, re.MULTILINE))
        self.dead = re.findall('^note: .*dead target beside living ones: unknown user: "(.*)"$', text,
                               re.MULTILINE)
        self.asked = re.findall(r"^  (\S+): <(.*)>: (.*) \([^)]*\)$", text, re.MULTILINE)


def ask(daemon, addresses):
    answers = []
    with daemon.client() as client, socket.socket(socket.AF_UNIX) as control:
        control.connect(str(daemon.control_socket))
        lines = control.makefile("r", encoding="utf-8", errors="surrogateescape")
        for address in addresses:
            client.send(f"MAIL FROM:<s@sender.test>\r\nRCPT TO:<{address}>\r\nRSET\r\n".encode())
            reply = [client.reply() for _ in range(3)][1]
            control.sendall(f"explain {address}\n".encode())
            shown = []
            while (line := lines.readline().rstrip("\n")) != ".":
                shown.append(line)
            answers.append(Answer(f"{reply.code} {reply.enhanced}", shown))
    return answers


def expected(reply, finals):
    """lmtpd's reply to what Postfix made of an address, and the rules that say so where it is another."""
    if not reply.startswith("250"):
        return re.match(r"\d+ \d\.\d\.\d", reply)[0], set()
    rules = set().union(*(final.rules for final in finals))
    if any(final.blocks for final in finals):
        return "451 4.3.5", rules
    if not any(final.box for final in finals):
        return "550 5.1.1", rules | {NOBODY}
    if any(not final.box for final in finals):
        rules |= {DEAD}
    if len({final.box for final in finals if final.box}) < sum(1 for final in finals if final.box):
        rules |= {ONE_COPY}
    return "250 2.1.5", rules


def found_circle_first(reply, answer):
    return (reply.startswith("451 4.3.0") and answer.reply == "451 4.6.0"
            and any(text in answer.error for text in ("leads back to itself",
                                                      "more than virtual_alias_expansion_limit")))


def agree(answer, wanted, finals):
    if answer.reply != wanted:
        return False
    if answer.reply == "451 4.3.5":  # names the target
        return any(f"<{final.address}>" in answer.error for final in finals if final.blocks)
    if not answer.reply.startswith("250"):
        return answer.error is not None and not answer.boxes
    by_box = collections.defaultdict(set)
    for final in finals:
        if final.box:
            by_box[final.box].add(final.address)
    return (answer.boxes.keys() == by_box.keys()
            and all(answer.boxes[box] in by_box[box] for box in by_box)
            # Postfix drops what differs from another in case alone.
            and {dead.lower() for dead in answer.dead}
            == {final.address.lower() for final in finals if not final.box})


def test_the_same_addresses_reach_the_same_mailboxes(addresses, answers, their_tables, delimiter, postfix,
                                                     sink):
    theirs = final_recipients(postfix, sink, addresses)
    boxes = mailboxes(postfix, their_tables, delimiter, {final for _, finals in theirs for final in finals})
    seen, differences = collections.Counter(), []
    for address, (reply, group), answer in zip(addresses, theirs, answers):
        finals = [boxes[final] for final in group]
        wanted, rules = expected(reply, finals)
        if found_circle_first(reply, answer):
            wanted, rules = answer.reply, {CIRCLE_FIRST}
        seen.update(rules or [f"as Postfix: {answer.reply}"])
        if not agree(answer, wanted, finals):
            differences.append((address, reply, group, wanted, vars(answer)))
    print(dict(seen))
    assert not differences, f"seed {SEED}: {len(differences)}, the first: {differences[:3]}"
    for outcome in (*RULES, "as Postfix: 250 2.1.5", "as Postfix: 550 5.1.1", "as Postfix: 451 4.6.0",
                    "as Postfix: 451 4.3.0"):
        assert seen[outcome] > 0, (outcome, seen)


def test_each_table_answers_as_to_postmap(addresses, answers, postfix):
    asked = collections.defaultdict(dict)
    for answer in answers:
        for table, key, text in answer.asked:
            asked[table][key] = text
    assert sum(len(answers) for answers in asked.values()) > len(addresses)
    several = 0
    for table, ours in asked.items():
        theirs = postmap(postfix, table, sorted(ours))
        for key, text in ours.items():
            several += '", "' in text
            joined = None if text == "nothing" else text[1:-1].replace('", "', ",")
            wanted = theirs.get(key)
            assert joined == (wanted and wanted.replace("\n", "?")), (table, key, text, wanted)
    assert several > 0


def test_each_rule_is_explained():
    sections = re.findall("^### (.*)$", (REPOSITORY / "docs" / "differences.md").read_text(), re.MULTILINE)
    assert {*RULES, CIRCLE_FIRST} <= set(sections)
