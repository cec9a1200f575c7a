"""bench/compare end to end, small: what it prints, and that it leaves nothing behind."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

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


@pytest.mark.parametrize("arguments, text", [
    (("--workload", "none-such"), "no workload none-such; there are connections-1"),
    (("--contenders", "none-such"), "no contender none-such; there are floor"),
])
def test_unknown_names(arguments, text):
    done = compare(*arguments)
    assert done.returncode == 1
    assert text in done.stderr
