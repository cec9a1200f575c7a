"""blast must fail, and say why, at each wrong, missing or extra reply, and accept a right server."""
import json
import os
import subprocess
import time

import pytest
from scripted_server import CLOSE, RIGHT, STALL, ScriptedServer, stored

BLAST = os.environ["BLAST"]
ONE = b"250 2.0.0 stored\r\n"


def blast(server, *arguments, to="u{1-3}@d.org", patience=60):
    """`patience`: how long blast waits for a reply, in seconds."""
    target = server if isinstance(server, str) else server.target
    return subprocess.run([BLAST, "--timeout", str(patience), "--to", to, *arguments, target],
                          capture_output=True, text=True, timeout=300)


def impatient_blast(make_server, wanted, *arguments):
    """Of a server that leaves out a reply. On a busy machine another one may be late, too: blast is tried again
    with more patience where `wanted` is not what it complains of. Also returns its patience."""
    for patience in (0.5, 4, 30):
        with make_server() as server:
            done = blast(server, *arguments, patience=patience)
        if wanted in done.stderr:
            break
    return done, patience


@pytest.fixture(name="path")
def path_of_socket(tmp_path):
    return tmp_path / "socket"


# ---- a right server

@pytest.mark.parametrize("pipelining", [True, False])
def test_right_server(path, tmp_path, pipelining):
    replies = {} if pipelining else {"LHLO": b"250 scripted\r\n"}
    with ScriptedServer(path, replies) as server:
        ledger, latencies = tmp_path / "ledger", tmp_path / "latencies"
        began = time.monotonic_ns()
        done = blast(server, "-c", "4", "-m", "20", "-r", "2", "-s", "2000", "--json", "--ledger",
                     str(ledger), "--latencies", str(latencies))
        ended = time.monotonic_ns()
        assert (done.returncode, done.stderr) == (0, "")
        report = json.loads(done.stdout)
        assert report["failure"] is None
        assert (report["messages"], report["deliveries"], report["tempfailed"]) == (20, 40, 0)
        assert report["pipelining"] is pipelining
        assert report["deliveries_per_second"] > 0
        latency = report["delivery_latency_ms"]
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"]
        assert latency["p99.9"] <= latency["max"]
        assert {len(text) for _, text in server.messages} == {2000}
        messages = [[int(number) for number in line.split()] for line in latencies.open()]
        assert len(messages) == 20
        assert all(began < begin < begin + latency < ended for begin, latency in messages)
        longest = max(latency for _, latency in messages) / 1e6
        assert abs(longest - report["message_latency_ms"]["max"]) < 0.001
        lines = ledger.read_text().splitlines()
        assert len(lines) == len(set(lines)) == 40
        sent = {(recipient.decode(), text.split(b"X-Blast-Id: ")[1].split(b"\r\n")[0].decode())
                for recipients, text in server.messages for recipient in recipients}
        assert sent == {tuple(line.split("\t")) for line in lines}


def test_each_connection_carries_as_many_messages_as_asked(path):
    with ScriptedServer(path) as server:
        done = blast(server, "-m", "10", "--reuse", "4", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["connects"] == 3
        assert server.verbs.count("LHLO") == server.verbs.count("QUIT") == 3


def test_report_for_a_person(path):
    with ScriptedServer(path) as server:
        done = blast(server, "-m", "5")
        assert "5 deliveries in" in done.stdout and "p99.9" in done.stdout


def test_duration_ends_the_run(path):
    with ScriptedServer(path) as server:
        done = blast(server, "--duration", "0.3", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["messages"] == len(server.messages) > 0


def test_rate_is_kept(path):
    with ScriptedServer(path) as server:
        done = blast(server, "-c", "3", "-m", "21", "--rate", "50", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["seconds"] >= 20 / 50


def test_null_reverse_path_and_inet(path):
    with ScriptedServer(path) as server:
        assert blast(server, "-m", "1", "--from", "").returncode == 0


# ---- wrong codes

@pytest.mark.parametrize("step, reply, text", [
    ("greeting", b"554 go away\r\n", 'the greeting: wanted 220, got "554 go away"'),
    ("LHLO", b"500 what\r\n", 'the reply to LHLO: wanted 250, got "500 what"'),
    ("MAIL", b"451 later\r\n", 'the reply to MAIL FROM:<blast@blast.invalid>: wanted 250, got'),
    ("RCPT", b"550 unknown\r\n", 'the reply to RCPT TO:<u1@d.org>: wanted 250, got "550 unknown"'),
    ("RCPT", b"251 other\r\n", 'wanted 250, got "251 other"'),
    ("DATA", b"250 ok\r\n", 'the reply to DATA: wanted 354, got "250 ok"'),
    ("QUIT", b"250 ok\r\n", 'the reply to QUIT: wanted 221, got "250 ok"'),
    ("MAIL", b"hello\r\n", 'not a reply line: "hello"'),
    ("MAIL", b"250 ok\n", "a reply line without CR"),
])
@pytest.mark.parametrize("mode", ["--pipeline", "--no-pipeline"])
def test_wrong_code(path, step, reply, text, mode):
    with ScriptedServer(path, {step: reply}) as server:
        done = blast(server, "-m", "3", mode)
        assert done.returncode == 1
        assert text in done.stderr


def test_wrong_code_after_the_dot(path):
    with ScriptedServer(path, after_dot=lambda _: ONE + b"451 4.3.0 later\r\n" + ONE) as server:
        done = blast(server, "-m", "1", "-r", "3")
        assert done.returncode == 1
        assert ('reply 2 of 3 after the dot, for <u2@d.org>: wanted 250, got "451 4.3.0 later"'
                in done.stderr)
        assert "connection 1, message b" in done.stderr


def test_success_with_another_code(path):
    # DBMail answers 215 (RFC 2033: 250).
    with ScriptedServer(path, after_dot=lambda _: b"215 stored\r\n") as server:
        done = blast(server, "-m", "1")
        assert done.returncode == 1 and 'wanted 250, got "215 stored"' in done.stderr


# ---- missing replies

def test_missing_reply_after_the_dot(path, tmp_path):
    ledger = tmp_path / "ledger"
    wanted = "reply 3 of 3 after the dot, for <u3@d.org> did not come within "
    done, patience = impatient_blast(lambda: ScriptedServer(path, after_dot=lambda _: ONE + ONE), wanted,
                                     "-m", "1", "-r", "3", "--ledger", str(ledger))
    assert done.returncode == 1
    assert f"{wanted}{patience} s" in done.stderr
    # What was acknowledged before is on record.
    assert len(ledger.read_text().splitlines()) == 2


def test_one_reply_for_all_recipients(path):
    # As aiosmtpd does.
    done, _ = impatient_blast(lambda: ScriptedServer(path, after_dot=lambda _: ONE),
                              "reply 2 of 3 after the dot", "-m", "2", "-r", "3")
    assert done.returncode == 1 and "reply 2 of 3 after the dot" in done.stderr


@pytest.mark.parametrize("step, text", [
    ("greeting", "the greeting did not come within"),
    ("LHLO", "the reply to LHLO did not come"),
    ("MAIL", "the reply to MAIL FROM:<blast@blast.invalid> did not come"),
    ("RCPT", "the reply to RCPT TO:<u1@d.org> did not come"),
    ("DATA", "the reply to DATA did not come"),
    ("QUIT", "the reply to QUIT did not come"),
])
def test_stall(path, step, text):
    done, _ = impatient_blast(lambda: ScriptedServer(path, {step: STALL}), text, "-m", "1")
    assert done.returncode == 1 and text in done.stderr


def test_one_stalled_connection_of_many(path):
    def make_server():
        calls = []

        def third_stalls(recipients):
            calls.append(recipients)
            return STALL if len(calls) == 3 else stored(recipients)
        return ScriptedServer(path, after_dot=third_stalls)
    done, _ = impatient_blast(make_server, "reply 1 of 1 after the dot", "-c", "5", "-m", "50")
    assert done.returncode == 1 and "reply 1 of 1 after the dot" in done.stderr


# ---- extra replies

def test_extra_reply_with_the_last(path):
    with ScriptedServer(path, after_dot=lambda _: ONE + ONE) as server:
        done = blast(server, "-m", "2")
        assert done.returncode == 1
        assert 'a reply that nothing asked for: "250 2.0.0 stored"' in done.stderr


@pytest.mark.parametrize("step, text", [
    ("LHLO", "a reply that nothing asked for"),
    ("MAIL", "wanted 354, got"),
    ("RCPT", "wanted 354, got"),
    ("QUIT", "a reply that nothing asked for"),
])
def test_extra_reply_to_a_command(path, step, text):
    with ScriptedServer(path, {step: RIGHT[step] + b"250 2.0.0 twice\r\n"}) as server:
        done = blast(server, "-m", "2")
        assert done.returncode == 1 and text in done.stderr


def test_extra_354(path):
    with ScriptedServer(path, {"DATA": b"354 go on\r\n354 go on\r\n"}) as server:
        done = blast(server, "-m", "1")
        assert done.returncode == 1
        assert 'reply 1 of 1 after the dot, for <u1@d.org>: wanted 250, got "354' in done.stderr


def test_extra_reply_that_comes_late(path):
    """Sent behind the dot's replies, read as the next transaction's: found out there."""
    calls = []

    def slow_extra(recipients):
        calls.append(recipients)
        return stored(recipients) + (b"250 2.0.0 twice\r\n" if len(calls) == 4 else b"")
    with ScriptedServer(path, after_dot=slow_extra) as server:
        assert blast(server, "-m", "20").returncode == 1


# ---- early ends

@pytest.mark.parametrize("step, text", [
    ("greeting", "closed the connection before the greeting"),
    ("LHLO", "closed the connection before the reply to LHLO"),
    ("RCPT", "before the reply to RCPT TO:<u1@d.org>"),
    ("DATA", "before the reply to DATA"),
    ("QUIT", "closed the connection before the reply to QUIT"),
])
def test_closes_early(path, step, text):
    with ScriptedServer(path, {step: CLOSE}) as server:
        done = blast(server, "-m", "1")
        assert done.returncode == 1 and text in done.stderr


def test_closes_after_the_dot(path):
    with ScriptedServer(path, after_dot=lambda _: CLOSE) as server:
        done = blast(server, "-m", "1", "-r", "2")
        assert done.returncode == 1
        assert "closed the connection before reply 1 of 2 after the dot" in done.stderr


def test_nobody_listens(tmp_path):
    done = blast(f"unix:{tmp_path}/none", "-m", "1")
    assert done.returncode == 1 and "No such file or directory" in done.stderr


# ---- 4xx that are allowed

def test_allowed_tempfails_are_counted_and_not_in_the_ledger(path, tmp_path):
    calls = []

    def every_third(recipients):
        calls.append(recipients)
        return b"451 4.3.0 later\r\n" if len(calls) % 3 == 0 else stored(recipients)
    with ScriptedServer(path, after_dot=every_third) as server:
        ledger = tmp_path / "ledger"
        done = blast(server, "-m", "9", "--allow-tempfail", "--json", "--ledger", str(ledger))
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert (report["deliveries"], report["tempfailed"]) == (6, 3)
        assert len(ledger.read_text().splitlines()) == 6


@pytest.mark.parametrize("mode", ["--pipeline", "--no-pipeline"])
@pytest.mark.parametrize("step", ["greeting", "LHLO", "MAIL", "RCPT", "DATA"])
def test_allowed_tempfail_of_each_step(path, step, mode):
    class Server(ScriptedServer):
        """After a refused MAIL or RCPT the rest of the transaction is out of order."""
        def _answer(self, connection, reply):
            if step in ("MAIL", "RCPT") and self.verbs and self.verbs[-1] == "DATA":
                reply = b"503 5.5.1 no\r\n"
            if step == "MAIL" and self.verbs and self.verbs[-1] == "RCPT":
                reply = b"503 5.5.1 no\r\n"
            return super()._answer(connection, reply)
    with Server(path, {step: b"451 4.3.2 later\r\n"}) as server:
        server.replies["DATA"] = server.replies["DATA"] if step == "DATA" else b"503 5.5.1 no\r\n"
        done = blast(server, "-m", "4", "-r", "2", "--allow-tempfail", "--json", mode)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert (report["deliveries"], report["tempfailed"]) == (0, 8)


def test_allowed_421_reconnects(path):
    calls = []

    def second_closes(recipients):
        calls.append(recipients)
        return b"421 4.3.2 closing\r\n" if len(calls) == 2 else stored(recipients)
    with ScriptedServer(path, after_dot=second_closes) as server:
        done = blast(server, "-m", "5", "--allow-tempfail", "--json")
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert (report["deliveries"], report["tempfailed"], report["connects"]) == (4, 1, 2)


def test_5xx_fails_although_tempfails_are_allowed(path):
    with ScriptedServer(path, {"RCPT": b"550 5.1.1 unknown\r\n"}) as server:
        done = blast(server, "-m", "1", "--allow-tempfail")
        assert done.returncode == 1 and "550 5.1.1 unknown" in done.stderr


# ---- usage

@pytest.mark.parametrize("arguments, text", [
    (["--messages", "none", "unix:x"], '--messages: "none" is not a number'),
    (["--size", "10", "--to", "a@b", "unix:x"], "no room for the header"),
    (["--to", "{2-1}@d", "unix:x"], "{2-1} runs backwards"),
    (["--to", "a@b", "-r", "2", "unix:x"], "only 1 addresses are given"),
    (["--to", "a@b", "tcp:x"], "neither unix:PATH nor inet:HOST:PORT"),
    (["unix:x"], "--to is wanted"),
    (["--to", "a@b"], "one target is wanted"),
    (["--what", "unix:x"], "unknown option --what"),
])
def test_usage(arguments, text):
    done = subprocess.run([BLAST, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 64 and text in done.stderr
