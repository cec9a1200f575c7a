"""What a client sees of one session, on the whole daemon."""

import collections
import contextlib
import os
import re
import signal
import socket
import threading

import pytest

from testsite import Authority, Lmtp, client_context, free_port, newest, stored, wait_until
from testsite.lmtp import dotted

MESSAGE = b"From: sender@remote.example\nMessage-ID: <one@remote.example>\nSubject: hello\n\nbody\n"


def test_greeting_and_keywords(daemon):  # A1, A2, A18
    with Lmtp(daemon.socket_path) as client:
        assert client.greeting.code == 220
        assert client.greeting.text.startswith("mx.host.test ")
        reply = client.lhlo()
        assert reply.lines[0].split()[0] == "mx.host.test"
        keywords = [line.split()[0] for line in reply.lines[1:]]
        assert {"PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8", "SIZE"} <= set(keywords)
        assert client.quit().code == 221


def test_helo_and_ehlo_are_refused(daemon):
    with Lmtp(daemon.socket_path) as client:
        assert client.command("HELO client.test").code == 500
        assert client.command("EHLO client.test").code == 500
        assert client.lhlo().code == 250


def test_headers_of_the_stored_message(daemon, mail_base):
    daemon.deliver("foo@foo.org", MESSAGE)
    message = newest(mail_base / "foo.org/mails/user")
    lines = message.octets.split(b"\n")
    assert lines[0] == b"Return-Path: <sender@remote.example>"
    assert lines[1] == b"X-Original-To: foo@foo.org"
    assert lines[2] == b"Delivered-To: user@foo.org"
    assert re.match(rb"Received: from client\.test \(", lines[3])
    assert b" with LMTP" in message.octets
    assert message.octets.endswith(b"\n" + MESSAGE)
    daemon.deliver("user@foo.org", MESSAGE)
    assert newest(mail_base / "foo.org/mails/user").header("X-Original-To") == []


def test_the_log_has_a_line_for_each_recipient(make_daemon):
    daemon = make_daemon()
    daemon.deliver(["foo@foo.org", "user@domain.org", "nobody@domain.org"], MESSAGE)
    lines = [line for line in daemon.log_text().splitlines() if "status=" in line]
    sent = [line for line in lines if "status=sent" in line]
    assert len(sent) == 2
    for line in sent:
        assert re.search(r"to=<user@(foo|domain)\.org>, .*delay=[\d.]+, delays=[\d.]+(/[\d.]+){3}, "
                         r"dsn=2\.0\.0, status=sent \(", line), line
        assert "message-id=<one@remote.example>" in line
        assert re.search(r"size=\d+", line)
    assert [line for line in sent if "orig_to=<foo@foo.org>" in line]
    refused = [line for line in lines if "to=<nobody@domain.org>" in line]
    assert len(refused) == 1 and "dsn=5.1.1" in refused[0] and "status=bounced" in refused[0]


def test_the_null_sender(daemon, mail_base):  # B19
    daemon.deliver("user@domain.org", MESSAGE, sender="")
    assert newest(mail_base / "domain.org/mails/user").header("Return-Path") == ["<>"]


def test_eight_bit_and_dots_arrive_as_they_were(daemon, mail_base):
    body = "Subject: Grüße\n\n".encode() + bytes(set(range(1, 256)) - {10, 13}) + b"\n.\n..a\n"
    daemon.deliver("user@domain.org", body, parameters=" BODY=8BITMIME")
    assert newest(mail_base / "domain.org/mails/user").octets.endswith(b"\n" + body)


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 10 * 1024 * 1024])
def test_bodies_of_every_size(daemon, mail_base, size):  # C5
    """Beside a message of 64 KiB a body changes its way from role to role."""
    head = b"Subject: size\n\n"
    body = head + (b"0123456789abcde\n" * (size // 16 + 1))[:max(size - 1, 0)] + b"\n" * (size > 0)
    outcome = daemon.deliver(["user@domain.org", "user2@domain.org", "user@foo.org"], body,
                             parameters=f" SIZE={len(body)}")
    assert [reply.code for reply in outcome.final] == [250] * 3
    for mailbox in ("domain.org/mails/user", "domain.org/mails/user2", "foo.org/mails/user"):
        message = newest(mail_base / mailbox)
        assert message.octets.endswith(b"\n" + body), (mailbox, size)
        assert message.sizes == (len(message.octets), len(message.octets) + message.octets.count(b"\n"))


def test_lines_of_every_length(daemon, mail_base):  # C4
    """A text line of 998 octets, the longest of RFC 5321, and longer ones are stored whole."""
    lengths = [1, 78, 997, 998, 999, 1000, 1024, 4096, 65535, 65536, 1_000_000]
    body = b"Subject: " + b"s" * 989 + b"\n\n" + b"".join(b"x" * (length - 1) + b"$\n" for length in lengths)
    outcome = daemon.deliver("user@domain.org", body, parameters=f" SIZE={len(body)}")
    assert [reply.code for reply in outcome.final] == [250]
    assert newest(mail_base / "domain.org/mails/user").octets.endswith(b"\n" + body)


@pytest.mark.parametrize("processes", ["1", "32"])
def test_the_largest_message_needs_no_declared_size(make_daemon, mail_base, processes):
    """What SIZE announces is what fits, to the octet; of several frontends each has its share."""
    daemon = make_daemon(spool_limit="1048576", frontend_processes=processes)
    largest = 1048576 // int(processes)
    with daemon.client() as client:
        assert f"SIZE {largest}" in client.lhlo().lines
        body = b"x" * (largest - 2) + b"\n"  # the line end counts as CRLF
        assert client.deliver("s@remote.example", ["user@domain.org"], body).final[0].code == 250
        assert newest(mail_base / "domain.org/mails/user").octets.endswith(b"\n" + body)
        refused = client.deliver("s@remote.example", ["user@domain.org"], b"x" + body)
        assert (refused.final[0].code, refused.final[0].enhanced) == (552, "5.3.4")


def test_who_hangs_up_while_he_waits_for_room_keeps_nobody_behind_him_waiting(make_daemon):
    daemon = make_daemon(spool_limit="1048576")  # half of it is kept back for the oldest

    def send_data(client, size):
        client.send(b"MAIL FROM:<> SIZE=%d\r\nRCPT TO:<user@domain.org>\r\nDATA\r\n" % size)
        assert [client.reply().code for _ in range(2)] == [250, 250]

    # The wait itself ends after 60 s.
    with daemon.client() as first, daemon.client() as second, daemon.client(timeout=30) as third:
        send_data(first, 300_000)
        assert first.reply().code == 354
        send_data(second, 400_000)
        send_data(third, 1000)
        second.close()
        assert third.reply().code == 354


def test_who_holds_back_the_rest_of_his_messages_keeps_no_other_client_waiting(make_daemon, mail_base):
    """What he has sent takes all the room. Without more of it, it is given up for a client who has none."""
    port = free_port()
    daemon = make_daemon(listen=f"unix:private/dovecot-lmtp, inet:127.0.0.1:{port}", trusted_clients="127.0.0.1",
                         spool_limit="1048576")  # half of it is kept back for the oldest
    with contextlib.ExitStack() as stack:
        held = []
        for size in (300_000, 200_000):
            client = stack.enter_context(Lmtp(("127.0.0.1", port)))
            client.lhlo()
            client.send(b"MAIL FROM:<>\r\nRCPT TO:<user@domain.org>\r\nBDAT %d\r\n" % size + b"x" * size)
            assert [client.reply().code for _ in range(3)] == [250] * 3
            held.append(client)
        # By itself a message waits for 60 s, and is refused then.
        with daemon.client(timeout=120) as other:
            assert other.deliver("s@remote.example", ["user@domain.org"], MESSAGE).final[0].code == 250
        counters = daemon.counters()
        assert (counters["spool_given_up"], counters["spool_limit_hits"]) == (1, 0)
        for client, code in zip(held, (452, 250)):
            client.send(b"BDAT 0 LAST\r\n")
            assert client.reply().code == code
            assert client.deliver("s@remote.example", ["user@domain.org"], MESSAGE).final[0].code == 250


def test_a_large_message_begins_beside_small_ones_that_passed_it(make_daemon, mail_base):
    """Where there are always some, all the room that it declared is never free."""
    daemon = make_daemon(spool_limit="1048576")
    body = b"x" * 900_000 + b"\n"

    def ask(client, parameters=b""):
        client.send(b"MAIL FROM:<>" + parameters + b"\r\nRCPT TO:<user@domain.org>\r\nDATA\r\n")
        assert [client.reply().code for _ in range(2)] == [250, 250]

    def begin(client):
        ask(client)
        assert client.reply().code == 354
        client.send(b"x" * 60_000 + b"\r\n")

    def end(client):
        client.send(b".\r\n")
        assert client.reply().code == 250

    with contextlib.ExitStack() as stack:
        older, large, *others = [stack.enter_context(daemon.client()) for _ in range(6)]
        begin(older)
        ask(large, b" SIZE=900002")
        for other in others:
            begin(other)
        end(older)
        assert large.reply().code == 354
        sending = threading.Thread(target=large.send, args=(dotted(body),))
        sending.start()
        for other in others:
            end(other)
        sending.join()
        assert large.reply().code == 250
    # One of the small ones may well have been stored after it.
    assert any(message.octets.endswith(b"\n" + body) for message in stored(mail_base / "domain.org/mails/user"))


def test_who_holds_recipients_keeps_no_other_client_out(make_daemon):
    """Alone he has half of the room for what RCPT finds. It is for his transactions, and free with them."""
    port = free_port()
    daemon = make_daemon(listen=f"unix:private/dovecot-lmtp, inet:127.0.0.1:{port}", trusted_clients="127.0.0.1",
                         spool_limit="1048576", recipient_limit="20", virtual_alias_expansion_limit="100")

    def hold(client):
        client.send(b"MAIL FROM:<>\r\n" + b"RCPT TO:<user@domain.org>\r\n" * 20)
        assert client.reply().code == 250
        return [str(client.reply())[:9] for _ in range(20)]

    with contextlib.ExitStack() as stack:
        held, replies = [], {}
        while "452 4.3.1" not in replies:
            assert len(held) < 100
            held.append(stack.enter_context(Lmtp(("127.0.0.1", port))))
            held[-1].lhlo()
            replies = collections.Counter(hold(held[-1]))
        assert set(replies) <= {"250 2.1.5", "452 4.3.1"}
        assert daemon.counters()["spool_recipients_deferred"] == replies["452 4.3.1"]
        with daemon.client() as other:
            assert hold(other) == ["250 2.1.5"] * 20
            assert other.command("RSET").code == 250
            assert other.deliver("s@remote.example", ["user@domain.org"], MESSAGE).final[0].code == 250
        for client in (held[0], held[-1]):
            assert client.command("RSET").code == 250
        assert hold(held[-1]) == ["250 2.1.5"] * 20


def test_recipients_of_mixed_fate(daemon, mail_base):
    before = len(stored(mail_base / "foo.org/mails/user"))
    with daemon.client() as client:
        outcome = client.deliver("sender@remote.example", [
            "nobody@foo.org", "user@foo.org", "x y@foo.org", "user2@domain.org", "user@elsewhere.example",
        ], MESSAGE)
    assert [reply.code for reply in outcome.recipients] == [550, 250, 553, 250, 550]
    assert [reply.enhanced for reply in outcome.recipients] == ["5.1.1", "2.1.5", "5.1.3", "2.1.5", "5.1.1"]
    assert [str(reply)[:9] for reply in outcome.final] == ["250 2.0.0"] * 2
    assert len(stored(mail_base / "foo.org/mails/user")) == before + 1


def test_the_same_recipient_twice_is_answered_twice_and_delivered_once(daemon, mail_base):
    before = len(stored(mail_base / "foo.org/mails/user"))
    outcome = daemon.deliver(["user@foo.org", "foo@foo.org", "USER@foo.org"], MESSAGE)
    assert [reply.code for reply in outcome.final] == [250] * 3
    assert len(stored(mail_base / "foo.org/mails/user")) == before + 1


def test_recipients_of_one_message_do_not_wait_for_each_other(daemon, mail_base):
    """Each gets its file, with its own Delivered-To, while another one's worker stands still."""
    recipients = ["user@domain.org", "user@foo.org"]
    daemon.deliver(recipients, MESSAGE)
    mailboxes = [mail_base / "domain.org/mails/user", mail_base / "foo.org/mails/user"]
    before = [len(stored(mailbox)) for mailbox in mailboxes]
    worker = daemon.worker(1001)
    with daemon.client() as client:
        assert client.envelope("sender@remote.example", recipients)[2].code == 354
        os.kill(worker, signal.SIGSTOP)
        try:
            client.send(dotted(MESSAGE))
            wait_until(lambda: len(stored(mailboxes[1])) > before[1], "the other's copy")
            assert len(stored(mailboxes[0])) == before[0]
        finally:
            os.kill(worker, signal.SIGCONT)
        assert [client.reply().code for _ in recipients] == [250, 250]
    for recipient, mailbox, count in zip(recipients, mailboxes, before):
        assert len(stored(mailbox)) == count + 1
        assert newest(mailbox).header("Delivered-To") == [recipient]


def test_a_recipient_is_answered_while_the_next_ones_worker_stands_still(site, make_daemon, mail_base):  # A13
    """Over a unix socket, TCP and TLS: no reply waits for one behind it."""
    directory = site.make("early-reply-certificates")
    certificate, key = directory / "server.crt", directory / "server.key"
    Authority(directory, "ours").issue("mx.host.test", certificate, key)
    tcp, tls = free_port(), free_port()
    daemon = make_daemon(listen=f"unix:private/dovecot-lmtp, inet:127.0.0.1:{tcp}, inets:127.0.0.1:{tls}",
                         trusted_clients="127.0.0.1", tls_cert_file=str(certificate), tls_key_file=str(key))
    recipients = ["user@foo.org", "user@domain.org"]
    daemon.deliver(recipients, MESSAGE)
    mailboxes = [mail_base / "foo.org/mails/user", mail_base / "domain.org/mails/user"]
    worker = daemon.worker(1001)
    for make_client in (daemon.client, lambda: Lmtp(("127.0.0.1", tcp)),
                        lambda: Lmtp(("127.0.0.1", tls), tls=client_context())):
        before = [len(stored(mailbox)) for mailbox in mailboxes]
        with make_client() as client:
            client.lhlo()
            assert client.envelope("sender@remote.example", recipients)[2].code == 354
            os.kill(worker, signal.SIGSTOP)
            try:
                client.send(dotted(MESSAGE))
                assert client.reply().code == 250
                assert [len(stored(mailbox)) for mailbox in mailboxes] == [before[0] + 1, before[1]]
            finally:
                os.kill(worker, signal.SIGCONT)
            assert client.reply().code == 250
        assert [len(stored(mailbox)) for mailbox in mailboxes] == [count + 1 for count in before]


def test_no_valid_recipient(daemon):
    with daemon.client() as client:
        outcome = client.deliver("sender@remote.example", ["nobody@foo.org"], MESSAGE)
        assert outcome.data.code == 503
        assert client.command("RSET").code == 250
        assert client.deliver("sender@remote.example", ["user@foo.org"], MESSAGE).final[0].code == 250


def test_several_transactions_of_one_session(daemon, mail_base):
    before = len(stored(mail_base / "domain.org/mails/user2"))
    with daemon.client() as client:
        for _ in range(20):
            assert client.deliver("s@remote.example", ["user2@domain.org"], MESSAGE).final[0].code == 250
        assert client.quit().code == 221
    assert len(stored(mail_base / "domain.org/mails/user2")) == before + 20


def test_a_client_that_leaves_in_its_data_has_sent_nothing(daemon, mail_base):
    before = {mailbox: len(stored(mail_base / "domain.org/mails" / mailbox)) for mailbox in ("user", "user2")}
    client = daemon.client()
    assert client.envelope("sender@remote.example", ["user@domain.org"])[2].code == 354
    client.send(b"Subject: never\r\n\r\nhalf a mess")
    client.close()
    daemon.deliver("user2@domain.org", MESSAGE)  # what came before is done
    now = {mailbox: len(stored(mail_base / "domain.org/mails" / mailbox)) for mailbox in ("user", "user2")}
    assert now == {"user": before["user"], "user2": before["user2"] + 1}


def test_a_client_that_leaves_behind_the_dot_has_its_message(daemon, mail_base):  # A20
    mailbox = mail_base / "domain.org/mails/user"
    before = len(stored(mailbox))
    client = daemon.client()
    assert client.envelope("sender@remote.example", ["user@domain.org"])[2].code == 354
    client.send(b"Subject: gone\r\n\r\ntext\r\n.\r\n")
    client.close()
    wait_until(lambda: len(stored(mailbox)) > before, "the message is stored")
    wait_until(lambda: not list((mailbox / "tmp").iterdir()), "tmp/ is empty")
    assert len(stored(mailbox)) == before + 1


def test_smuggling_makes_no_second_message(daemon, mail_base):  # H12
    """Only CRLF.CRLF ends the data (CVE-2023-51764 and its like)."""
    for ending in (b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r"):
        before = len(stored(mail_base / "domain.org/mails/user"))
        with daemon.client() as client:
            assert client.envelope("s@remote.example", ["user@domain.org"])[2].code == 354
            client.send(b"Subject: smuggled\r\n\r\nfirst" + ending
                        + b"MAIL FROM:<evil@remote.example>\r\nRCPT TO:<user@foo.org>\r\nDATA\r\n"
                        + b"second\r\n.\r\n")
            client.reply()
            assert client.command("NOOP").code == 250
        assert len(stored(mail_base / "domain.org/mails/user")) == before + 1, ending
        assert b"evil@remote.example" in newest(mail_base / "domain.org/mails/user").octets


def test_tcp_and_several_listeners(make_daemon, mail_base):
    port = free_port()
    daemon = make_daemon(listen=f"unix:private/dovecot-lmtp, inet:127.0.0.1:{port}",
                         trusted_clients="127.0.0.1")
    with Lmtp(("127.0.0.1", port)) as client:
        client.lhlo()
        assert client.deliver("s@remote.example", ["user@domain.org"], MESSAGE).final[0].code == 250
    assert "127.0.0.1" in newest(mail_base / "domain.org/mails/user").header("Received")[0]
    assert daemon.deliver("user@domain.org", MESSAGE).final[0].code == 250


def test_the_socket_has_the_owner_and_mode_of_the_configuration(daemon):
    info = daemon.socket_path.stat()
    import grp
    import pwd
    assert (pwd.getpwuid(info.st_uid).pw_name, grp.getgrgid(info.st_gid).gr_name) == ("postfix", "postfix")
    assert info.st_mode & 0o7777 == 0o660


def test_a_stale_socket_is_replaced_and_a_file_is_not(make_daemon):
    first = make_daemon(start=False)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(first.socket_path))
    first.start()
    assert first.deliver("user@domain.org", MESSAGE).final[0].code == 250

    second = make_daemon(start=False)
    second.socket_path.write_text("precious")
    with pytest.raises(RuntimeError):
        second.start()
    assert second.socket_path.read_text() == "precious"
    second.process = None


def test_dotted_is_rfc_5321():
    assert dotted(b".a\n..\nb") == b"..a\r\n...\r\nb\r\n.\r\n"
