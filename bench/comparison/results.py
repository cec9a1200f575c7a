"""The tables of a comparison: a row for each contender under each workload, and the bounds."""

import contextlib
import statistics

from .workloads import Figure


class Results:
    def __init__(self):
        self.runs = {}  # {workload: {contender: [figures]}}

    def add(self, workload, contender, figures):
        self.runs.setdefault(workload, {}).setdefault(contender, []).append(figures)

    def median(self, figure):
        """KeyError if it was not measured."""
        values = []
        for value in self.runs[figure.workload][figure.contender]:
            for part in figure.key.split("."):
                value = value[part]
            values.append(value)
        return statistics.median(values)

    def ratio(self, workload, contender, other):
        """How many times the deliveries/s of `other` the contender has; None without the other."""
        if contender == other:
            return None
        try:
            return self.median(Figure(workload, contender)) / self.median(Figure(workload, other))
        except KeyError:
            return None

    def table(self, words):
        """Markdown; `words` names the contenders."""
        lines = ["| workload | | runs | deliveries/s (least - greatest) | x Dovecot | x floor | "
                 "CPU µs a delivery | database CPU µs | p50 ms | p99 ms |",
                 "|---|---|---|---|---|---|---|---|---|---|"]
        for workload, contenders in self.runs.items():
            for name, runs in contenders.items():
                rates = [figures["deliveries_per_second"] for figures in runs]
                dovecot = "dovecot-no-sync" if "dovecot-no-sync" in contenders else "dovecot"
                lines.append("| " + " | ".join([
                    workload, words[name], str(len(runs)),
                    f"{_short(statistics.median(rates))} "
                    f"({_short(min(rates))} - {_short(max(rates))})",
                    _times(self.ratio(workload, name, dovecot)),
                    _times(self.ratio(workload, name, "floor")),
                    f"{self.median(Figure(workload, name, 'cpu_us_per_delivery')):.0f}",
                    f"{self.median(Figure(workload, name, 'database_cpu_us_per_delivery')):.0f}",
                    self._latency(workload, name, "p50"), self._latency(workload, name, "p99"),
                ]) + " |")
        return "\n".join(lines)

    def bounds_table(self, workloads):
        """Markdown: what is wanted of each workload, and whether it was reached."""
        lines = ["| workload | wanted | measured | |", "|---|---|---|---|"]
        for workload, bound, value in self._bounds(workloads):
            lines.append(f"| {workload.name} | {bound.words} | {value:.2f} | "
                         f"{'reached' if bound.holds(value) else '**missed**'} |")
        return "\n".join(lines) if len(lines) > 2 else ""

    def missed(self, workloads):
        """The bounds that were not reached, each with the figure."""
        return [f"{workload.name}: {bound.words}: {value:.2f}"
                for workload, bound, value in self._bounds(workloads) if not bound.holds(value)]

    def _bounds(self, workloads):
        for workload in workloads:
            for bound in workload.bounds:
                with contextlib.suppress(KeyError):
                    yield workload, bound, bound.value(self.median)

    def _latency(self, workload, name, percentile):
        try:
            return f"{self.median(Figure(workload, name, f'latency_ms.{percentile}')):.1f}"
        except KeyError:
            return ""


def _short(rate):
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.1f}"


def _times(ratio):
    return "" if ratio is None else f"{ratio:.2f}"
