"""lmtpd, as its build tree has it, and its variants."""

from .contender import Contender
from .mail_site import LmtpdDaemon


class Lmtpd(Contender):
    name = "lmtpd"
    words = "lmtpd"
    parameters = {}  # of lmtpd.cf, beside the site's

    def __init__(self, site, options):
        super().__init__(site, options)
        self._daemon = None

    def version(self):
        return f"build {self.options.build}"

    def start(self, mail_base):
        directory = self.new_directory()
        queue = self.site.directory.make(f"{directory.name}/queue")
        self.site.directory.make(f"{directory.name}/queue/private", owner="postfix", mode=0o700)
        self._daemon = LmtpdDaemon(self.site.directory, mail_base, queue,
                                   {**self.site.tables.parameters(), **self.parameters},
                                   name=f"{directory.name}/daemon",
                                   programs=self.options.build / "bin")
        self._daemon.start()
        self.target = f"unix:{self._daemon.socket_path}"

    def stop(self):
        if self._daemon is not None:
            self._daemon.stop()

    @property
    def pids(self):
        return [self._daemon.master]

    def log_tail(self):
        return self._daemon.log_text()[-4000:] if self._daemon else ""

    @property
    def socket_path(self):
        return self._daemon.socket_path


class LmtpdWithoutSync(Lmtpd):
    name = "lmtpd-no-sync"
    words = "lmtpd, fsync = no"
    parameters = {"fsync": "no"}


class LmtpdOwnSyncs(Lmtpd):
    name = "lmtpd-own-syncs"
    words = "lmtpd, each delivery syncs by itself"
    parameters = {"commit_file_systems": ""}


class LmtpdLargeCache(Lmtpd):
    name = "lmtpd-large-cache"
    words = "lmtpd, a cache that holds all"
    parameters = {"cache_size": "10000000", "cache_memory": "8589934592", "cache_ttl": "1h"}
