"""A Postfix that takes mail by SMTP, queues it, and hands it to virtual(8) or by lmtp(8) to a server.

The figures of these contenders contain smtpd(8), cleanup(8) and a queue file for each message, which
is synced and deleted again; the queue lies on the file system of the mail, unless the load says
otherwise. So the three may be compared with each other, not with those that speak LMTP to the load.
"""

import os
import signal
import subprocess
import time

from . import machine
from .contender import Contender
from .lmtpd import Lmtpd
from .mail_site import PrivatePostfix, stop_process, wait_until

QUEUES = ("maildrop", "incoming", "active", "deferred")


def count_files(directory):
    return sum(len(files) for _, _, files in os.walk(directory))


def queued(queue_directory):
    """How many messages wait in a Postfix queue."""
    return sum(count_files(queue_directory / queue) for queue in QUEUES)


class BehindPostfix(Contender):
    """Subclasses say what the mail is handed to: start_store() returns virtual_transport."""

    blast = ("--smtp",)
    queues = True

    def __init__(self, site, options):
        super().__init__(site, options)
        self.postfix = None
        self.queue_base = None  # set by a load for its run: where the queue is made
        self._held = False

    def version(self):
        return machine.package_version("postfix")

    def start(self, mail_base):
        directory = self.new_directory()
        queue = (self.queue_base or mail_base.parent) / "queue"
        queue.mkdir()
        self.postfix = PrivatePostfix(
            self.site.directory, self.site.tables, mail_base, name=f"{directory.name}/postfix",
            queue_directory=queue, parameters={
                "virtual_mailbox_domains": " ".join(self.site.domain_names()),
                "virtual_transport": self.start_store(mail_base),
                "transport_maps": "",
                # virtual(8) refuses proxymap(8) for the mailboxes; cleanup(8) need not go without.
                "virtual_alias_maps": "proxy:" + self.site.tables.map("virtual"),
                "virtual_maps": "",
                "smtpd_sasl_auth_enable": "no",
                "smtpd_client_connection_rate_limit": "0",
                # A process for each connection of the load.
                "default_process_limit": "500",
                **(self.HELD if self._held else {}),
            })
        self.postfix.start()
        self.target = f"inet:127.0.0.1:{self.postfix.port}"

    def stop(self):
        if self.postfix is not None:
            self.postfix.stop()
            self.postfix = None
        self.queue_base = None
        self.stop_store()

    def finish(self):
        wait_until(lambda: queued(self.postfix.queue_directory) == 0, "the queue is empty", 600)

    # Mail is deferred, and not tried again before it is flushed.
    HELD = {"defer_transports": "lmtp virtual", "minimal_backoff_time": "2h",
            "maximal_backoff_time": "3h", "queue_run_delay": "2h"}

    def hold(self):
        """From the next start() on, mail stays in the queue until drain()."""
        self._held = True

    def end_hold(self, messages):
        """Returns once so many messages wait, and only for drain()."""
        def all_deferred():
            waiting = [count_files(self.postfix.queue_directory / queue) for queue in QUEUES]
            return waiting == [0, 0, 0, messages]
        wait_until(all_deferred, f"{messages} messages are deferred", 600, 0.1)
        self.postfix.parameters["defer_transports"] = ""
        self.postfix.write()
        self.postfix.restart()
        self._held = False

    def drain(self, messages):
        """Lets the mail go; seconds from the first delivery to an empty queue."""
        self.postfix.flush()
        waits = self.postfix.queue_directory
        wait_until(lambda: queued(waits) < messages, "a first message is delivered", 60, 0.002)
        begin = time.monotonic()
        wait_until(lambda: queued(waits) == 0, "the queue is empty", 600, 0.01)
        return time.monotonic() - begin

    @property
    def pids(self):
        return [self.postfix.master, *self.store_pids()]

    def log_tail(self):
        return self.postfix.log_text()[-4000:] if self.postfix else ""

    def start_store(self, mail_base):
        raise NotImplementedError

    def stop_store(self):
        pass

    def store_pids(self):
        return []


class PostfixVirtual(BehindPostfix):
    """virtual(8) syncs the file, and not the directory: a weaker promise."""

    name = "postfix-virtual"
    words = "Postfix (queue), virtual(8); syncs no directory"

    def start_store(self, mail_base):
        return "virtual"


class PostfixToSink(BehindPostfix):
    name = "postfix-sink"
    words = "Postfix (queue), smtp-sink -L, which stores nothing"

    def __init__(self, site, options):
        super().__init__(site, options)
        self._sink = None

    def start_store(self, mail_base):
        directory = self.site.directory.make(f"sink-{next(self._runs)}", owner="postfix")
        socket = directory / "lmtp"
        self._sink = subprocess.Popen(
            ["/usr/sbin/smtp-sink", "-L", "-u", "postfix", f"unix:{socket}", "1000"],
            stdin=subprocess.DEVNULL, start_new_session=True)
        wait_until(socket.exists, "smtp-sink listens")
        return f"lmtp:unix:{socket}"

    def stop_store(self):
        if self._sink is not None:
            stop_process(self._sink, signal.SIGTERM)
            self._sink = None

    def store_pids(self):
        return [self._sink.pid]

    def verify_arguments(self, mail_base):
        return None


class PostfixToLmtpd(BehindPostfix):
    name = "postfix-lmtpd"
    words = "Postfix (queue), lmtpd"

    def __init__(self, site, options):
        super().__init__(site, options)
        self._lmtpd = Lmtpd(site, options)

    def start_store(self, mail_base):
        self._lmtpd.start(mail_base)
        return f"lmtp:unix:{self._lmtpd.socket_path}"

    def stop_store(self):
        self._lmtpd.stop()

    def store_pids(self):
        return self._lmtpd.pids

    def log_tail(self):
        return super().log_tail() + self._lmtpd.log_tail()
