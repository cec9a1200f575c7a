"""One run: a contender on a new file system, a load, its figures, and what the maildirs hold."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import time

from . import cpu

VERIFY = pathlib.Path(__file__).resolve().parents[1] / "verify"


class Wrong(Exception):
    """A reply or a maildir was not as it must be."""


def blast(options, contender, *arguments):
    """Runs blast and returns its report; Wrong if it saw anything wrong."""
    done = subprocess.run(
        [str(part) for part in
         (options.build / "bench" / "blast", "--json", "--timeout", "120", *arguments,
          contender.target)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Wrong(f"{contender.name}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def verify(contender, site, mail_base, *ledgers):
    done = subprocess.run(
        [VERIFY, "--mailbox", site.mailbox_template(mail_base), *ledgers],
        capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Wrong(f"{contender.name}: {done.stdout}{done.stderr}")


@contextlib.contextmanager
def running(contender, site, image):
    """The contender serves a new, empty mail base."""
    with image.mounted() as mail_base:
        site.prepare(mail_base)
        try:
            contender.start(mail_base)
            yield mail_base
        except Exception as error:
            error.add_note(f"{contender.name}'s log ends:\n{contender.log_tail()}")
            raise
        finally:
            contender.stop()


class Meter:
    """CPU of a contender, and of the database it asks, over a with block."""

    def __init__(self, contender, site):
        self._pids = (contender.pid, site.postgres.process.pid)

    def __enter__(self):
        self._before = [cpu.seconds(pid) for pid in self._pids]
        self._begin = time.monotonic()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self._begin
        self.by_program = {}
        spent = []
        for pid, before in zip(self._pids, self._before):
            after = cpu.seconds(pid)
            spent.append(sum(after.values()) - sum(before.values()))
            for name, value in after.items():
                self.by_program[name] = value - before.get(name, 0)
        self.cpu, self.database_cpu = spent


def blast_run(options, contender, site, image, connections):
    """Figures of blast for some seconds, after a message into every mailbox."""
    ledgers = [site.directory.path / name for name in ("ledger-before", "ledger")]
    with running(contender, site, image) as mail_base:
        # Maildirs made, indices begun, caches filled: the steady state is measured.
        blast(options, contender, "-c", "32", "-m", site.domains * options.users, "-t",
              site.pattern(options.users), "--ledger", ledgers[0])
        os.sync()
        with Meter(contender, site) as meter:
            report = blast(options, contender, "-c", connections, "--duration", options.seconds,
                           "-s", "4096", "-t", site.pattern(options.users), "--seed", "1",
                           "--ledger", ledgers[1])
        verify(contender, site, mail_base, *ledgers)
    return figures(report["deliveries"], report["seconds"], meter,
                   {"latency_ms": report["delivery_latency_ms"]})


def smtp_source_run(options, contender, site, image):
    """One smtp-source for each domain, all at a time; each message to another, new mailbox."""
    with running(contender, site, image) as mail_base:
        with Meter(contender, site) as meter:
            sources = [
                subprocess.Popen(
                    ["/usr/sbin/smtp-source", "-L", "-s", "32", "-m", str(site.users), "-N", "-f",
                     "source@remote.example", "-t", f"user@{domain}", contender.target],
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                for domain in site.domain_names()
            ]
            ends = [(source.communicate()[0], source.returncode) for source in sources]
        for output, status in ends:
            # smtp-source ends at the first reply that is no success.
            if status != 0 or output:
                raise Wrong(f"{contender.name}: smtp-source: {output}")
        check_one_each(contender, site, mail_base)
    return figures(site.domains * site.users, meter.seconds, meter, {})


def check_one_each(contender, site, mail_base):
    """Every mailbox holds one message of smtp-source's, under its domain's owner."""
    wrong = []
    for domain in site.domain_names():
        owner = (mail_base / domain).stat()
        for number in range(1, site.users + 1):
            mailbox = mail_base / domain / "mails" / f"{number}user"
            files = [path for folder in ("new", "cur") for path in mailbox.glob(f"{folder}/*")]
            if len(files) != 1:
                wrong.append(f"{mailbox}: {len(files)} messages, not 1")
                continue
            status = files[0].stat()
            if (status.st_uid, status.st_gid) != (owner.st_uid, owner.st_gid):
                wrong.append(f"{files[0]}: owner {status.st_uid}:{status.st_gid}")
            address = rf"\b{number}user@{re.escape(domain)}".encode()
            if not re.search(address, files[0].read_bytes()):
                wrong.append(f"{files[0]}: another's message")
    if wrong:
        raise Wrong(f"{contender.name}: {len(wrong)} mailboxes are wrong: " + "; ".join(wrong[:10]))


def figures(deliveries, seconds, meter, more):
    return {
        "deliveries": deliveries,
        "seconds": round(seconds, 3),
        "deliveries_per_second": round(deliveries / seconds, 1),
        "cpu_us_per_delivery": round(meter.cpu / deliveries * 1e6, 1),
        "database_cpu_us_per_delivery": round(meter.database_cpu / deliveries * 1e6, 1),
        "cpu_us_by_program": {name: round(value / deliveries * 1e6, 1)
                              for name, value in sorted(meter.by_program.items())},
        **more,
    }
