"""A Postfix of the test's own: configuration, queue, data and ports below the site's directory."""

import grp
import os
import pwd
import re
import signal
import smtplib
import subprocess

from .directory import PATIENCE, free_port, wait_until

MASTER_CF = """\
{smtp_listener} inet n - n - - smtpd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
tlsproxy  unix  -       -       n       -       0       tlsproxy
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
lmtp      unix  -       -       n       -       -       lmtp
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""


class PrivatePostfix:
    """The site's main.cf, on a port of its own; `parameters` add to it or replace.

    `queue_directory` names an empty directory elsewhere.
    """

    def __init__(self, site, tables, mail_base, parameters=None, port=None, name="postfix",
                 queue_directory=None):
        self.directory = site.make(name)
        self.configuration = self.directory / "etc"
        self.queue_directory = queue_directory or self.directory / "queue"
        self.log = self.directory / "maillog"
        self.port = port or free_port()
        self.process = None
        self.configuration.mkdir()
        self.queue_directory.mkdir(exist_ok=True)
        data = self.directory / "data"
        data.mkdir()
        os.chown(data, pwd.getpwnam("postfix").pw_uid, grp.getgrnam("postfix").gr_gid)
        sasl = self.directory / "sasl"
        sasl.mkdir()
        (sasl / "smtpd.conf").write_text(
            "pwcheck_method: saslauthd\nsaslauthd_path: /etc/mux\nmech_list: login plain\n")
        self.parameters = {
            **tables.parameters(),
            "transport_maps": tables.map("transport"),
            "virtual_mailbox_base": str(mail_base),
            "mydestination": "$mydomain, $myhostname",
            "smtpd_recipient_restrictions":
                "permit_sasl_authenticated, permit_mynetworks, reject_unauth_destination",
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_security_options": "noanonymous",
            "smtpd_sasl_local_domain": "domain.org",
            "smtp_sasl_auth_enable": "no",
            # What keeps this instance to itself.
            "compatibility_level": "3.6",
            "myhostname": "mx.host.test",
            "mydomain": "host.test",
            "mynetworks": "127.0.0.0/8",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "queue_directory": str(self.queue_directory),
            "data_directory": str(data),
            "cyrus_sasl_config_path": str(sasl),
            "maillog_file": str(self.log),
            "maillog_file_prefixes": str(self.directory),
            "alias_maps": "",
            "alias_database": "",
            "local_recipient_maps": "",
            "smtpd_tls_security_level": "none",
            "smtp_tls_security_level": "none",
            # A test writes more, and sooner again, than a client should.
            "smtpd_client_connection_count_limit": "0",
            "smtpd_client_message_rate_limit": "0",
            "in_flow_delay": "0",
            "minimal_backoff_time": "5s",
            "queue_run_delay": "5s",
            "default_transport": "error:5.4.4 the test site sends no mail out",
            **(parameters or {}),
        }
        self.write()

    def write(self):
        """The files, from self.parameters; a parameter that is None is left out."""
        (self.configuration / "main.cf").write_text("".join(
            f"{name} = {value}\n" for name, value in self.parameters.items() if value is not None))
        (self.configuration / "master.cf").write_text(
            MASTER_CF.format(smtp_listener=f"127.0.0.1:{self.port}"))

    def start(self):
        with open(self.directory / "postfix.out", "ab") as output:
            self.process = subprocess.Popen(
                ["/usr/sbin/postfix", "-c", self.configuration, "start-fg"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        wait_until(self._greets, f"Postfix answers on port {self.port} (see {self.directory})")
        return self

    @property
    def master(self):
        """master(8)'s own pid: what was started is the script that waits for it."""
        return int((self.queue_directory / "pid" / "master.pid").read_text())

    def stop(self):
        if self.process is not None:
            os.kill(self.master, signal.SIGTERM)
            self.process.wait(PATIENCE)
            self.process = None

    def restart(self):
        self.stop()
        self.start()

    def change(self, parameters):
        """Goes on with these; one that is None is left out."""
        self.parameters.update(parameters)
        self.write()
        self.restart()

    def smtp(self):
        return smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.test", timeout=PATIENCE)

    def send(self, sender, recipients, message):
        """By SMTP; returns the recipients that were refused, as smtplib does."""
        with self.smtp() as client:
            return client.sendmail(sender, recipients, message)

    def flush(self):
        subprocess.run(["/usr/sbin/postqueue", "-c", self.configuration, "-f"], check=True)

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_log(self, pattern, count=1):
        """The matches of `pattern`, once there are `count`."""
        def enough():
            found = re.findall(pattern, self.log_text(), re.MULTILINE)
            return found if len(found) >= count else None
        try:
            return wait_until(enough, f"{count} of {pattern!r}")
        except TimeoutError as error:
            raise TimeoutError(f"{error} in Postfix's log:\n{self.log_text()}") from None

    def _greets(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"Postfix ended:\n{(self.directory / 'postfix.out').read_text()}"
                               f"\n{self.log_text()}")
        try:
            with self.smtp():
                return True
        except (OSError, smtplib.SMTPException):
            return False
