"""The site's directory, and what every part of the site needs: ports, users, waiting."""

import contextlib
import fcntl
import os
import pathlib
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]

# Seconds that a test waits for what happens at once, but on a machine that has other work. Costs nothing where it
# happens, and says nothing of how long it may take.
PATIENCE = 60.0


class SiteDirectory:
    """A fresh directory that every user may pass through; removed at the end."""

    def __init__(self, name="lmtpd-site"):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=name + "-"))
        self.path.chmod(0o755)

    def make(self, name, owner="root", mode=0o755):
        path = self.path / name
        path.mkdir(parents=True)
        entry = pwd.getpwnam(owner)
        os.chown(path, entry.pw_uid, entry.pw_gid)
        path.chmod(mode)
        return path

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


def build_directory():
    """Where the programs are: LMTPD_BUILD, else the newest of build/*."""
    named = os.environ.get("LMTPD_BUILD")
    if named:
        return pathlib.Path(named)
    built = sorted(REPOSITORY.glob("build/*/bin/lmtpd"), key=lambda path: path.stat().st_mtime)
    if not built:
        raise RuntimeError("no build/*/bin/lmtpd: build first, or set LMTPD_BUILD")
    return built[-1].parents[1]


def ensure_users(names=("lmtpd", "lmtpd-lookup", "lmtpd-sync")):
    # useradd(8) does not wait for another test's.
    with open(__file__, encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in names:
            try:
                pwd.getpwnam(name)
            except KeyError:
                made = subprocess.run(
                    ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir",
                     "/nonexistent", "--shell", "/usr/sbin/nologin", name],
                    capture_output=True, text=True)
                if made.returncode != 0:
                    raise RuntimeError(f"useradd {name}: {made.stderr}") from None


def free_port():
    """A loopback TCP port that nothing listens on at this moment, below those that the kernel gives to clients
    (ip_local_port_range): what has it may end and bind it again."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(condition, what, timeout=PATIENCE, interval=0.02):
    """What condition() returns once it is true; `what` is for the error."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout} s: {what}")
        time.sleep(interval)


def stop_process(process, signal_number, timeout=PATIENCE):
    """Ends a process of ours by its pid; killed if it does not leave in time."""
    if process.poll() is None:
        process.send_signal(signal_number)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout)
            raise TimeoutError(f"{process.args[0]} did not end within {timeout} s of {signal_number}")
    return process.returncode
