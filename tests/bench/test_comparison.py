"""The parts of bench/compare that its verdict rests on."""
import os
import pathlib
import subprocess
import sys
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

from comparison import cpu, loads, lookups, patterns, postfix, run, workloads  # noqa: E402
from comparison.contenders import CONTENDERS  # noqa: E402
from comparison.results import Results  # noqa: E402
from comparison.workloads import WORKLOADS, Bound, Figure, Workload  # noqa: E402
from scripted_server import ScriptedServer  # noqa: E402

CONTENDER = types.SimpleNamespace(name="subject", log_tail=lambda: "")


def figures(rate):
    return {"deliveries_per_second": rate, "cpu_us_per_delivery": 100.0,
            "database_cpu_us_per_delivery": 10.0, "latency_ms": {"p50": 1.0, "p99": 2.0}}


@pytest.fixture(name="results")
def three_runs():
    results = Results()
    for ours, theirs in ((100, 10), (300, 20), (200, 90)):
        results.add("load", "lmtpd", figures(ours))
        results.add("load", "dovecot", figures(theirs))
    return results


def test_medians_and_ratios(results):
    assert results.median(Figure("load", "lmtpd")) == 200
    assert results.median(Figure("load", "lmtpd", "latency_ms.p99")) == 2.0
    assert results.ratio("load", "lmtpd", "dovecot") == 10
    assert results.ratio("load", "lmtpd", "floor") is None
    table = results.table({"lmtpd": "ours", "dovecot": "theirs"})
    assert "| load | ours | 3 | 200 (100 - 300) | 10.00 |  | 100 | 10 | 1.0 | 2.0 |" in table
    assert "| load | theirs | 3 | 20.0 (10.0 - 90.0) |  |  | 100 | 10 | 1.0 | 2.0 |" in table


@pytest.mark.parametrize("limit, at_most, verdict", [
    (10, False, "reached"), (10.1, False, "**missed**"),
    (10, True, "reached"), (9.9, True, "**missed**"),
])
def test_a_bound_is_reached_or_missed(results, limit, at_most, verdict):
    bound = Bound("so much", Figure("load", "lmtpd"), limit, over=Figure("load", "dovecot"),
                  at_most=at_most)
    workload = Workload("load", "words", ("lmtpd", "dovecot"), None, (bound,))
    assert f"| load | so much | 10.00 | {verdict} |" in results.bounds_table([workload])
    assert results.missed([workload]) == (["load: so much: 10.00"] if "missed" in verdict else [])


def test_a_bound_on_what_was_not_measured_is_left_out(results):
    bound = Bound("so much", Figure("load", "floor"), 1)
    workload = Workload("load", "words", ("floor",), None, (bound,))
    assert results.bounds_table([workload]) == ""
    assert results.missed([workload]) == []


def test_every_workload_names_contenders_and_bounds_that_are_there():
    for name, workload in WORKLOADS.items():
        assert name == workload.name
        assert set(workload.contenders) <= set(CONTENDERS), name
        for bound in workload.bounds:
            for figure in (bound.figure, bound.over):
                if figure is not None:
                    assert figure.contender in WORKLOADS[figure.workload].contenders, (name, bound)


def test_the_document_tells_every_workload_and_contender():
    text = (pathlib.Path(run.__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    text = text.replace("`connections-100`, `-400`", "`connections-100` `connections-400`")
    told = [name for name in [*WORKLOADS, *CONTENDERS] if f"`{name}`" in text]
    assert set(told) == {*WORKLOADS, *CONTENDERS}


def test_workloads_are_chosen_by_name_and_contender():
    names = [workload.name for workload in workloads.chosen(["drain", "connections-8"], ["lmtpd"])]
    assert names == ["connections-8"]  # lmtpd has no part in the other
    with pytest.raises(ValueError, match="no workload nothing; there are connections-1, "):
        workloads.chosen(["nothing"])


def test_workloads_that_a_bound_compares_take_turns():
    names = [[workload.name for workload in group] for group in workloads.taking_turns(
        workloads.chosen(["connections-1", "empty-mailbox", "full-mailbox", "drain"]))]
    assert names == [["connections-1"], ["empty-mailbox", "full-mailbox"], ["drain"]]


def test_what_has_no_bound_runs_less_often():
    workload = WORKLOADS["connections-8"]
    assert [workloads.runs_of(workload, name, 5, 1) for name in ("floor", "lmtpd", "cyrus")] == [
        5, 5, 1]
    assert workloads.runs_of(WORKLOADS["drain"], "postfix-sink", 5, 1) == 3  # at most


def test_the_best_safe_pattern_stands_out():
    rates = {(pattern, uids, in_flight): [rate]
             for pattern, rate in (("slow", 1), ("fast", 2), ("unsafe-none", 3))
             for uids in patterns.UIDS for in_flight in patterns.IN_FLIGHT}
    table = patterns.table(rates)
    assert "| 10 | fast | **2** |" in table
    assert "| 10 | unsafe-none | 3 |" in table


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
        again = sum(cpu.seconds(parent.pid, cpu.tree(parent.pid)[-1]).values())
        parent.communicate(b"\n")
    assert 0.75 < spent < 5
    assert again < 1.5 * spent  # nothing twice


def test_postfix_queues_are_counted(tmp_path):
    for name in ("incoming/a", "active/b", "deferred/0/c", "defer/0/c", "pid/master.pid"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert postfix.queued(tmp_path) == 3


def test_lookups_ask_for_each_address_once(tmp_path):
    addresses = [f"{number}user@d.example" for number in range(lookups.AT_ONCE + 1)]
    with ScriptedServer(tmp_path / "socket") as server:
        lookups.ask_for_all(server.target, addresses)
        assert server.verbs.count("RCPT") == len(addresses)
        assert "DATA" not in server.verbs
    with ScriptedServer(tmp_path / "other", replies={"RCPT": b"451 4.3.0 away\r\n"}) as server:
        with pytest.raises(run.Wrong, match="451 4.3.0 away"):
            lookups.ask_for_all(server.target, addresses)


def test_prefilled_messages_are_read_ones(tmp_path):
    loads.prefill(tmp_path, 3)
    files = sorted((tmp_path / "cur").iterdir())
    assert len(files) == 3
    for file in files:
        assert file.name.endswith(f",S={file.stat().st_size},W={file.stat().st_size + 4}:2,S")


@pytest.fixture(name="delivered")
def one_message_each(tmp_path):
    """Two domains with three mailboxes of one message each, as smtp-source leaves them."""
    site = types.SimpleNamespace(domain_names=lambda: ["a.example", "b.example"])
    for domain in site.domain_names():
        for number in range(1, 4):
            new = tmp_path / domain / "mails" / f"{number}user" / "new"
            new.mkdir(parents=True)
            (new / "1").write_text(f"Delivered-To: {number}user@{domain}\n\nx\n")
    return site, tmp_path, 3


def test_one_each_is_right(delivered):
    run.check_one_each(CONTENDER, *delivered)


@pytest.mark.parametrize("spoil, text", [
    (lambda new: (new / "1").unlink(), "0 messages, not 1"),
    (lambda new: (new / "2").write_text("x"), "2 messages, not 1"),
    (lambda new: (new / "1").write_text("To: 12user@b.example\n\nx\n"), "another's message"),
    (lambda new: os.chown(new / "1", 4321, 4321), "owner 4321:4321"),
])
def test_one_each_finds_what_is_wrong(delivered, spoil, text):
    site, base, users = delivered
    spoil(base / "b.example/mails/2user/new")
    with pytest.raises(run.Wrong, match="1 mailboxes are wrong") as caught:
        run.check_one_each(CONTENDER, site, base, users)
    assert text in str(caught.value)
