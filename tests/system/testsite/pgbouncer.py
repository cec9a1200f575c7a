"""PgBouncer of the test's own, in front of the private PostgreSQL; in transaction mode if nothing is said."""

import pwd
import signal
import subprocess

import psycopg2

from .directory import free_port, stop_process, wait_until

PROGRAM = "/usr/sbin/pgbouncer"


class PrivatePgbouncer:
    """On 127.0.0.1:port. Each transaction goes to the server connection that has rested longest."""

    def __init__(self, site, postgres, name="pgbouncer", **settings):
        self.host = "localhost"
        self.port = free_port()
        self.directory = site.make(name, owner="postgres")
        self.configuration = self.directory / "pgbouncer.ini"
        self.log = self.directory / "log"
        self.process = None
        users = self.directory / "users"
        users.write_text('"mailreader" "secret"\n"postgres" "secret"\n')
        self.configuration.write_text(
            "[databases]\n"
            f"mails = host={postgres.directory} port={postgres.port} dbname=mails\n"
            "[pgbouncer]\n" + "".join(f"{key} = {value}\n" for key, value in {
                "listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": "",
                "auth_type": "plain", "auth_file": users, "admin_users": "postgres",
                "pool_mode": "transaction", "default_pool_size": 4, "min_pool_size": 4,
                "server_round_robin": 1, "server_login_retry": 1, **settings}.items()))

    def start(self):
        entry = pwd.getpwnam("postgres")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, self.configuration], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                cwd="/", user=entry.pw_uid, group=entry.pw_gid, extra_groups=[])
        wait_until(self._answers, f"PgBouncer answers (see {self.log})")
        return self

    def stop(self):
        """SIGTERM: at once."""
        if self.process is not None:
            stop_process(self.process, signal.SIGTERM)
            self.process = None

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"PgBouncer ended:\n{self.log.read_text()}")
        return self.admin("SHOW VERSION") is not None

    def admin(self, command):
        """Rows of the admin console, None if it cannot be reached."""
        try:
            connection = psycopg2.connect(host="127.0.0.1", port=self.port, user="postgres",
                                          password="secret", dbname="pgbouncer")
        except psycopg2.OperationalError:
            return None
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(command)
                return cursor.fetchall()
        finally:
            connection.close()
