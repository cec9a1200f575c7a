"""bench/floor: its patterns store what they count, and the safe ones sync in the right order."""
import json
import os
import re
import subprocess

import pytest

FLOOR = os.environ["FLOOR"]


def run(*arguments, wrapper=()):
    return subprocess.run(
        [*wrapper, FLOOR, *(str(part) for part in arguments)], capture_output=True, text=True,
        timeout=300,
        # LeakSanitizer cannot look at what strace traces.
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"} if wrapper else None)


PATTERNS = [json.loads(line) for line in run("--list", "--json").stdout.splitlines()]
SAFE = [pattern["pattern"] for pattern in PATTERNS if pattern["safe"]]
UNSAFE = [pattern["pattern"] for pattern in PATTERNS if not pattern["safe"]]


def each_longer(tmp_path, seconds):
    """A directory and a duration for each try, as long as too little is stored: a busy machine may take its time
    to begin."""
    for number in range(3):
        base = tmp_path / f"base{number}"
        base.mkdir()
        yield base, seconds * 10 ** number


@pytest.mark.parametrize("pattern", SAFE + UNSAFE)
def test_stores_what_it_counts(tmp_path, pattern):
    for base, seconds in each_longer(tmp_path, 0.2):
        done = run("--json", "--pattern", pattern, "--in-flight", 7, "--uids", 3, "--maildirs", 20,
                   "--size", 1000, "--seconds", seconds, base)
        assert (done.returncode, done.stderr) == (0, "")
        report = json.loads(done.stdout)
        if report["deliveries"] >= 7:
            break
    assert report["pattern"] == pattern and report["safe"] == (pattern in SAFE)
    files = list(base.glob("u[0-2]/m*/new/*"))
    assert report["deliveries"] == len(files) >= 7
    assert {file.stat().st_size for file in files} == {1000}
    assert not list(base.glob("u*/m*/tmp/*"))
    assert report["deliveries_per_second"] == pytest.approx(
        report["deliveries"] / report["seconds"], rel=0.01)


# What a system call is to a message.
STEPS = [
    (r'openat\(.*"1700000000.*O_CREAT', "c"),            # create in tmp/
    (r"(fsync|syncfs)\(", "s"),                          # sync
    (r'(linkat|renameat2)\(.*"1700000000', "p"),          # publish
    (r'(unlinkat\(.*"1700000000|renameat\(.*"canary)', "j"),  # journalled operation: the proof
]


def steps(tmp_path, pattern):
    """The steps of some messages, one in flight at a time, a letter each."""
    trace = tmp_path / "trace"
    for base, seconds in each_longer(tmp_path, 0.3):
        done = run("--pattern", pattern, "--in-flight", 1, "--uids", 2, "--maildirs", 4, "--seconds",
                   seconds, base, wrapper=("strace", "-f", "-o", trace, "-e", "trace=openat,fsync,syncfs,"
                                           "linkat,renameat,renameat2,unlinkat"))
        assert done.returncode == 0, done.stderr
        letters = "".join(letter for line in trace.read_text().splitlines()
                          for expression, letter in STEPS if re.search(r"\d+ +" + expression, line))
        if "c" in letters:
            break
    return letters[letters.index("c"):]


@pytest.mark.parametrize("pattern", SAFE)
def test_safe_patterns_sync_publish_sync_and_prove(tmp_path, pattern):
    assert re.fullmatch("(cspsj)+", steps(tmp_path, pattern))


@pytest.mark.parametrize("pattern", UNSAFE)
def test_unsafe_patterns_do_not(tmp_path, pattern):
    assert re.fullmatch("(cs?p)+", steps(tmp_path, pattern))


@pytest.mark.parametrize("arguments", [
    ("--pattern", "none-such", "/"),
    ("--pattern", "group"),
    ("--pattern", "group", "--uids", 11, "--maildirs", 10, "/"),
    ("--in-flight", 0, "--pattern", "group", "/"),
])
def test_mistakes_in_the_command_line(arguments):
    assert run(*arguments).returncode == 64


def test_a_failed_call_ends_it(tmp_path):
    (tmp_path / "u0").mkdir()  # not empty
    done = run("--pattern", "group", "--maildirs", 1, "--uids", 1, tmp_path)
    assert done.returncode == 1
    assert done.stderr == "floor: mkdir of an owner: File exists\n"
