"""lmtpd under test: its configuration file, its processes, its log."""

import os
import pathlib
import re
import signal
import socket
import subprocess

from .directory import PATIENCE, build_directory, ensure_users, stop_process, wait_until
from .lmtp import Lmtp

# What a sanitizer says before it ends a process, and what an aborting program leaves.
BROKEN = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|"
                    r"terminate called|Assertion .* failed|stack smashing")

# Parameters for tables that have uid 100 in them: Debian gives that to Postfix's user where no other
# package came before, and lmtpd delivers as none of Postfix's.
BESIDE_POSTFIX = {"listen_owner": "root:root", "mail_owner": "root", "setgid_group": "root"}


class Lmtpd:
    """One daemon. Its own directory is below the site's; `parameters` go into lmtpd.cf.

    The socket is queue_directory/private/dovecot-lmtp, or what `socket_path` names.
    """

    def __init__(self, site, mail_base, queue_directory, parameters, name="lmtpd", programs=None):
        ensure_users()
        self.directory = site.make(name)
        self.programs = pathlib.Path(programs or build_directory() / "bin")
        self.mail_base = pathlib.Path(mail_base)
        self.socket_path = pathlib.Path(queue_directory) / "private" / "dovecot-lmtp"
        self.configuration = self.directory / "lmtpd.cf"
        self.control_socket = self.directory / "control"
        self.log = self.directory / "log"
        self.process = None
        self.seen = set()  # every child that was ever noticed
        self.parameters = {
            "queue_directory": str(queue_directory),
            "listen": "unix:private/dovecot-lmtp",
            "listen_owner": "postfix:postfix",
            "control_socket": str(self.control_socket),
            "myhostname": "mx.host.test",
            "mydomain": "host.test",
            "virtual_mailbox_base": str(mail_base),
            "log": "stderr",
            # Whatever the site lies on. None: lmtpd's default.
            "commit_file_systems": "",
            **parameters,
        }
        self.write()

    def write(self):
        self.configuration.write_text("".join(
            f"{name} = {value}\n" for name, value in self.parameters.items() if value is not None))

    def start(self, wrapper=(), ready=True, environment=None):
        """`wrapper` is a command line that lmtpd is appended to (strace, systemd-socket-activate)."""
        # An abstract address: a wrapper or a test may not hinder the daemon in reaching it.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            address = f"\0lmtpd-test-{os.getpid()}-{id(self)}"
            notify.bind(address)
            notify.settimeout(0.2)
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(
                    [*wrapper, self.programs / "lmtpd", "-c", self.configuration],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    env={**os.environ, **SANITIZER_OPTIONS, **(environment or {}),
                         "NOTIFY_SOCKET": "@" + address[1:]})
            if ready:
                wait_until(lambda: self._is_ready(notify), "lmtpd is ready")
                self.children()
        return self

    def stop(self):
        """SIGTERM; then nothing of it is left, and nothing broke while it ran."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.children()
        try:
            status = stop_process(self.process, signal.SIGTERM)
        finally:
            self.process = None
        # A short-lived grandchild may be reaped by init a moment later.
        wait_until(lambda: not [pid for pid in self.seen if _alive(pid, self.programs)],
                   f"children are gone, of {self.seen}")
        broken = BROKEN.search(self.log_text())
        assert not broken, f"{broken.group(0)} in the log:\n{self.log_text()}"
        return status

    def client(self, **arguments):
        """A session that has said LHLO."""
        client = Lmtp(self.socket_path, **arguments)
        assert client.greeting.code == 220, client.greeting
        assert client.lhlo().code == 250
        return client

    def deliver(self, recipients, message, sender="sender@remote.example", parameters=""):
        """One transaction on a session of its own."""
        if isinstance(recipients, str):
            recipients = [recipients]
        with self.client() as client:
            outcome = client.deliver(sender, recipients, message, parameters)
            client.quit()
            return outcome

    def ctl(self, *arguments):
        return subprocess.run(
            [self.programs / "lmtpctl", "-c", self.configuration, *arguments], capture_output=True,
            text=True, timeout=5 * PATIENCE, check=False, env={**os.environ, **SANITIZER_OPTIONS})

    def counters(self):
        """{name: number} as lmtpctl status prints them."""
        ran = self.ctl("status")
        assert ran.returncode == 0, ran.stdout
        return {name: int(value) for name, value in map(str.split, ran.stdout.splitlines())}

    def run(self, *arguments):
        """The program itself with `arguments` (-t, -n) and this configuration."""
        return subprocess.run(
            [self.programs / "lmtpd", "-c", self.configuration, *arguments], capture_output=True,
            text=True, timeout=PATIENCE, check=False, env={**os.environ, **SANITIZER_OPTIONS})

    # ---- processes

    @property
    def master(self):
        """The pid of lmtpd itself, also below a wrapper."""
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            if program(pid) == "lmtpd":
                return pid
        raise RuntimeError("no lmtpd process")

    def children(self):
        """{pid: program name} of what master runs."""
        running = {pid: program(pid) for pid in descendants(self.master)}
        self.seen.update(running)
        return running

    def role(self, name):
        """The pids of `lmtpd-` + name."""
        return [pid for pid, running in self.children().items() if running == "lmtpd-" + name]

    def worker(self, uid):
        """The pid of the worker of that uid, or None."""
        for pid in self.role("worker"):
            if status(pid).get("Uid", "").split()[:1] == [str(uid)]:
                return pid
        return None

    def take_threads(self, uid):
        """From here on the worker of that uid starts no thread: it takes all that waits as one group. Those that
        it has stay."""
        # As the owner, who may do that without a capability.
        subprocess.run(["prlimit", f"--pid={self.worker(uid)}", "--nproc=1:1"], user=uid, group=uid,
                       extra_groups=[], check=True)

    # ---- the log

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_log(self, pattern, count=1):
        def enough():
            found = re.findall(pattern, self.log_text(), re.MULTILINE)
            return found if len(found) >= count else None
        try:
            return wait_until(enough, f"{count} of {pattern!r}")
        except TimeoutError as error:
            raise TimeoutError(f"{error} in lmtpd's log:\n{self.log_text()}") from None

    def _is_ready(self, notify):
        if self.process.poll() is not None:
            raise RuntimeError(f"lmtpd ended with {self.process.returncode}:\n{self.log_text()}")
        try:
            return b"READY=1" in notify.recv(4096)
        except TimeoutError:
            return False


# A role gives up its right to be traced, and LeakSanitizer traces: leaks are the unit tests' matter.
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:" + os.environ.get("ASAN_OPTIONS", ""),
    "UBSAN_OPTIONS": "print_stacktrace=1:" + os.environ.get("UBSAN_OPTIONS", ""),
}


def descendants(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as children:
                found += [int(child) for child in children.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found + [grand for child in found for grand in descendants(child)]


def program(pid):
    """The file name of what runs, '' if it is gone."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def status(pid):
    """/proc/PID/status as a dictionary."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as lines:
            return dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)
    except OSError:
        return {}


def _alive(pid, programs):
    """Runs, and is a program of ours: the pid may have been given out again."""
    try:
        return os.readlink(f"/proc/{pid}/exe").startswith(str(programs))
    except OSError:
        return False
