"""A PostgreSQL server of the test's own, with the site's schema, roles and rows."""

import glob
import os
import pathlib
import shutil
import signal
import subprocess

from .directory import REPOSITORY, build_directory, free_port, stop_process, wait_until

SQL = REPOSITORY / "contrib" / "sql"


AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


class PrivatePostgres:
    """Database `mails` on `host`:port and on a unix socket. A client on TCP gives a password.

    `wrapper` is a command that runs the server in a place of its own.
    """

    def __init__(self, site, name="postgres", host="localhost", wrapper=(), connections=100):
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
        if not programs:
            raise RuntimeError("no /usr/lib/postgresql/*/bin/postgres: install postgresql")
        self.site = site
        self.bin = pathlib.Path(programs[-1]).parent
        self.host = host
        self.wrapper = wrapper
        self.connections = connections
        self.port = free_port()
        self.directory = site.make(name, owner="postgres", mode=0o755)
        self.data = self.directory / "data"
        self.log = self.directory / "log"
        self.process = None

    def create(self):
        """A new cluster, start, schema, roles and example rows."""
        self._make_cluster()
        (self.data / "pg_hba.conf").write_text(
            "local all all trust\n"
            "local replication all trust\n"
            "host all all all password\n")
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(
                f"listen_addresses = '{self.host}'\nport = {self.port}\n"
                f"unix_socket_directories = '{self.directory}'\n"
                f"fsync = off\nmax_connections = {self.connections}\n"
                "log_line_prefix = '%m [%p] %u '\n")
        self.start()
        self.sql("CREATE DATABASE mails", database="postgres")
        for file in ("schema.sql", "roles.sql", "example.sql"):
            self.sql((SQL / file).read_text())
        return self

    def _make_cluster(self):
        """initdb(1) takes a second: it makes the first cluster of a build, and the others are copies of that."""
        new = build_directory() / f"new-cluster-{self.bin.parent.name}"
        if new.exists():
            subprocess.run(["cp", "-a", new, self.data], check=True)
            subprocess.run(["chown", "-R", "postgres:postgres", self.data], check=True)
            return
        self._run([self.bin / "initdb", "-D", self.data, "-A", "trust", "-E", "UTF8", "--no-locale",
                   "--no-sync"])
        copy = new.with_name(f"{new.name}.{os.getpid()}")
        subprocess.run(["cp", "-a", self.data, copy], check=True)
        try:
            copy.rename(new)
        except OSError:  # another test was quicker
            shutil.rmtree(copy)

    def make_standby(self):
        """A hot standby of this one, which follows it; like it, to be stopped by the caller."""
        standby = PrivatePostgres(self.site, f"{self.directory.name}-standby", self.host)
        self._run([self.bin / "pg_basebackup", "-h", self.directory, "-p", str(self.port), "-U", "postgres",
                   "-D", standby.data, "-R", "--checkpoint=fast", "--no-sync"])
        with open(standby.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(f"port = {standby.port}\nunix_socket_directories = '{standby.directory}'\n")
        standby.start()
        return standby

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, *AS_POSTGRES, self.bin / "postgres", "-D", self.data], stdout=log,
                stderr=log, stdin=subprocess.DEVNULL, cwd="/")
        wait_until(self._answers, f"PostgreSQL answers (see {self.log})")

    def stop(self, how=signal.SIGINT):
        """SIGINT: the fast shutdown, which ends sessions. SIGQUIT: as after a crash."""
        if self.process is not None:
            stop_process(self.process, how)
            self.process = None

    def restart(self):
        self.stop()
        self.start()

    def sql(self, statements, database="mails"):
        """Runs statements as the superuser and returns psql's unaligned output."""
        done = subprocess.run(
            [self.bin / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h",
             self.directory, "-p", str(self.port), "-U", "postgres", database],
            input=statements, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"psql: {done.stderr}")
        return done.stdout

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended:\n{self.log.read_text()}")
        ready = subprocess.run(
            [self.bin / "pg_isready", "-q", "-h", self.directory, "-p", str(self.port)], check=False)
        return ready.returncode == 0

    def _run(self, command):
        done = subprocess.run([*AS_POSTGRES, *command], capture_output=True, text=True, cwd="/",
                              check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: {done.stderr}")
