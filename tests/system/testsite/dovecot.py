"""Dovecots of the test's own: the reader of the site's maildirs (IMAP and POP3), and a proxy for LMTP."""

import re
import signal
import subprocess

from .directory import REPOSITORY, free_port, stop_process, wait_until

ADDITIONS = """
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/log
auth_verbose = yes
service imap-login {{
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
"""

PROXY = """
protocols = lmtp
listen = 127.0.0.1
ssl = no
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/log
lmtp_proxy = yes
service lmtp {{
  inet_listener lmtp {{
    port = {port}
  }}
}}
passdb {{
  driver = static
  args = nopassword=y proxy=y host=127.0.0.1 port={target}
}}
"""


def dovecot_hash(scheme, password):
    """As a password table stores it, `{SCHEME}` included."""
    return subprocess.run(["doveadm", "pw", "-s", scheme, "-p", password], capture_output=True, text=True,
                          check=True).stdout.strip()


class PrivateDovecot:
    """contrib/dovecot to the letter, but for host, paths and ports."""

    def __init__(self, site, postgres, mail_base):
        self.directory = site.make("dovecot")
        self.log = self.directory / "log"
        self.imap_port = free_port()
        self.pop3_port = free_port()
        self.process = None
        (self.directory / "run").mkdir()
        (self.directory / "state").mkdir()
        shipped = REPOSITORY / "contrib" / "dovecot"
        sql = (shipped / "dovecot-sql.conf").read_text()
        sql = sql.replace("host=localhost", f"host=localhost port={postgres.port}")
        (self.directory / "dovecot-sql.conf").write_text(sql.replace("'/home/'", f"'{mail_base}/'"))
        self.configuration = self.directory / "dovecot.conf"
        conf = (shipped / "dovecot.conf").read_text()
        self.configuration.write_text(
            re.sub("/etc/dovecot/", f"{self.directory}/", conf) + ADDITIONS.format(
                directory=self.directory, imap_port=self.imap_port, pop3_port=self.pop3_port))

    def start(self):
        with open(self.directory / "dovecot.out", "ab") as output:
            self.process = subprocess.Popen(
                ["/usr/sbin/dovecot", "-F", "-c", self.configuration], stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True)
        wait_until(self._listens, f"Dovecot listens (see {self.directory})")
        return self

    def stop(self):
        if self.process is not None:
            stop_process(self.process, signal.SIGTERM)
            self.process = None

    def _listens(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"Dovecot ended:\n{(self.directory / 'dovecot.out').read_text()}")
        return self.log.exists() and "starting up" in self.log.read_text()


class DovecotProxy(PrivateDovecot):
    """Every recipient's mail goes on to an LMTP server at port `target` of this host."""

    def __init__(self, site, target):
        self.directory = site.make("dovecot-proxy")
        self.log = self.directory / "log"
        self.port = free_port()
        self.process = None
        (self.directory / "run").mkdir()
        (self.directory / "state").mkdir()
        self.configuration = self.directory / "dovecot.conf"
        self.configuration.write_text(PROXY.format(directory=self.directory, port=self.port, target=target))
