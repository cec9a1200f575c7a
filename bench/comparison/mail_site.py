"""The users of a comparison: a uid and gid for each of ten domains, in a PostgreSQL of its own."""

import os
import pathlib
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "system"))

from testsite import (Lmtpd, PrivatePostfix, PrivatePostgres, SiteDirectory, SlowClients, Tables,  # noqa: E402,F401
                      wait_until)
from testsite.directory import stop_process  # noqa: E402,F401

FIRST_UID = 20000


class LmtpdDaemon(Lmtpd):
    """Whose syncs are as by default, where the tests' are not."""

    def __init__(self, site, mail_base, queue_directory, parameters, **more):
        super().__init__(site, mail_base, queue_directory,
                         {"commit_file_systems": None, **parameters}, **more)


class MailSite:
    """user `{n}user@d{d}.example` for every n and d; homes in d{d}.example/mails/{n}user."""

    def __init__(self, domains, users):
        self.domains = domains
        self.users = users
        self.directory = SiteDirectory("lmtpd-bench")
        # Each smtpd(8) and virtual(8) of Postfix has one.
        self.postgres = PrivatePostgres(self.directory, connections=1500)
        self.tables = Tables(self.directory.make("tables"), self.postgres)

    def __enter__(self):
        try:
            self.postgres.create()
            self.postgres.sql(f"""
                INSERT INTO transport SELECT 'd'||d||'.example', 'lmtp:unix:private/dovecot-lmtp'
                    FROM generate_series(1, {self.domains}) d;""")
            self._insert_users(1, self.users)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.postgres.stop()
        self.directory.remove()

    def ensure_users(self, users):
        """At least so many in each domain's tables."""
        if users > self.users:
            self._insert_users(self.users + 1, users)
            self.users = users

    def _insert_users(self, first, last):
        self.postgres.sql(f"""
            INSERT INTO users (userid, uid, gid, home)
                SELECT n||'user@d'||d||'.example', {FIRST_UID} + d, {FIRST_UID} + d,
                       'd'||d||'.example/mails/'||n||'user'
                FROM generate_series(1, {self.domains}) d, generate_series({first}, {last}) n;
            ANALYZE;""")

    def addresses(self, users):
        return [f"{number}user@{domain}" for domain in self.domain_names()
                for number in range(1, users + 1)]

    def pattern(self, users=None):
        return f"{{1-{users or self.users}}}user@d{{1-{self.domains}}}.example"

    def domain_names(self):
        return [f"d{domain}.example" for domain in range(1, self.domains + 1)]

    def prepare(self, mail_base):
        """The domains' directories, of the domains' owners: Dovecot makes homes as the user."""
        mail_base.chmod(0o711)
        for number, name in enumerate(self.domain_names(), 1):
            for directory in (mail_base / name, mail_base / name / "mails"):
                directory.mkdir()
                os.chown(directory, FIRST_UID + number, FIRST_UID + number)
                directory.chmod(0o711)

    @staticmethod
    def mailbox_template(mail_base):
        return f"{mail_base}/{{domain}}/mails/{{local}}"
