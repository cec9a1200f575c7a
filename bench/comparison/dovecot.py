"""Dovecot's LMTP service, and its variants."""

from . import machine
from .contender import Server


class Dovecot(Server):
    """Dovecot 2.3's LMTP service: stock settings (mail_fsync = optimized), SQL userdb."""

    name = "dovecot"
    words = "Dovecot LMTP"
    log = "log"
    fsync = "optimized"
    additions = ""  # to its configuration

    # A process serves a connection; Debian's limit of 100 would close connections without a word.
    CONFIGURATION = """
protocols = lmtp
mail_location = maildir:~/
postmaster_address = postmaster@bench.example
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/log
ssl = no
mail_fsync = {fsync}
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

    def version(self):
        return machine.package_version("dovecot-lmtpd")

    def start(self, mail_base):
        self.directory = directory = self.new_directory()
        (directory / "run").mkdir()
        (directory / "state").mkdir()
        (directory / "dovecot-sql.conf").write_text(
            self.SQL.format(port=self.site.postgres.port, mail_base=mail_base))
        (directory / "dovecot.conf").write_text(
            self.CONFIGURATION.format(directory=directory, fsync=self.fsync) + self.additions)
        self.run(["/usr/sbin/dovecot", "-F", "-c", directory / "dovecot.conf"],
                 lambda: "starting up" in self.log_text())


class DovecotCached(Dovecot):
    name = "dovecot-cached"
    words = "Dovecot LMTP, auth cache"
    additions = """
auth_cache_size = 64 M
auth_cache_ttl = 1 hour
auth_cache_negative_ttl = 1 hour
"""


class DovecotWithoutSync(Dovecot):
    name = "dovecot-no-sync"
    words = "Dovecot LMTP, mail_fsync = never"
    fsync = "never"
