"""The loads: each is one run of one contender, and returns its figures.

`bench` has options, site and image. A load that is to hit existing mailboxes first puts a message
into each: maildirs are made, indices begun, caches filled, and the steady state is measured.
"""

import contextlib
import os
import pathlib
import shutil
import statistics
import subprocess
import threading

from . import cpu, lookups
from .floor import Floor
from .mail_site import SlowClients
from .run import Meter, blast, blast_report, figures, running, start_blast, verify

LARGE = 50 << 20  # octets; of this and of the numbers of workloads.py, --small takes a share
FULL = 100_000  # messages
SLOW_TURNS = 5
PREFILL = "1700000000.M{}P1.prefilled"


def steady(bench, contender, connections, recipients=1):
    """Messages of 4 KiB to 100 users of each of ten domains, for some seconds."""
    if isinstance(contender, Floor):
        return contender.measure(bench.image, connections, bench.options.seconds)
    with running(contender, bench.site, bench.image) as mail_base:
        warmed = warm(bench, contender)
        return _measured(bench, contender, mail_base, [warmed], "-c", connections, "-r", recipients,
                         "-t", bench.site.pattern(bench.options.users), "--seed", "1")


def one_mailbox(bench, contender, full):
    """One connection into one mailbox. It, or another if it is not to be `full`, holds 100,000
    messages that Dovecot has indexed: disk and caches are in the same state either way."""
    with running(contender, bench.site, bench.image) as mail_base:
        address, neighbour = bench.site.addresses(2)[:2]
        ledgers = [_ledger(bench, f"before{number}") for number in range(3)]
        blast(bench.options, contender, "-m", "1", "-t", address, "--ledger", ledgers[0])
        blast(bench.options, contender, "-m", "1", "-t", neighbour, "--ledger", ledgers[1])
        user, _, domain = (address if full else neighbour).partition("@")
        mailbox = mail_base / domain / "mails" / user
        prefill(mailbox, _share(bench, FULL))
        index(bench, mailbox)
        blast(bench.options, contender, "-m", "1", "-t", address, "--ledger", ledgers[2])
        os.sync()
        return _measured(bench, contender, mail_base, ledgers, "-c", "1", "-t", address,
                         ignore=("--ignore", PREFILL.format("*") + "*"))


def new_mailboxes(bench, contender, connections, of_root=False):
    """Each message is the first of its recipient: the mailbox is made, `of_root`: where only root can."""
    bench.site.ensure_users(bench.options.new_users)
    with running(contender, bench.site, bench.image) as mail_base:
        if of_root:
            for directory in mail_base.glob("**/"):
                os.chown(directory, 0, 0)
        # One into each domain: what is done once for a domain is done.
        first = _ledger(bench, "first")
        blast(bench.options, contender, "-m", bench.site.domains, "-t", bench.site.pattern(1),
              "--ledger", first)
        return _measured(bench, contender, mail_base, [first], "-c", connections, "-t",
                         f"{{2-{bench.options.new_users}}}user@d{{1-{bench.site.domains}}}.example")


def among_large(bench, contender, connections):
    """steady(), and one more connection that sends messages of 50 MiB, at most 5 a second."""
    with running(contender, bench.site, bench.image) as mail_base:
        warmed = warm(bench, contender)
        large = _ledger(bench, "large")
        sender = start_blast(bench.options, contender, "-c", "1", "-s", _share(bench, LARGE),
                             "--rate", "5", "--duration", bench.options.seconds, "-t",
                             bench.site.pattern(1), "--ledger", large)
        result = _measured(bench, contender, mail_base, [warmed], "-c", connections, "-t",
                           bench.site.pattern(bench.options.users), "--seed", "1")
        report = blast_report(contender, sender)
        verify(contender, mail_base, large)
    return {**result, "large_messages_per_second": report["messages_per_second"]}


def beside_slow(bench, contender, connections, rate, clients):
    """`rate` messages a second, in turn without and beside `clients` that send an octet a second.

    Of each kind the medians of its turns.
    """
    bench.site.ensure_users(bench.options.users + 1)
    slow_mailbox = f"{bench.options.users + 1}user@d1.example"
    reports = {"without": [], "beside": []}
    with running(contender, bench.site, bench.image) as mail_base:
        ledgers = [warm(bench, contender)]
        with Meter(contender, bench.site) as meter:
            for turn in range(_share(bench, SLOW_TURNS)):
                # Each is first in turn.
                for kind in list(reports)[::-1 if turn % 2 else 1]:
                    ledgers.append(_ledger(bench, f"{kind}-{turn}"))
                    with (SlowClients(contender.target, _share(bench, clients), slow_mailbox)
                          if kind == "beside" else contextlib.nullcontext()):
                        reports[kind].append(blast(
                            bench.options, contender, "--duration", bench.options.seconds,
                            "-c", connections, "--rate", rate, "--ledger", ledgers[-1],
                            "-t", bench.site.pattern(bench.options.users), "--seed", "1"))
        verify(contender, mail_base, *ledgers)
    every = reports["without"] + reports["beside"]
    # From the time at which a message was due on, so that waiting for 354 counts.
    latencies = {
        f"{kind}_ms": {key: statistics.median(report["message_latency_ms"][key]
                                              for report in reports[kind])
                       for key in ("p50", "p99", "max")}
        for kind in reports}
    return figures(sum(report["deliveries"] for report in every),
                   sum(report["seconds"] for report in every), meter,
                   {"latency_ms": latencies["beside_ms"], **latencies})


def large_to_many(bench, contender, recipients):
    """One message of 50 MiB to many recipients; how much resident memory grows meanwhile."""
    with running(contender, bench.site, bench.image) as mail_base:
        warmed = warm(bench, contender)
        ledger = _ledger(bench, "large")
        before = resident(contender)
        with Meter(contender, bench.site) as meter:
            sender = start_blast(bench.options, contender, "-m", "1", "-s", _share(bench, LARGE),
                                 "-r", recipients, "-t", bench.site.pattern(bench.options.users),
                                 "--ledger", ledger)
            most = _most_while(sender, lambda: resident(contender))
            report = blast_report(contender, sender)
        verify(contender, mail_base, warmed, ledger)
    return figures(report["deliveries"], report["seconds"], meter,
                   {"latency_ms": report["delivery_latency_ms"],
                    "memory_growth_mib": round((most - before) / 2**20, 1)})


def many_users(bench, contender, connections, users):
    """steady() into the same mailboxes, with `users` in the tables and in the cache."""
    in_domain = _share(bench, users) // bench.site.domains
    bench.site.ensure_users(in_domain)
    with running(contender, bench.site, bench.image) as mail_base:
        warmed = warm(bench, contender)
        lookups.ask_for_all(contender.target, bench.site.addresses(in_domain))
        return _measured(bench, contender, mail_base, [warmed], "-c", connections, "-t",
                         bench.site.pattern(bench.options.users), "--seed", "1")


def drain(bench, contender, messages, queue_apart):
    """Postfix has `messages` in its queue, on its own file system or the mail's, and may deliver now."""
    messages = _share(bench, messages)
    contender.hold()
    with contextlib.ExitStack() as stack:
        if queue_apart:
            contender.queue_base = stack.enter_context(bench.image.another(mebibytes=1024))
        mail_base = stack.enter_context(running(contender, bench.site, bench.image))
        ledger = _ledger(bench, "queued")
        blast(bench.options, contender, "-c", "32", "-m", messages, "-t",
              bench.site.pattern(bench.options.users), "--ledger", ledger)
        contender.end_hold(messages)
        os.sync()
        with Meter(contender, bench.site) as meter:
            seconds = contender.drain(messages)
        verify(contender, mail_base, ledger)
    return figures(messages, seconds, meter, {})


# ---- parts

def _share(bench, number):
    return max(1, int(number * bench.options.share))


def warm(bench, contender):
    """A message into every mailbox; returns the ledger."""
    ledger = _ledger(bench, "before")
    blast(bench.options, contender, "-c", contender.makers, "-m",
          bench.site.domains * bench.options.users,
          "-t", bench.site.pattern(bench.options.users), "--ledger", ledger)
    contender.finish()
    os.sync()
    return ledger


def _measured(bench, contender, mail_base, ledgers, *arguments, ignore=()):
    ledger = _ledger(bench, "measured")
    with Meter(contender, bench.site) as meter:
        report = blast(bench.options, contender, "--duration", bench.options.seconds, "-s", "4096",
                       "--ledger", ledger, *arguments)
        contender.finish()
    verify(contender, mail_base, *ledgers, ledger, ignore=ignore)
    if contender.queues:
        return figures(report["deliveries"], meter.seconds, meter, {})
    return figures(report["deliveries"], report["seconds"], meter,
                   {"latency_ms": report["delivery_latency_ms"]})


def _ledger(bench, name):
    path = bench.site.directory.path / f"ledger-{name}"
    path.unlink(missing_ok=True)
    return path


def prefill(mailbox, messages):
    """Read messages in cur/, with the names that Dovecot and lmtpd give."""
    text = b"From: a@b.example\nSubject: prefilled\n\nx\n"
    size = f",S={len(text)},W={len(text) + text.count(10)}:2,S"
    owner = mailbox.stat()
    (mailbox / "cur").mkdir(mode=0o700, exist_ok=True)
    os.chown(mailbox / "cur", owner.st_uid, owner.st_gid)
    directory = os.open(mailbox / "cur", os.O_RDONLY)
    try:
        for number in range(messages):
            file = os.open(PREFILL.format(number) + size, os.O_WRONLY | os.O_CREAT | os.O_EXCL,
                           0o600, dir_fd=directory)
            os.write(file, text)
            os.fchown(file, owner.st_uid, owner.st_gid)
            os.close(file)
    finally:
        os.close(directory)


def index(bench, mailbox):
    """Dovecot reads the maildir once, as its owner, and keeps its uid list and index."""
    owner = mailbox.stat()
    home = pathlib.Path(bench.site.directory.path / "doveadm")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    (home / "dovecot.conf").write_text(
        f"mail_location = maildir:{mailbox}\nlog_path = /dev/stderr\nssl = no\n"
        f"base_dir = {home}\nfirst_valid_uid = 1000\n")
    done = subprocess.run(
        ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups",
         "doveadm", "-c", home / "dovecot.conf", "index", "INBOX"],
        env={"PATH": os.environ["PATH"], "HOME": str(mailbox), "USER": "owner"},
        capture_output=True, text=True, check=False)
    if done.returncode != 0 or not (mailbox / "dovecot-uidlist").exists():
        raise RuntimeError(f"doveadm index: {done.stderr}")


def resident(contender):
    """VmRSS of all its processes, in octets."""
    total = 0
    for pid in cpu.tree(*contender.pids):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                total += int(file.read().split()[1])
    return total * os.sysconf("SC_PAGE_SIZE")


def _most_while(process, value):
    """The greatest value() that is seen, every few milliseconds, until the process ends."""
    most = value()
    ended = threading.Event()

    def wait():
        process.wait()
        ended.set()
    waiter = threading.Thread(target=wait)
    waiter.start()
    while not ended.wait(0.005):
        most = max(most, value())
    waiter.join()
    return most
