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
                capture_output=True, text=True, timeout=300)

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


def test_what_was_there_before_is_ignored_by_name(run):
    before = run.files()[0].parent / "1700000000.M1P1.prefilled"
    before.write_text("Subject: not blast's\n\nx\n")
    before.chmod(0o600)
    assert "1 damaged" in run.verify().stdout
    assert run.verify("--ignore", "*.prefilled").returncode == 0


@pytest.fixture(name="cyrus")
def cyrus_store(run, tmp_path):
    """The same messages as Cyrus stores them: CRLF, files `N.` beside files of its own."""
    class Store:
        directories = tmp_path / "directories"

        def verify(self):
            return subprocess.run(
                ["/usr/bin/python3", VERIFY, "--cyrus", self.directories, run.ledger],
                capture_output=True, text=True, timeout=300)

        def files(self):
            return sorted((tmp_path / "spool").glob("*/*."))
    lines = []
    for number, mailbox in enumerate(sorted(run.base.glob("*/*"))):
        directory = tmp_path / "spool" / str(number)
        directory.mkdir(parents=True)
        (directory / "cyrus.index").write_text("binary")
        for uid, file in enumerate(mailbox.glob("new/*"), 1):
            (directory / f"{uid}.").write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
            (directory / f"{uid}.").chmod(0o600)
        lines.append(f"{mailbox.name}@{mailbox.parent.name}\t{directory}\n")
    Store.directories.write_text("".join(lines))
    return Store()


def test_cyrus_all_there(cyrus):
    done = cyrus.verify()
    assert (done.returncode, done.stderr) == (0, "")
    assert "40 acknowledged deliveries checked" in done.stdout


def test_cyrus_lost_and_damaged(cyrus):
    cyrus.files()[0].unlink()
    cyrus.files()[1].write_bytes(cyrus.files()[1].read_bytes()[:-50])
    done = cyrus.verify()
    assert done.returncode == 1
    assert "1 damaged, 1 lost" in done.stdout


def test_cyrus_two_users_in_one_directory_lose_nothing_unseen(cyrus):
    first, second, *rest = cyrus.directories.read_text().splitlines(keepends=True)
    shared = first.split("\t")[1]
    cyrus.directories.write_text("".join([first, f"{second.split(chr(9))[0]}\t{shared}", *rest]))
    assert "lost" in cyrus.verify().stdout


def test_cyrus_mailbox_that_is_not_named(cyrus):
    cyrus.directories.write_text("")
    done = cyrus.verify()
    assert done.returncode == 1
    assert "no directory is given for u" in done.stderr
