"""What every run is made of: a contender on a new file system, a load, its figures, a check."""

import contextlib
import json
import pathlib
import re
import subprocess
import sys
import time

from . import cpu

VERIFY = pathlib.Path(__file__).resolve().parents[1] / "verify"


class Wrong(Exception):
    """A reply or a maildir was not as it must be."""


def blast(options, contender, *arguments):
    """Runs blast and returns its report; Wrong if it saw anything wrong."""
    return blast_report(contender, start_blast(options, contender, *arguments))


def start_blast(options, contender, *arguments):
    return subprocess.Popen(
        [str(part) for part in
         (options.build / "bench" / "blast", "--json", "--timeout", "300", *contender.blast,
          *arguments, contender.target)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def blast_report(contender, process):
    output, errors = process.communicate()
    if process.returncode != 0:
        raise Wrong(f"{contender.name}: {errors.strip()}")
    return json.loads(output)


def verify(contender, mail_base, *ledgers, ignore=()):
    where = contender.verify_arguments(mail_base)
    if where is None:
        return
    done = subprocess.run(
        [str(part) for part in (sys.executable, VERIFY, *where, *ignore, *ledgers)],
        capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Wrong(f"{contender.name}: {done.stdout}{done.stderr}")


@contextlib.contextmanager
def running(contender, site, image):
    """The contender serves a new, empty mail base."""
    with image.mounted() as file_system:
        mail_base = file_system / "mail"
        mail_base.mkdir()
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
        self._pids = (contender.pids, [site.postgres.process.pid])

    def __enter__(self):
        self._before = [cpu.seconds(*pids) for pids in self._pids]
        self._begin = time.monotonic()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self._begin
        self.by_program = {}
        spent = []
        for pids, before in zip(self._pids, self._before):
            after = cpu.seconds(*pids)
            spent.append(sum(after.values()) - sum(before.values()))
            for name, value in after.items():
                self.by_program[name] = value - before.get(name, 0)
        self.cpu, self.database_cpu = spent


def smtp_source_run(bench, contender):
    """One smtp-source for each domain, all at a time; each message to another, new mailbox."""
    site = bench.site
    site.ensure_users(bench.options.new_users)
    with running(contender, site, bench.image) as mail_base:
        with Meter(contender, site) as meter:
            sources = [
                subprocess.Popen(
                    ["/usr/sbin/smtp-source", "-L", "-s", "32", "-m", str(bench.options.new_users),
                     "-N", "-f",
                     "source@remote.example", "-t", f"user@{domain}", contender.target],
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                for domain in site.domain_names()
            ]
            ends = [(source.communicate()[0], source.returncode) for source in sources]
        for output, status in ends:
            # smtp-source ends at the first reply that is no success.
            if status != 0 or output:
                raise Wrong(f"{contender.name}: smtp-source: {output}")
        check_one_each(contender, site, mail_base, bench.options.new_users)
    return figures(site.domains * bench.options.new_users, meter.seconds, meter, {})


def check_one_each(contender, site, mail_base, users):
    """Every mailbox holds one message of smtp-source's, under its domain's owner."""
    wrong = []
    for domain in site.domain_names():
        owner = (mail_base / domain).stat()
        for number in range(1, users + 1):
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
