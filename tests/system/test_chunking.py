"""BDAT and BINARYMIME (RFC 3030) on the whole daemon, from the socket to the file."""

import random

import pytest

from testsite import Lmtp, free_port, newest, stored

ALL_OCTETS = bytes(range(256)) + bytes(reversed(range(256))) + b"\r\n.\r\n\n.\n\r.\r\0"


class Chunks(Lmtp):
    def __init__(self, target):
        super().__init__(target)
        self.keywords = self.lhlo().lines[1:]

    def begin(self, recipients, parameters=""):
        lines = [f"MAIL FROM:<s@remote.example>{parameters}"] + [f"RCPT TO:<{to}>" for to in recipients]
        self.send("".join(line + "\r\n" for line in lines).encode())
        return [self.reply().code for _ in lines]

    def chunk(self, octets, last=False, replies=1):
        self.send(b"BDAT %d%s\r\n" % (len(octets), b" LAST" if last else b"") + octets)
        return [(reply.code, reply.enhanced) for reply in [self.reply() for _ in range(replies)]]


@pytest.fixture
def client(daemon):
    with Chunks(daemon.socket_path) as chunks:
        yield chunks


def split(octets, sizes):
    at = 0
    for size in sizes:
        yield octets[at:at + size]
        at += size
    yield octets[at:]


def wire_size(octets):
    return len(octets) + octets.count(b"\n") - octets.count(b"\r\n")


def test_keywords(client):
    assert {"CHUNKING", "BINARYMIME", "LIMITS RCPTMAX=1000"} <= set(client.keywords)


@pytest.mark.parametrize("size", [0, 1, 65536, 5 * 1024 * 1024])
def test_binary_octets_are_stored_as_they_were_sent(client, mail_base, size):
    """G1, G3, G4, D9, D11: the smaller ones inline, the large one by a memfd; S= and W= are true."""
    noise = random.Random(size).randbytes(size)
    message = b"Subject: binary\r\nContent-Transfer-Encoding: binary\r\n\r\n" + ALL_OCTETS + noise
    assert client.begin(["user@domain.org", "foo@foo.org"], " BODY=BINARYMIME") == [250] * 3
    *chunks, last = split(message, [1, 17, 40, 0, 100, size // 2])
    for chunk in chunks:
        assert client.chunk(chunk) == [(250, "2.0.0")]
    assert client.chunk(last, last=True, replies=2) == [(250, "2.0.0")] * 2
    for mailbox in ("domain.org/mails/user", "foo.org/mails/user"):
        file = newest(mail_base / mailbox)
        head = file.octets.removesuffix(message)
        assert len(head) + len(message) == len(file.octets)
        assert head.startswith(b"Return-Path: <s@remote.example>\r\n") and head.endswith(b"\r\n")
        assert head.count(b"\n") == head.count(b"\r\n")
        assert file.sizes == (len(file.octets), wire_size(file.octets))


def test_text_in_chunks_is_stored_as_data_would(client, mail_base):
    text = b"Subject: text\r\n\r\n.dots\r\n..\r\n.\r\nand no last line end"
    client.begin(["user@domain.org"])
    assert client.chunk(text[:40]) == [(250, "2.0.0")]
    assert client.chunk(text[40:], last=True) == [(250, "2.0.0")]
    file = newest(mail_base / "domain.org/mails/user")
    assert file.octets.endswith(b"\n" + text.replace(b"\r\n", b"\n") + b"\n")
    assert b"\r" not in file.octets
    assert file.sizes == (len(file.octets), wire_size(file.octets))


def test_a_pipelined_transaction_in_one_write(client, mail_base):
    """G8, G12, E1: chunks behind RCPTs that are still being looked up, and what follows them."""
    mailbox = mail_base / "domain.org/mails/user2"
    before = len(stored(mailbox))
    client.send(b"MAIL FROM:<>\r\nRCPT TO:<user2@domain.org>\r\nBDAT 6\r\nQUIT\r\nRSET\r\n"
                b"BDAT 6 LAST\r\nQUIT\r\n"
                b"MAIL FROM:<>\r\nRCPT TO:<user2@domain.org>\r\nBDAT 6 LAST\r\nQUIT\r\nBDAT 6\r\nQUIT\r\nQUIT\r\n")
    codes = [client.reply().code for _ in range(10)]
    assert codes == [250, 250, 250, 250, 503, 250, 250, 250, 503, 221]
    assert client.at_end()
    assert len(stored(mailbox)) == before + 1
    assert newest(mailbox).octets.endswith(b"\nQUIT\n")


def test_a_client_that_leaves_between_chunks_has_sent_nothing(daemon, client, mail_base):
    mailbox = mail_base / "domain.org/mails/user"
    before = len(stored(mailbox))
    client.begin(["user@domain.org"])
    assert client.chunk(b"Subject: never\r\n\r\n") == [(250, "2.0.0")]
    client.close()
    daemon.deliver("user2@domain.org", b"Subject: later\n\n")  # what came before is done
    assert len(stored(mailbox)) == before


def test_more_than_there_is_room_for(make_daemon, mail_base):
    """G6, G11: every octet is swallowed, and the session goes on. The largest message fits, to the octet."""
    limit = 1024 * 1024
    daemon = make_daemon(spool_limit=str(limit))
    with Chunks(daemon.socket_path) as client:
        assert f"SIZE {limit}" in client.keywords
        client.begin(["user@domain.org", "user@foo.org"])
        assert client.chunk(b"x" * limit) == [(250, "2.0.0")]
        assert client.chunk(b"QUIT\r\n") == [(552, "5.3.4")]
        assert client.chunk(b"QUIT\r\n" * limit, last=True, replies=2) == [(552, "5.3.4")] * 2
        client.begin(["user@domain.org"])
        assert client.chunk(b"y" * (8 * limit), last=True) == [(552, "5.3.4")]
        for parameters, message in ((" BODY=BINARYMIME", b"z" * limit), ("", b"z" * (limit - 2))):
            client.begin(["user@domain.org"], parameters)
            assert client.chunk(message, last=True) == [(250, "2.0.0")]
            assert newest(mail_base / "domain.org/mails/user").octets.rstrip(b"\n").endswith(b"\n" + message)


def test_a_chunk_waits_for_the_room_that_another_client_has(make_daemon, mail_base):
    limit = 1024 * 1024
    daemon = make_daemon(spool_limit=str(limit))
    first = daemon.client()
    first.lhlo()
    assert first.envelope("s@remote.example", ["user@foo.org"], f" SIZE={limit}")[2].code == 354
    with Chunks(daemon.socket_path) as client:
        client.begin(["user@domain.org"])
        message = b"Subject: waits\r\n\r\n" + b"0123456789abcde\n" * 10000
        client.send(b"BDAT %d LAST\r\n" % len(message) + message)
        first.close()
        reply = client.reply()
        assert (reply.code, reply.enhanced) == (250, "2.0.0")
    expected = b"\nSubject: waits\n\n" + b"0123456789abcde\n" * 10000
    assert newest(mail_base / "domain.org/mails/user").octets.endswith(expected)


def test_chunks_over_tcp_an_octet_at_a_time(make_daemon, mail_base):
    """G13."""
    port = free_port()
    make_daemon(listen=f"unix:private/dovecot-lmtp, {{inet:127.0.0.1:{port} auth=no}}")
    with Chunks(("127.0.0.1", port)) as client:
        client.begin(["user@domain.org"], " BODY=BINARYMIME")
        for octet in b"BDAT 4\r\n\r\n.\rBDAT 6 LAST\r\n\nQUIT\0":
            client.socket.sendall(bytes([octet]))
        assert [client.reply().code for _ in range(2)] == [250, 250]
        assert client.quit().code == 221
    assert newest(mail_base / "domain.org/mails/user").octets.endswith(b"\r\n\r\n.\r\nQUIT\0")
