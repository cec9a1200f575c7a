"""bench/compare end to end, small: what it prints, and that it leaves nothing behind. And how it ends."""
import contextlib
import dataclasses
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types

import pytest

BUILD = pathlib.Path(os.environ["LMTPD_BUILD"])
COMPARE = pathlib.Path(__file__).resolve().parents[2] / "bench" / "compare"


def compare(*arguments):
    return subprocess.run(
        ["/usr/bin/python3", COMPARE, "--build", BUILD, "--no-install", *arguments],
        capture_output=True, text=True, timeout=500)


@pytest.fixture(name="workdir")
def open_to_all():
    """tmp_path is closed to PostgreSQL and the workers."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="lmtpd-compare-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.mark.skipif(not os.path.exists("/dev/loop-control"), reason="there are no loop devices")
def test_lmtpd_beside_the_bare_loop(workdir):
    done = compare("--small", "--workload", "connections-8", "--contenders", "floor,lmtpd",
                   "--users", "3", "--image", "64", "--workdir", workdir, "--json",
                   workdir / "json", "--markdown", workdir / "markdown")
    assert done.returncode == 0, done.stderr
    text = (workdir / "markdown").read_text()
    assert "| connections-8 | bare loop | 1 | " in text
    assert "| connections-8 | lmtpd | 1 | " in text
    assert "| connections-8 | 0.7 x floor | " in text
    assert text in done.stdout
    figures = json.loads((workdir / "json").read_text())
    assert figures["failure"] is None
    assert figures["runs"]["connections-8"]["lmtpd"][0]["deliveries"] > 0
    assert sorted(path.name for path in workdir.iterdir()) == ["json", "markdown"]
    loops = subprocess.run(["losetup", "--list", "--noheadings", "--output", "BACK-FILE"],
                           capture_output=True, text=True, check=True).stdout
    assert str(workdir) not in loops


@pytest.mark.skipif(not os.path.exists("/dev/loop-control"), reason="there are no loop devices")
def test_beside_slow_clients(workdir):
    done = compare("--small", "--workload", "beside-slow", "--users", "3", "--image", "64", "--workdir",
                   workdir, "--json", workdir / "json")
    assert done.returncode == 0, done.stderr
    assert "| beside-slow | p99 at most 1.5 x that without | " in done.stdout
    (run,) = json.loads((workdir / "json").read_text())["runs"]["beside-slow"]["lmtpd"]
    assert 0 < run["without_ms"]["p50"] <= run["without_ms"]["p99"]
    assert run["beside_ms"] == run["latency_ms"]


class Unmeasured:
    """In a contender's place."""
    words = "lmtpd"

    def __init__(self, *_):
        pass

    def version(self):
        return "0"


@pytest.fixture(name="beside_slow")
def without_measuring(monkeypatch, tmp_path, capsys):
    """bench/compare with `arguments`, where beside-slow is all there is and its p99 is `ratio` times that
    without: (what it prints, what it ends with)."""
    loader = importlib.machinery.SourceFileLoader("compare", str(COMPARE))
    script = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", loader))
    monkeypatch.setattr(sys, "path", list(sys.path))
    loader.exec_module(script)
    from comparison import contenders, file_system, machine, mail_site, workloads  # script has the path

    @contextlib.contextmanager
    def no_site(**_):
        yield types.SimpleNamespace(directory=types.SimpleNamespace(path=tmp_path))
    monkeypatch.setattr(script, "check_machine", lambda *_: None)
    monkeypatch.setattr(machine, "describe", lambda *_: {})
    monkeypatch.setattr(machine, "text", lambda *_: "")
    monkeypatch.setattr(mail_site, "MailSite", no_site)
    monkeypatch.setattr(file_system, "have_own_mounts", lambda *_: None)
    monkeypatch.setattr(file_system, "Image", lambda *_: types.SimpleNamespace(close=lambda: None))
    monkeypatch.setitem(contenders.CONTENDERS, "lmtpd", Unmeasured)
    monkeypatch.setattr(workloads, "ALL", ("beside-slow",))

    def run(ratio, *arguments):
        figures = {"deliveries_per_second": 300.0, "cpu_us_per_delivery": 1.0, "database_cpu_us_per_delivery": 1.0,
                   "without_ms": {"p99": 10.0}, "beside_ms": {"p99": 10.0 * ratio}}
        monkeypatch.setitem(workloads.WORKLOADS, "beside-slow", dataclasses.replace(
            workloads.WORKLOADS["beside-slow"], measure=lambda *_: figures))
        monkeypatch.setattr(sys, "argv", ["compare", "--no-install", "--json", str(tmp_path / "json"), *arguments])
        end = None
        try:
            script.main()
        except SystemExit as ended:
            end = ended.code  # words, which Python prints to standard error before it exits with 1
        return capsys.readouterr().out, end
    return run


def test_a_workload_asked_for_by_name_fails_by_its_bound(beside_slow):
    name = ("--workload", "beside-slow")
    assert beside_slow(1.5, *name)[1] is None
    printed, end = beside_slow(1.51, *name)
    assert end == "compare: beside-slow: p99 at most 1.5 x that without: 1.51"
    assert "| beside-slow | p99 at most 1.5 x that without | 1.51 | **missed** |" in printed


@pytest.mark.parametrize("arguments", [("--all",), ("--workload", "beside-slow", "--small")])
def test_elsewhere_a_missed_bound_is_a_mark(beside_slow, arguments):
    printed, end = beside_slow(1.51, *arguments)
    assert end is None
    assert "| beside-slow | p99 at most 1.5 x that without | 1.51 | **missed** |" in printed


@pytest.mark.parametrize("arguments, text", [
    (("--workload", "none-such"), "no workload none-such; there are connections-1"),
    (("--contenders", "none-such"), "no contender none-such; there are floor"),
])
def test_unknown_names(arguments, text):
    done = compare(*arguments)
    assert done.returncode == 1
    assert text in done.stderr
