"""The bare loops of bench/floor: what the file system allows without a daemon."""

import json
import statistics
import subprocess

from .contender import Contender

# What lmtpd stores of a message of 4096 octets: its own header lines are added, CR is not stored.
STORED_OCTETS = 4400


class Floor(Contender):
    """The best safe pattern at each number of messages in flight, found by short runs of each in turn."""

    name = "floor"
    words = "bare loop"
    pattern = None  # of bench/floor; None: the best

    def __init__(self, site, options):
        super().__init__(site, options)
        self._best = {}

    def version(self):
        return ", ".join(f"{name} at {in_flight}" for in_flight, name in self._best.items())

    def measure(self, image, in_flight, seconds):
        """The figures of one run on a new file system."""
        return self.run(image, self.best(image, in_flight), in_flight, seconds)

    def best(self, image, in_flight):
        if in_flight not in self._best:
            rates = {pattern: [] for pattern in self.safe_patterns()}
            for _ in range(self.options.floor_runs):
                for pattern, found in rates.items():
                    report = self.run(image, pattern, in_flight, self.options.floor_seconds)
                    found.append(report["deliveries_per_second"])
            self._best[in_flight] = max(rates, key=lambda each: statistics.median(rates[each]))
        return self._best[in_flight]

    def run(self, image, pattern, in_flight, seconds, uids=None):
        with image.mounted() as directory:
            report = json.loads(self._floor(
                "--json", "--pattern", pattern, "--in-flight", in_flight,
                "--uids", uids or self.site.domains,
                "--maildirs", self.site.domains * self.options.users,
                "--size", STORED_OCTETS, "--seconds", seconds, directory))
        return {**report, "database_cpu_us_per_delivery": 0.0}

    def patterns(self):
        """{name: whether it is safe}."""
        lines = [json.loads(line) for line in self._floor("--list", "--json").splitlines()]
        return {line["pattern"]: line["safe"] for line in lines}

    def safe_patterns(self):
        return [name for name, safe in self.patterns().items() if safe]

    def _floor(self, *arguments):
        return subprocess.run(
            [str(part) for part in (self.options.build / "bench" / "floor", *arguments)],
            stdout=subprocess.PIPE, text=True, check=True).stdout
