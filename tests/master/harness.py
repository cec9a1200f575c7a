"""A copy of lmtpd with fake roles beside it, and what they report (fake_role.cc)."""

import contextlib
import ctypes
import os
import pathlib
import pwd
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from testsite.directory import PATIENCE

LMTPD = os.environ["LMTPD_PROGRAM"]
FAKE_ROLE = os.environ["LMTPD_FAKE_ROLE"]

FRONTEND_USER = "news"
LOOKUP_USER = "uucp"
SYNC_USER = "proxy"
LISTEN_OWNER = "daemon"

WITHOUT_SYNCS = r"warning: .*fsync = no: a crash loses mail"

KIND_FRONTEND, KIND_LOOKUP, KIND_WORKER = "0", "1", "2"
OVERLOAD, IO, BAD_MAILBOX, NO_ACCESS = "15", "12", "5", "9"


@contextlib.contextmanager
def kept_from_its_end(pid):
    """As if it hung in the kernel: its parent is not told of its death before its tracer is."""
    seize, all_kinds = 0x4206, 0x40000000  # PTRACE_SEIZE, __WALL
    assert ctypes.CDLL(None, use_errno=True).ptrace(seize, pid, None, None) == 0, ctypes.get_errno()
    try:
        yield
    finally:
        os.waitpid(pid, all_kinds)


class Role:
    """One fake role; `events` are dicts with the key `event`, in the order of their coming."""

    def __init__(self, connection):
        self.connection = connection
        self.buffer = b""
        self.events = []
        self.title = None
        self.pid = None
        self.gone = False

    def order(self, line):
        with contextlib.suppress(BrokenPipeError):  # the master ended it meanwhile
            self.connection.sendall(line.encode() + b"\n")

    def all(self, event, **fields):
        return [e for e in self.events if e["event"] == event
                and all(e.get(k) == str(v) for k, v in fields.items())]

    def __repr__(self):
        return f"<{self.title} {self.pid}>"


class Master:
    """Runs lmtpd. Fake roles say Ready and obey Stop unless their title is in `mute` or `stubborn`."""

    def __init__(self, **parameters):
        # Not below a directory of mode 0700: the listen_owner has to reach its socket.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="lmtpd-master-"))
        self.dir.chmod(0o755)
        (self.dir / "bin").mkdir()
        (self.dir / "mail").mkdir(0o711)
        (self.dir / "queue" / "private").mkdir(parents=True)
        os.chown(self.dir / "queue" / "private", pwd.getpwnam(LISTEN_OWNER).pw_uid, 0)
        (self.dir / "queue" / "private").chmod(0o700)
        (self.dir / "mailboxes").write_text("user@domain.org domain.org/user/\n")
        shutil.copy(LMTPD, self.dir / "bin" / "lmtpd")
        for role in ("frontend", "lookup", "worker", "committer"):
            shutil.copy(FAKE_ROLE, self.dir / "bin" / f"lmtpd-{role}")
        self.program = self.dir / "bin" / "lmtpd"
        self.socket = self.dir / "queue" / "private" / "lmtp"
        self.control = self.dir / "control"
        self.log_file = self.dir / "log"
        self.parameters = {
            "virtual_mailbox_base": self.dir / "mail",
            "virtual_mailbox_maps": f"texthash:{self.dir}/mailboxes",
            "virtual_uid_maps": "static:1001",
            "virtual_gid_maps": "static:1001",
            "queue_directory": self.dir / "queue",
            "listen": "unix:private/lmtp",
            "listen_owner": f"{LISTEN_OWNER}:{LISTEN_OWNER}",
            "frontend_user": FRONTEND_USER,
            "lookup_user": LOOKUP_USER,
            "sync_user": SYNC_USER,
            "control_socket": self.control,
            "trusted_clients": "127.0.0.1, [::1]",
            "mail_owner": "games",
            "setgid_group": "games",
            "myhostname": "mail.example",
            # Whatever its directory lies on. None: lmtpd's default.
            "commit_file_systems": "",
            **parameters,
        }
        self.config = self.dir / "lmtpd.cf"
        self.write_config()
        self.observer = socket.socket(socket.AF_UNIX)
        self.observer.bind(str(self.dir / "bin" / "observer"))
        self.observer.listen(300)
        self.roles = []
        self.mute = set()
        self.stubborn = set()
        self.process = None

    def write_config(self, **changes):
        self.parameters.update(changes)
        self.config.write_text("".join(f"{k} = {v}\n" for k, v in self.parameters.items()
                                       if v is not None))

    # -- the process

    def start(self, command=(), ready=True, **popen):
        log = open(self.log_file, "ab")
        self.process = subprocess.Popen(
            [*command, str(self.program), "-c", str(self.config)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, **popen)
        log.close()
        if ready:
            self.wait_log("ready:")
        return self

    def run(self, *arguments):
        """To its end; for -t, -n and starts that fail."""
        process = subprocess.Popen([str(self.program), "-c", str(self.config), *arguments],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.process = process
        self.until(lambda: process.poll() is not None)
        out, err = process.communicate()
        return process.returncode, out, err

    def signal(self, number):
        os.kill(self.process.pid, number)

    def reload(self, *expected):
        """With a log that begins anew, and has all of `expected` on return."""
        self.log_file.write_text("")
        self.signal(signal.SIGHUP)
        for text in expected:
            self.wait_log(text)

    def wait(self):
        self.until(lambda: self.process.poll() is not None)
        return self.process.returncode

    def stop(self):
        self.signal(signal.SIGTERM)
        return self.wait()

    def close(self):
        children = []
        if self.process and self.process.poll() is None:
            pid = self.process.pid
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            self.process.kill()
            self.process.wait()
        # The roles end with master; this is for the ones that a test made deaf.
        for role in self.roles:
            role.connection.close()
        self.observer.close()
        # A child that makes a mailbox finishes that, and works in the directory until then.
        deadline = time.monotonic() + PATIENCE
        while any(os.path.exists(f"/proc/{child}/exe") for child in children):
            assert time.monotonic() < deadline, f"still running, of {children}"
            time.sleep(0.01)
        shutil.rmtree(self.dir)

    def log(self):
        return self.log_file.read_text() if self.log_file.exists() else ""

    # -- the roles

    def pump(self, timeout=0.05):
        connections = {r.connection.fileno(): r for r in self.roles if not r.gone}
        readable, _, _ = select.select([self.observer, *connections], [], [], timeout)
        for fd in readable:
            if fd is self.observer:
                self.roles.append(Role(self.observer.accept()[0]))
            else:
                self.read(connections[fd])

    def read(self, role):
        try:
            data = role.connection.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            role.gone = True
            return
        role.buffer += data
        *lines, role.buffer = role.buffer.split(b"\n")
        for line in lines:
            name, *fields = line.decode().split("\t")
            event = {"event": name, **dict(f.split("=", 1) for f in fields)}
            event["at"] = float(event["at"])
            role.events.append(event)
            if name == "hello":
                role.title, role.pid = event["title"], int(event["pid"])
            elif name == "start" and role.title not in self.mute:
                role.order("ready")
            elif name == "stop" and role.title not in self.stubborn:
                role.order("exit 0")

    def until(self, condition):
        deadline = time.monotonic() + PATIENCE
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not within {PATIENCE} s; log:\n{self.log()}\nroles: "
                    + "\n".join(f"{r} ... {r.events[-6:]}" for r in self.roles))
            self.pump()

    def wait_log(self, text):
        self.until(lambda: text in self.log())

    def wait_role(self, title, number=0):
        """The process of that title that came as the number-th, from 0, once it was told to start."""
        def found():
            roles = [r for r in self.roles if r.title == title]
            return roles[number] if len(roles) > number and roles[number].all("start") else None
        return self.until(found)

    def wait_event(self, role, event, number=0, **fields):
        def found():
            events = role.all(event, **fields)
            return events[number] if len(events) > number else None
        return self.until(found)

    def settle(self, seconds=0.3):
        """For what must not happen."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.pump()

    def want_worker(self, uid, gid=None, frontend=0):
        """Asks as lookup does; the frontend's answer."""
        role = self.wait_role(f"frontend {frontend}")
        gid = uid if gid is None else gid
        before = [e for e in role.events if e["event"] in ("introduce", "worker_refused")
                  and e["uid"] == str(uid) and e["gid"] == str(gid)]
        self.wait_role("lookup").order(f"start_worker {frontend} {uid} {gid}")
        return self.until(lambda: next(
            (e for e in role.events if e["event"] in ("introduce", "worker_refused")
             and e["uid"] == str(uid) and e["gid"] == str(gid) and e not in before), None))
