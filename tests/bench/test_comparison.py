"""The parts of bench/compare that its verdict rests on."""
import os
import pathlib
import subprocess
import sys
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

from comparison import cpu, run  # noqa: E402
from comparison.results import Results  # noqa: E402

CONTENDER = types.SimpleNamespace(name="subject", log_tail=lambda: "")


def figures(rate):
    return {"deliveries_per_second": rate, "cpu_us_per_delivery": 100.0,
            "database_cpu_us_per_delivery": 10.0, "latency_ms": {"p50": 1.0, "p99": 2.0}}


def test_medians_and_ratio_to_the_first():
    results = Results(["ours", "theirs"])
    for ours, theirs in ((100, 10), (300, 20), (200, 90)):
        results.add("load", "ours", figures(ours))
        results.add("load", "theirs", figures(theirs))
    assert results.median("load", "ours", "deliveries_per_second") == 200
    assert results.ratio("load", "theirs") == 10
    assert "| load | theirs | 20 (10 - 90) | ours is 10.0 times | 100 | 10 | 1.0 | 2.0 |" in (
        results.table())


BUSY = "import time\nwhile time.process_time() < 0.4: pass\n"


def test_cpu_counts_children_that_run_and_that_were_reaped():
    # The parent reaps one busy child, keeps another, and says so.
    program = (f"import subprocess, sys\nbusy = {BUSY!r}\n"
               "subprocess.run([sys.executable, '-c', busy])\n"
               "kept = subprocess.Popen([sys.executable, '-c', busy + "
               "'print(flush=True); input()'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
               "kept.stdout.readline()\nprint(flush=True)\ninput()\nkept.communicate(b'\\n')\n")
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as parent:
        parent.stdout.readline()
        spent = sum(cpu.seconds(parent.pid).values())
        parent.communicate(b"\n")
    assert 0.75 < spent < 5


@pytest.fixture(name="delivered")
def one_message_each(tmp_path):
    """Two domains with three mailboxes of one message each, as smtp-source leaves them."""
    site = types.SimpleNamespace(users=3, domain_names=lambda: ["a.example", "b.example"])
    for domain in site.domain_names():
        for number in range(1, 4):
            new = tmp_path / domain / "mails" / f"{number}user" / "new"
            new.mkdir(parents=True)
            (new / "1").write_text(f"Delivered-To: {number}user@{domain}\n\nx\n")
    return site, tmp_path


def test_one_each_is_right(delivered):
    run.check_one_each(CONTENDER, *delivered)


@pytest.mark.parametrize("spoil, text", [
    (lambda new: (new / "1").unlink(), "0 messages, not 1"),
    (lambda new: (new / "2").write_text("x"), "2 messages, not 1"),
    (lambda new: (new / "1").write_text("To: 12user@b.example\n\nx\n"), "another's message"),
    (lambda new: os.chown(new / "1", 4321, 4321), "owner 4321:4321"),
])
def test_one_each_finds_what_is_wrong(delivered, spoil, text):
    site, base = delivered
    spoil(base / "b.example/mails/2user/new")
    with pytest.raises(run.Wrong, match="1 mailboxes are wrong") as caught:
        run.check_one_each(CONTENDER, site, base)
    assert text in str(caught.value)
