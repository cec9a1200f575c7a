"""Every pattern of bench/floor, at every number of messages in flight, over every number of uids."""

import statistics
import sys

from .floor import Floor

IN_FLIGHT = (1, 8, 32, 100, 400)
UIDS = (1, 10, 200)


def compare(bench):
    """{(pattern, uids, in flight): [deliveries/s]}, the patterns taking turns."""
    floor = Floor(bench.site, bench.options)
    rates = {}
    for number in range(bench.options.runs):
        for uids in UIDS:
            for in_flight in IN_FLIGHT:
                for pattern in floor.patterns():
                    report = floor.run(bench.image, pattern, in_flight, bench.options.seconds, uids)
                    rates.setdefault((pattern, uids, in_flight), []).append(
                        report["deliveries_per_second"])
            print(f"run {number + 1}: {uids} uids", file=sys.stderr, flush=True)
    return rates


def table(rates):
    """Markdown: medians; the best safe pattern of each column stands out."""
    lines = ["| uids | pattern | " + " | ".join(f"{each} in flight" for each in IN_FLIGHT) + " |",
             "|---|---|" + "---|" * len(IN_FLIGHT)]
    patterns = list(dict.fromkeys(pattern for pattern, _, _ in rates))
    for uids in UIDS:
        median = {(pattern, in_flight): statistics.median(rates[pattern, uids, in_flight])
                  for pattern in patterns for in_flight in IN_FLIGHT}
        for pattern in patterns:
            cells = []
            for in_flight in IN_FLIGHT:
                best = max((each for each in patterns if not each.startswith("unsafe")),
                           key=lambda each, n=in_flight: median[each, n])
                text = f"{median[pattern, in_flight]:.0f}"
                cells.append(f"**{text}**" if pattern == best else text)
            lines.append(f"| {uids} | {pattern} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
