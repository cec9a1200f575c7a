"""The workloads by name: what is measured of whom, and what lmtpd must reach.

A bound is shown with the figure and whether it was reached. A bound that is missed is an error only
where its workload was asked for by name, and not with --small; a message that is lost or damaged always is.
"""

import dataclasses
import functools
from collections.abc import Callable

from . import loads, run

MAIN = ("floor", "lmtpd", "dovecot")
# Measured once where the others are measured five times.
PEERS = ("dovecot-cached", "cyrus", "postfix-virtual", "postfix-sink", "postfix-lmtpd")

RATE = "deliveries_per_second"
CPU = "cpu_us_per_delivery"


@dataclasses.dataclass(frozen=True)
class Figure:
    """The median of a figure; `key` may name a part of it, as "latency_ms.p99"."""

    workload: str
    contender: str
    key: str = RATE


@dataclasses.dataclass(frozen=True)
class Bound:
    """`figure`, as it is or divided by another, is at least, or at most, `limit`."""

    words: str
    figure: Figure
    limit: float
    over: Figure | None = None
    at_most: bool = False

    def value(self, median):
        """`median` maps a Figure to a number; KeyError if it was not measured."""
        value = median(self.figure)
        return value / median(self.over) if self.over else value

    def holds(self, value):
        return value <= self.limit if self.at_most else value >= self.limit


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    words: str
    contenders: tuple
    measure: Callable  # (bench, contender) -> figures
    bounds: tuple = ()
    most_runs: int = 1000
    beside: str = ""  # the workload whose runs alternate with its own: a bound compares the two


def _times(workload, contender, limit, ours="lmtpd"):
    return Bound(f"{limit:g} x {contender}", Figure(workload, ours), limit,
                 over=Figure(workload, contender))


def _cpu(workload):
    return Bound("CPU at most 1/10 of dovecot", Figure(workload, "lmtpd", CPU), 0.1,
                 over=Figure(workload, "dovecot", CPU), at_most=True)


def _tail(workload):
    return Bound("p99 at most 3 x p50", Figure(workload, "lmtpd", "latency_ms.p99"), 3,
                 over=Figure(workload, "lmtpd", "latency_ms.p50"), at_most=True)


def _connections(number, *bounds):
    name = f"connections-{number}"
    return Workload(name, f"{number} connections, each message to another of 1,000 mailboxes",
                    MAIN + PEERS, functools.partial(loads.steady, connections=number),
                    tuple(bound(name) for bound in bounds))


def _syncs(number):
    return Workload(f"syncs-{number}", f"{number} connections, each delivery synced by itself, and, on "
                    "xfs and btrfs, one sync for all", ("lmtpd-own-syncs", "lmtpd"),
                    functools.partial(loads.steady, connections=number))


def _at_least(floor, dovecot):
    bounds = [functools.partial(_times, contender="dovecot", limit=dovecot)]
    if floor is not None:
        bounds.insert(0, functools.partial(_times, contender="floor", limit=floor))
    return bounds


WORKLOADS = {workload.name: workload for workload in (
    _connections(1, *_at_least(0.8, 1.5)),
    _connections(8, *_at_least(0.7, 3), _cpu),
    _connections(32, *_at_least(0.6, 6), _cpu, _tail),
    _connections(100, *_at_least(None, 10), _cpu),
    _connections(400, *_at_least(None, 10), _cpu),
    Workload("empty-mailbox", "1 connection into one mailbox, which is empty at first; another is full",
             ("lmtpd", "dovecot"), functools.partial(loads.one_mailbox, full=False)),
    Workload("full-mailbox", "1 connection into one mailbox of 100,000 messages, which Dovecot has "
             "indexed", ("lmtpd", "dovecot"), functools.partial(loads.one_mailbox, full=True),
             (Bound("0.95 x empty-mailbox", Figure("full-mailbox", "lmtpd"), 0.95,
                    over=Figure("empty-mailbox", "lmtpd")),
              _times("full-mailbox", "dovecot", 100)), beside="empty-mailbox"),
    Workload("recipients-50", "8 connections, 50 recipients a message", ("lmtpd", "dovecot"),
             functools.partial(loads.steady, connections=8, recipients=50),
             (_times("recipients-50", "dovecot", 6),)),
    Workload("no-sync", "32 connections, syncs off on both sides",
             ("lmtpd-no-sync", "dovecot-no-sync"), functools.partial(loads.steady, connections=32),
             (_times("no-sync", "dovecot-no-sync", 10, ours="lmtpd-no-sync"),
              Bound("CPU at most 150 µs", Figure("no-sync", "lmtpd-no-sync", CPU), 150,
                    at_most=True)), most_runs=3),
    Workload("drain", "Postfix delivers 3,000 messages of its queue over one unix socket",
             ("postfix-lmtpd", "postfix-sink"),
             functools.partial(loads.drain, messages=3000, queue_apart=False),
             (_times("drain", "postfix-sink", 0.9, ours="postfix-lmtpd"),), most_runs=3),
    Workload("drain-apart", "the same, the queue on a file system of its own",
             ("postfix-lmtpd", "postfix-sink"),
             functools.partial(loads.drain, messages=3000, queue_apart=True),
             (_times("drain-apart", "postfix-sink", 0.9, ours="postfix-lmtpd"),), most_runs=3),
    Workload("among-large", "32 connections, and one more with messages of 50 MiB", ("lmtpd",),
             functools.partial(loads.among_large, connections=32), (_tail("among-large"),), most_runs=3),
    Workload("large-to-many", "one message of 50 MiB to 20 recipients", ("lmtpd",),
             functools.partial(loads.large_to_many, recipients=20),
             # 256 MiB is spool_limit.
             (Bound("memory grows by at most spool_limit and 16 MiB",
                    Figure("large-to-many", "lmtpd", "memory_growth_mib"), 256 + 16,
                    at_most=True),), most_runs=1),
    Workload("new-mailboxes", "32 connections, each message to a mailbox that is made for it",
             ("lmtpd", "dovecot"), functools.partial(loads.new_mailboxes, connections=32),
             most_runs=3),
    Workload("new-mailboxes-root", "the same in directories of root's, where only the helper can",
             ("lmtpd",), functools.partial(loads.new_mailboxes, connections=32, of_root=True),
             most_runs=3),
    Workload("beside-slow", "300 messages a second over 8 connections, in turn without and beside "
             "5,000 clients that send an octet a second", ("lmtpd",),
             functools.partial(loads.beside_slow, connections=8, rate=300, clients=5000),
             (Bound("p99 at most 1.5 x that without",
                    Figure("beside-slow", "lmtpd", "beside_ms.p99"), 1.5,
                    over=Figure("beside-slow", "lmtpd", "without_ms.p99"), at_most=True),),
             most_runs=3),
    Workload("new-mailboxes-smtp-source", "smtp-source -s 32, into new mailboxes of ten domains at "
             "a time", ("lmtpd", "dovecot"), run.smtp_source_run),
    *(_syncs(number) for number in (8, 32, 100, 400)),
    Workload("users-1000", "32 connections, 1,000 users in the tables and in the cache",
             ("lmtpd-large-cache",),
             functools.partial(loads.many_users, connections=32, users=1000), most_runs=3),
    Workload("users-1000000", "32 connections to the same 1,000 mailboxes, 1,000,000 users in the "
             "tables and in the cache", ("lmtpd-large-cache",),
             functools.partial(loads.many_users, connections=32, users=1000000),
             (Bound("0.8 x users-1000", Figure("users-1000000", "lmtpd-large-cache"), 0.8,
                    over=Figure("users-1000", "lmtpd-large-cache")),), most_runs=3),
)}

CONNECTIONS = tuple(name for name in WORKLOADS if name.startswith("connections-"))
MUST_SHOW = ("new-mailboxes-smtp-source", "connections-100")
# Each that adds users to the tables comes behind those that do without.
ALL = tuple(name for name in WORKLOADS
            if name != "new-mailboxes-smtp-source" and not name.startswith("syncs-"))


def chosen(names, contenders=None):
    """The workloads of these names, with those of `contenders` only; ValueError if one is unknown."""
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        raise ValueError(f"no workload {unknown[0]}; there are {', '.join(WORKLOADS)}")
    result = []
    for name in names:
        workload = WORKLOADS[name]
        if contenders is not None:
            workload = dataclasses.replace(workload, contenders=tuple(
                each for each in workload.contenders if each in contenders))
        if workload.contenders:
            result.append(workload)
    return result


def taking_turns(chosen_workloads):
    """Lists of those whose runs alternate, in their order."""
    groups = []
    for workload in chosen_workloads:
        if groups and workload.beside == groups[-1][-1].name:
            groups[-1].append(workload)
        else:
            groups.append([workload])
    return groups


def runs_of(workload, contender, runs, peer_runs):
    """How often `contender` is measured under `workload`."""
    most = peer_runs if contender in PEERS and contender not in _bounded(workload) else runs
    return min(runs, most, workload.most_runs)


def _bounded(workload):
    return {figure.contender for bound in workload.bounds
            for figure in (bound.figure, bound.over) if figure}
