"""The servers that are compared. A contender is started on an empty mail base and stopped again.

Each resolves its users through the site's PostgreSQL, delivers into the same maildirs, and keeps
its stock promise: file and directory on disk before the reply.
"""

import itertools
import signal
import subprocess

from . import machine
from .mail_site import LmtpdDaemon, stop_process, wait_until


class Contender:
    """`target` and `pid` hold from start() to stop(), which also ends a start() that failed."""

    name = ""
    target = ""  # of blast and smtp-source

    def __init__(self, site, options):
        self.site = site
        self.options = options
        self._runs = itertools.count(1)

    def version(self):
        raise NotImplementedError

    def start(self, mail_base):
        raise NotImplementedError

    def stop(self):
        raise NotImplementedError

    @property
    def pid(self):
        """Of the process that started all others."""
        raise NotImplementedError

    def log_tail(self):
        """The end of the last run's log, for a failure's report."""
        return ""

    def new_directory(self):
        return self.site.directory.make(f"{self.name}-{next(self._runs)}")


class Lmtpd(Contender):
    name = "lmtpd"

    def __init__(self, site, options):
        super().__init__(site, options)
        self._daemon = None

    def version(self):
        return f"build {self.options.build}"

    def start(self, mail_base):
        directory = self.new_directory()
        queue = self.site.directory.make(f"{directory.name}/queue")
        self.site.directory.make(f"{directory.name}/queue/private", owner="postfix", mode=0o700)
        self._daemon = LmtpdDaemon(self.site.directory, mail_base, queue,
                                   self.site.tables.parameters(), name=f"{directory.name}/daemon",
                                   programs=self.options.build / "bin")
        self._daemon.start()
        self.target = f"unix:{self._daemon.socket_path}"

    def stop(self):
        if self._daemon is not None:
            self._daemon.stop()

    @property
    def pid(self):
        return self._daemon.master

    def log_tail(self):
        return self._daemon.log_text()[-4000:] if self._daemon else ""


class Dovecot(Contender):
    """Dovecot 2.3's LMTP service: stock settings (mail_fsync = optimized), SQL userdb."""

    name = "dovecot"

    # A process serves a connection; Debian's limit of 100 would close connections without a word.
    CONFIGURATION = """
protocols = lmtp
mail_location = maildir:~/
postmaster_address = postmaster@bench.example
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/log
ssl = no
mail_fsync = optimized
first_valid_uid = 1000
default_process_limit = 1000
default_client_limit = 4000
userdb {{
  driver = sql
  args = {directory}/dovecot-sql.conf
}}
passdb {{
  driver = sql
  args = {directory}/dovecot-sql.conf
}}
service lmtp {{
  unix_listener {directory}/lmtp {{
    mode = 0600
  }}
}}
"""

    SQL = """
driver = pgsql
connect = host=localhost port={port} dbname=mails user=mailreader password=secret
default_pass_scheme = CRYPT
password_query = SELECT userid as user, password FROM users WHERE userid = '%u'
user_query = SELECT '{mail_base}/'||home AS home, uid, gid FROM users WHERE userid = '%u'
"""

    def __init__(self, site, options):
        super().__init__(site, options)
        self._process = None
        self._directory = None

    def version(self):
        return machine.package_version("dovecot-lmtpd")

    def start(self, mail_base):
        self._directory = directory = self.new_directory()
        (directory / "run").mkdir()
        (directory / "state").mkdir()
        (directory / "dovecot-sql.conf").write_text(
            self.SQL.format(port=self.site.postgres.port, mail_base=mail_base))
        (directory / "dovecot.conf").write_text(self.CONFIGURATION.format(directory=directory))
        with open(directory / "out", "wb") as output:
            self._process = subprocess.Popen(
                ["/usr/sbin/dovecot", "-F", "-c", directory / "dovecot.conf"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        wait_until(self._listens, f"Dovecot listens (see {directory})")
        self.target = f"unix:{directory}/lmtp"

    def stop(self):
        if self._process is not None:
            stop_process(self._process, signal.SIGTERM, 60)
            self._process = None

    @property
    def pid(self):
        return self._process.pid

    def log_tail(self):
        log = self._directory and self._directory / "log"
        return log.read_text(errors="replace")[-4000:] if log and log.exists() else ""

    def _listens(self):
        if self._process.poll() is not None:
            raise RuntimeError(f"Dovecot ended:\n{(self._directory / 'out').read_text()}"
                               f"{self.log_tail()}")
        log = self._directory / "log"
        return log.exists() and "starting up" in log.read_text(errors="replace")


CONTENDERS = [Lmtpd, Dovecot]
