"""verify must find a message that is lost, doubled, damaged, or of another owner."""
import os
import pathlib
import subprocess

import pytest
from scripted_server import ScriptedServer

BLAST = os.environ["BLAST"]
VERIFY = pathlib.Path(__file__).resolve().parents[2] / "bench" / "verify"


@pytest.fixture(name="run")
def delivered_run(tmp_path):
    """20 messages to 2 recipients each, stored in maildirs, and the ledger of them."""
    class Run:
        base = tmp_path / "mail"
        ledger = tmp_path / "ledger"

        def verify(self, *arguments):
            return subprocess.run(
                ["/usr/bin/python3", VERIFY, *arguments, "--mailbox",
                 f"{self.base}/{{domain}}/{{local}}", self.ledger],
                capture_output=True, text=True, timeout=60)

        def files(self):
            return sorted(self.base.glob("*/*/new/*"))
    with ScriptedServer(tmp_path / "socket", maildirs=Run.base) as server:
        subprocess.run([BLAST, "-m", "20", "-r", "2", "-s", "3000", "--ledger", Run.ledger, "--to",
                        "u{1-5}@d{1-2}.org", server.target], check=True, capture_output=True)
    run = Run()
    assert len(run.files()) == 40
    return run


def test_all_there(run):
    done = run.verify("--exact")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "40 acknowledged deliveries checked: all there, once and whole\n"


def test_read_messages_count_too(run):
    file = run.files()[0]
    file.rename(file.parents[1] / "cur" / (file.name + ":2,S"))
    assert run.verify().returncode == 0


def test_lost(run):
    run.files()[3].unlink()
    done = run.verify()
    assert done.returncode == 1
    assert "verify: lost: b" in done.stderr and "1 lost" in done.stdout


def test_lost_mailbox(run):
    mailbox = run.base / "d1.org" / "u1"
    count = len(list(mailbox.glob("new/*")))
    mailbox.rename(run.base / "away")
    assert f"{count} lost" in run.verify().stdout


def test_in_tmp_is_lost(run):
    file = run.files()[3]
    file.rename(file.parents[1] / "tmp" / file.name)
    assert "1 lost" in run.verify().stdout


def test_delivered_to_another(run):
    file = run.files()[0]
    file.rename(run.base / "d2.org" / "u5" / "new" / "stray")
    assert "1 lost" in run.verify().stdout


def test_duplicated(run):
    file = run.files()[5]
    (file.parents[1] / "cur" / "copy:2,").write_bytes(file.read_bytes())
    (file.parents[1] / "cur" / "copy:2,").chmod(0o600)
    done = run.verify()
    assert done.returncode == 1
    assert "duplicated" in done.stderr and "1 duplicated" in done.stdout


@pytest.mark.parametrize("damage", [
    lambda text: text[:-100],
    lambda text: text.replace(b"quick", b"quack", 1),
    lambda text: text.replace(b"\n.", b"\n..", 1),
    lambda text: text + b"more\n",
    lambda text: text + text,
    lambda text: b"",
])
def test_damaged(run, damage):
    file = run.files()[7]
    file.write_bytes(damage(file.read_bytes()))
    done = run.verify()
    assert done.returncode == 1
    assert f"damaged: {file}" in done.stderr


def test_wrong_owner_and_mode(run):
    os.chown(run.files()[0], 12345, 12345)
    run.files()[1].chmod(0o644)
    done = run.verify()
    assert done.returncode == 1
    assert "wrong owner" in done.stderr and "wrong mode" in done.stderr


def test_what_was_not_acknowledged_counts_only_when_asked(run):
    lines = run.ledger.read_text().splitlines(keepends=True)
    run.ledger.write_text("".join(lines[1:]))
    assert run.verify().returncode == 0
    assert "1 not acknowledged" in run.verify("--exact").stdout


def test_a_line_cut_by_a_crash_is_left_out(run):
    run.ledger.write_text(run.ledger.read_text() + "u1@d1.org\tb00")
    assert run.verify().returncode == 0
