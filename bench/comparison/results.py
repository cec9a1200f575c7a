"""The table of a comparison: a row for each load, medians over the runs, ratios to the first."""

import statistics


class Results:
    def __init__(self, names):
        self.names = names  # of the contenders; the others are compared to the first
        self.runs = {}      # {load: {contender: [figures]}}

    def add(self, load, name, figures):
        self.runs.setdefault(load, {}).setdefault(name, []).append(figures)

    def median(self, load, name, key):
        return statistics.median(figures[key] for figures in self.runs[load][name])

    def spread(self, load, name):
        rates = [figures["deliveries_per_second"] for figures in self.runs[load][name]]
        return min(rates), max(rates)

    def ratio(self, load, name):
        """How many times the deliveries/s of `name` the first contender has."""
        key = "deliveries_per_second"
        return self.median(load, self.names[0], key) / self.median(load, name, key)

    def table(self):
        """Markdown, as bench/README.md takes it."""
        lines = ["| load | contender | deliveries/s (min - max) | ratio | CPU µs a delivery | "
                 "database CPU µs | p50 ms | p99 ms |",
                 "|---|---|---|---|---|---|---|---|"]
        for load, contenders in self.runs.items():
            for name in contenders:
                low, high = self.spread(load, name)
                cells = [
                    load, name,
                    f"{self.median(load, name, 'deliveries_per_second'):.0f} "
                    f"({low:.0f} - {high:.0f})",
                    "" if name == self.names[0] or self.names[0] not in contenders
                    else f"{self.names[0]} is {self.ratio(load, name):.1f} times",
                    f"{self.median(load, name, 'cpu_us_per_delivery'):.0f}",
                    f"{self.median(load, name, 'database_cpu_us_per_delivery'):.0f}",
                    self._latency(load, name, "p50"), self._latency(load, name, "p99"),
                ]
                lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def _latency(self, load, name, percentile):
        values = [figures["latency_ms"][percentile] for figures in self.runs[load][name]
                  if "latency_ms" in figures]
        return f"{statistics.median(values):.1f}" if values else ""
