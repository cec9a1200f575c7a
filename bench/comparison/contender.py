"""What is compared: a program that is started on an empty mail base and stopped again."""

import itertools
import signal
import subprocess

from .mail_site import stop_process, wait_until


class Contender:
    """`target` and `pids` hold from start() to stop(), which also ends a start() that failed."""

    name = ""
    words = ""    # for the table
    target = ""   # of blast and smtp-source
    blast = ()    # further arguments of blast
    makers = 32   # connections over which the first messages may come
    # Its replies say "queued": it has delivered only when finish() returns, and latencies of replies
    # are no latencies of deliveries.
    queues = False

    _runs = itertools.count(1)  # of all contenders: one may run within another

    def __init__(self, site, options):
        self.site = site
        self.options = options

    def version(self):
        raise NotImplementedError

    def start(self, mail_base):
        raise NotImplementedError

    def stop(self):
        raise NotImplementedError

    def finish(self):
        """Returns once everything that was acknowledged is delivered."""

    @property
    def pids(self):
        """Of the processes that started all others."""
        raise NotImplementedError

    def verify_arguments(self, mail_base):
        """How bench/verify finds the mailboxes; None: nothing is stored."""
        return ["--mailbox", self.site.mailbox_template(mail_base)]

    def log_tail(self):
        """The end of the last run's log, for a failure's report."""
        return ""

    def new_directory(self):
        return self.site.directory.make(f"{self.name}-{next(self._runs)}")


class Server(Contender):
    """One program in the foreground, which writes `log` in its run's directory."""

    log = "out"
    directory = None  # of the last run

    def __init__(self, site, options):
        super().__init__(site, options)
        self._process = None

    def run(self, command, listens):
        """Returns once listens() is true."""
        with open(self.directory / "out", "wb") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True)

        def ready():
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.name} ended:\n{(self.directory / 'out').read_text()}"
                                   f"{self.log_tail()}")
            return listens()
        wait_until(ready, f"{self.name} listens (see {self.directory})")
        self.target = f"unix:{self.directory}/lmtp"

    def stop(self):
        if self._process is not None:
            stop_process(self._process, signal.SIGTERM, 60)
            self._process = None

    @property
    def pids(self):
        return [self._process.pid]

    def log_tail(self):
        return self.log_text()[-4000:]

    def log_text(self):
        log = self.directory and self.directory / self.log
        return log.read_text(errors="replace") if log and log.exists() else ""
