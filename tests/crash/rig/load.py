"""LMTP clients that note what they were told, and how far the write logs were when they had read it.

Read, not sent: what was written while the reply was on its way counts as written before it. So a 250 that is early by
less than that is not found out.
"""

import base64
import os
import threading
import time
from typing import NamedTuple

from testsite.directory import wait_until
from testsite.lmtp import dotted


class Acknowledged(NamedTuple):
    recipient: str
    key: str
    moment: tuple  # entries in each log after the 250 was read


class Load:
    """Each message has a key of its own (X-Key) and is sent once."""

    def __init__(self, mailsite, recorders, random):
        self.mailsite = mailsite
        self.recorders = recorders
        self.acknowledged = []
        self.sent = {}  # key -> the message as octets with LF
        self.refused = []  # (recipient, key, reply)
        self._random = random

    def moment(self):
        return tuple(recorder.entries() for recorder in self.recorders)

    def message(self, name, size):
        """About `size` octets that do not compress; some lines begin with a dot."""
        key = f"{name}-{len(self.sent)}"
        noise = base64.encodebytes(self._random.randbytes(size * 3 // 4)).replace(b"\nA", b"\n.A")
        self.sent[key] = f"Subject: {name}\nX-Key: {key}\n\n".encode() + noise
        return key

    def send(self, client, recipients, key):
        """One transaction; how many recipients got a 250."""
        mail, accepted, data = client.envelope("sender@remote.example", recipients)
        assert mail.code == 250 and {reply.code for reply in accepted} == {250} and data.code == 354, (
            client.dialogue())
        client.send(dotted(self.sent[key]))
        taken = 0
        for recipient in recipients:
            reply = client.reply()
            if reply.code == 250:
                self.acknowledged.append(Acknowledged(recipient, key, self.moment()))
                taken += 1
            else:
                self.refused.append((recipient, key, str(reply)))
        return taken

    def lone(self, name, recipients, size=3000):
        """One after the other, on one connection."""
        with self.mailsite.daemon.client() as client:
            for recipient in recipients:
                self.send(client, [recipient], self.message(name, size))

    def settle(self, name, recipients):
        """Workers run, without threads as yet, mailboxes are there, and their chains are known to be synced: see
        maildir/chain.h."""
        self.lone(name, recipients)
        made = max((self.mailsite.mail_base / self.mailsite.users[recipient].mailbox).stat().st_ctime
                   for recipient in recipients)
        wait_until(lambda: time.time() > made + 0.1, "the mailboxes' ctimes are settled")
        self.lone(name, recipients)

    def to_all(self, name, recipients, size=3000):
        with self.mailsite.daemon.client() as client:
            self.send(client, recipients, self.message(name, size))

    def at_once(self, name, lists, size=3000):
        """A connection for each list of recipients, which get their messages one after the other."""
        return self._start([[([recipient], self.message(name, size)) for recipient in recipients]
                            for recipients in lists])

    def together(self, name, lists, each=1, size=3000):
        """A connection for each list of recipients, who get `each` messages, all of the list the same. None of them is
        the only one under way: such a one waits for no shared sync."""
        return self._start([[(recipients, self.message(name, size)) for _ in range(each)] for recipients in lists])

    def _start(self, work):
        """A connection for each list of (recipients, key), which ends early where the daemon does."""
        failed = []

        def run(transactions):
            try:
                with self.mailsite.daemon.client() as client:
                    for recipients, key in transactions:
                        self.send(client, recipients, key)
            except OSError:
                pass  # killed: nothing was acknowledged that was not noted
            except BaseException as error:
                failed.append(error)
                raise

        threads = [threading.Thread(target=run, args=(transactions,)) for transactions in work]
        for thread in threads:
            thread.start()
        return Running(threads, failed)


class Running:
    def __init__(self, threads, failed):
        self._threads = threads
        self._failed = failed

    def over(self):
        return not any(thread.is_alive() for thread in self._threads)

    def wait(self):
        for thread in self._threads:
            thread.join()
        assert not self._failed, self._failed


class Copy(NamedTuple):
    """A message as the daemon stored it."""
    key: str
    octets: bytes


def stored_copies(mailsite, sent):
    """{mailbox: {name in new/: Copy}} before the cut; each is what was sent, whole."""
    found = {}
    for user in mailsite.users.values():
        directory = os.path.join(mailsite.mail_base, user.mailbox, "new")
        if not os.path.isdir(directory):
            continue
        names = found.setdefault(user.mailbox, {})
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                octets = file.read()
            head, _, _ = octets.partition(b"\n\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\n")
                          if ": " in line and not line[0].isspace())
            key = fields["X-Key"]
            assert octets.endswith(sent[key]), f"{path} is not {key} as it was sent"
            assert fields["Delivered-To"] == user.address
            assert f",S={len(octets)}," in name
            names[name] = Copy(key, octets)
    return found
