"""Cyrus IMAP's lmtpd: a mail store of its own, with its stock syncs."""

import shutil
import subprocess

from . import machine
from .contender import Server

PROGRAMS = "/usr/lib/cyrus/bin"


class Cyrus(Server):
    """Mailboxes are made by the first message (autocreate_post); no table names the users."""

    name = "cyrus"
    words = "Cyrus lmtpd"
    # Mailboxes that several processes of 3.6.1 make at a time can get one unique id, and so one
    # directory, in which they overwrite each other's messages.
    makers = 1

    IMAPD_CONF = """
configdirectory: {base}/config
proc_path: {directory}/proc
mboxname_lockpath: {directory}/lock
partition-default: {base}/spool
sievedir: {base}/sieve
lmtpsocket: {directory}/lmtp
idlesocket: {directory}/idle
notifysocket: {directory}/notify
virtdomains: userid
defaultdomain: bench.example
unixhierarchysep: yes
lmtp_downcase_rcpt: yes
autocreate_post: yes
autocreate_quota: 0
duplicatesuppression: no
hashimapspool: yes
umask: 077
sasl_pwcheck_method: auxprop
"""

    CYRUS_CONF = """
START {{
  recover cmd="{programs}/ctl_cyrusdb -C {directory}/imapd.conf -r"
}}
SERVICES {{
  lmtpunix cmd="{programs}/lmtpd -C {directory}/imapd.conf" listen="{directory}/lmtp" \
prefork=0 maxchild=1000
}}
EVENTS {{
}}
"""

    def version(self):
        return machine.package_version("cyrus-imapd")

    def start(self, mail_base):
        self.directory = directory = self.new_directory()
        base = mail_base / "cyrus"
        folders = ("db", "socket", "log", "msg", "ptclient", "quota", "user")
        for path in (base, base / "config", base / "spool", base / "sieve", directory / "proc",
                     directory / "lock", *(base / "config" / folder for folder in folders)):
            path.mkdir()
            shutil.chown(path, "cyrus", "mail")
        shutil.chown(directory, "cyrus", "mail")
        for name, text in (("imapd.conf", self.IMAPD_CONF), ("cyrus.conf", self.CYRUS_CONF)):
            (directory / name).write_text(
                text.format(base=base, directory=directory, programs=PROGRAMS))
        self.run([f"{PROGRAMS}/master", "-C", directory / "imapd.conf", "-M",
                  directory / "cyrus.conf", "-p", directory / "pid"], (directory / "lmtp").exists)

    def verify_arguments(self, mail_base):
        """mbpath(8) tells where each mailbox is."""
        addresses = self.site.addresses(self.options.users)
        done = subprocess.run(
            ["setpriv", "--reuid=cyrus", "--regid=mail", "--clear-groups", f"{PROGRAMS}/mbpath",
             "-C", self.directory / "imapd.conf", *(f"user/{address}" for address in addresses)],
            capture_output=True, text=True, check=True)
        directories = self.directory / "directories"
        directories.write_text("".join(
            f"{address}\t{path}\n"
            for address, path in zip(addresses, done.stdout.splitlines(), strict=True)))
        return ["--cyrus", directories]
