"""Exim as a client: one process that takes a message and delivers it before it ends.

Debian has Exim in Postfix's place, so that contrib/install-deps only unpacks it, into build/exim.
"""

import subprocess

from .directory import REPOSITORY, ensure_users

PROGRAM = REPOSITORY / "build" / "exim" / "usr" / "sbin" / "exim4"
USER = "Debian-exim"  # whom Debian's build insists on

CONFIGURATION = """\
primary_hostname = exim.test
spool_directory = {directory}/spool
log_file_path = {directory}/log/%s
exim_user = {user}
exim_group = {user}
deliver_drop_privilege
never_users =
domainlist local_domains =
qualify_domain = exim.test
keep_environment =
log_selector = +smtp_confirmation
begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1 byname
  transport = lmtp
  self = send
begin transports
lmtp:
  driver = smtp
  protocol = lmtp
  port = {port}
  allow_localhost
{options}
begin retry
* * F,1h,1m
"""


class PrivateExim:
    """Delivers by LMTP to 127.0.0.1:port; `options` are of its smtp transport, which has `protocol = lmtp`."""

    def __init__(self, site, port, options=(), name="exim"):
        if not PROGRAM.exists():
            raise RuntimeError(f"no {PROGRAM}: run contrib/install-deps --tests")
        ensure_users((USER,))
        self.directory = site.make(name, owner=USER)
        for part in ("spool", "log"):
            site.make(f"{name}/{part}", owner=USER)
        self.configuration = self.directory / "exim.conf"
        self.configuration.write_text(CONFIGURATION.format(
            directory=self.directory, user=USER, port=port,
            options="".join(f"  {option}\n" for option in options)))

    def send(self, sender, recipients, message):
        """(Its exit status, its dialogue with the server among what -d shows.)"""
        done = subprocess.run(
            [PROGRAM, "-C", self.configuration, "-odf", "-oi", "-d+transport", "-f", sender, *recipients],
            input=message, capture_output=True, timeout=60, check=False)
        return done.returncode, done.stderr.decode(errors="replace")
