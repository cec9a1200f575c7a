"""The daemon under test on mail bases of the rig's own: its users, its start, its violent end."""

import contextlib
import os
import signal
from typing import NamedTuple

from testsite.daemon import Lmtpd, status
from testsite.directory import wait_until


class User(NamedTuple):
    address: str
    uid: int      # its gid is the same
    mailbox: str  # below the mail base


class MailSite:
    """`domains` maps a domain to its uid; its mailboxes are DOMAIN/mails/NAME, for names up to `names`. `owned`
    are those whose directory is there, and their uid's own."""

    def __init__(self, site, mail_base, domains, names=16, name="lmtpd", owned=(), programs=None, **parameters):
        self.mail_base = mail_base
        self.owned = owned
        self.users = {}
        for domain, uid in domains.items():
            for number in range(1, names + 1):
                user = User(f"u{number}@{domain}", uid, f"{domain}/mails/u{number}")
                self.users[user.address] = user
        directory = site.make(name + "-tables")
        site.make(name + "-queue")
        site.make(name + "-queue/private")
        self.daemon = Lmtpd(site, mail_base, site.path / (name + "-queue"), {
            "listen_owner": "root:root",
            "virtual_mailbox_maps": self._table(directory, "mailboxes", lambda user: user.mailbox + "/"),
            "virtual_uid_maps": self._table(directory, "uids", lambda user: str(user.uid)),
            "virtual_gid_maps": self._table(directory, "gids", lambda user: str(user.uid)),
            "commit_file_systems": None,
            **parameters,
        }, name=name, programs=programs)

    def directories(self, user):
        """{path below the mail base: (uid, gid, mode)} of the mailbox, its folders, and what is above it."""
        parts = user.mailbox.split("/")
        above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
        own, of_root = (user.uid, user.uid, 0o700), (0, 0, 0o711)
        return {**dict.fromkeys(above, own if parts[0] in self.owned else of_root),
                **dict.fromkeys([user.mailbox, *(f"{user.mailbox}/{name}" for name in ("tmp", "new", "cur"))], own)}

    def files_in(self, folder):
        """os.stat_result of each file in the mailboxes' tmp, new or cur."""
        found = []
        for user in self.users.values():
            with contextlib.suppress(FileNotFoundError):  # no mailbox, or the file is gone
                with os.scandir(self.mail_base / user.mailbox / folder) as entries:
                    found += [entry.stat() for entry in entries]
        return found

    def unproven(self):
        """How many messages in new/ have their name in tmp/ still."""
        return sum(info.st_nlink == 2 for info in self.files_in("new"))

    def _table(self, directory, name, value):
        path = directory / name
        path.write_text("".join(f"{user.address} {value(user)}\n" for user in self.users.values()))
        return f"texthash:{path}"

    def kill(self):
        """SIGKILL for every process of the daemon, while none of them runs."""
        daemon = self.daemon
        pids = [daemon.master, *daemon.children()]
        for sent in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                try:
                    os.kill(pid, sent)
                except ProcessLookupError:
                    pass
        daemon.process.wait(30)
        daemon.process = None
        wait_until(lambda: all(_has_let_go(pid) for pid in pids), "the daemon's processes are gone")


def _has_let_go(pid):
    """Its files are closed: a zombie's are, those of a process without a program may not be, nor those of one whose
    first thread is a zombie while others are still in the kernel."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return True
    return all(status(f"{pid}/task/{thread}").get("State", "Z")[0] in "ZX" for thread in threads)
