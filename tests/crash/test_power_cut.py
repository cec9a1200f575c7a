"""A 250 survives a power cut: the images that one can leave, mounted and looked at.

The daemon runs under load on a disk whose writes are logged; rig/cuts.py says which images are made, rig/image.py
what must be true of each. LMTPD_CRASH_LONG=1 makes ten times as many images, of several recordings;
LMTPD_CRASH_SEED=N draws the messages and the subsets as an earlier run did (the order of events is the
machine's).
"""

import os
import random
import time
from typing import NamedTuple

import pytest

from rig import recorder
from rig.cuts import plan
from rig.image import Broken, Images, Verdicts
from rig.recording import DOMAINS, MADE, NAMES, OWNED, record
from rig.workloads import every_kind
from testsite import stored, wait_until

LONG = os.environ.get("LMTPD_CRASH_LONG") == "1"
IMAGES = 4500 if LONG else 450  # at least, on each of the five
RECORDINGS = 4 if LONG else 1
PREFIXES = None if LONG else 300  # of a recording, at most; None: all
SUBSETS = 100  # of a recording's unflushed writes, at least
LEAST = {"prefix": 150, "flushed": 60, "subset": SUBSETS}  # images of a recording
AFTERLIVES = 6  # images of a recording on which the daemon is started again

TOO_OLD = 37 * 3600  # seconds; the worker removes files of 36 hours from tmp/

DISKS = {
    "ordered": [recorder.ORDERED],
    "writeback": [recorder.WRITEBACK],
    "xfs": [recorder.XFS],
    "btrfs": [recorder.BTRFS],
    "two": [recorder.ORDERED, recorder.XFS],
}


@pytest.mark.parametrize("file_systems", DISKS.values(), ids=DISKS)
def test_what_was_acknowledged_survives_a_power_cut(site, file_systems):  # A14
    verdicts, removed = Verdicts(), Left()
    for turn in range(RECORDINGS):
        seed = int(os.environ.get("LMTPD_CRASH_SEED", random.randrange(1 << 32)))
        directory = site.make(f"recording{turn}")
        with record(site, directory, file_systems, every_kind, seed, name=f"lmtpd{turn}") as recording:
            removed += look_at(recording, directory, verdicts, seed)
        print(f"{' and '.join(each.name for each in file_systems)}, seed {seed}: {verdicts}\nremoved: {removed}")
    assert not verdicts.broken, str(verdicts)
    # Else nothing was shown of what a cut leaves behind.
    assert removed.staging > 0
    assert removed.in_tmp > 0 or [each.kind for each in file_systems] != ["ext4"]
    assert verdicts.total >= IMAGES
    for kind, least in LEAST.items():
        assert verdicts.images[kind] >= least * RECORDINGS, verdicts


class Left(NamedTuple):
    """What cuts left that the next mail for a mailbox removes."""
    in_tmp: int = 0   # files that are old, where they can be made so: see Images.age_tmp
    staging: int = 0  # directories that were to become mailboxes

    def __add__(self, other):
        return Left(self.in_tmp + other.in_tmp, self.staging + other.staging)


def look_at(recording, directory, verdicts, seed):
    """What the daemon has found and removed on the images on which it was started."""
    cuts = plan(recording.disks, recording.moments, random.Random(seed), IMAGES // RECORDINGS, SUBSETS,
                PREFIXES)
    images = Images(directory, recording.places)
    afterlives = {len(cuts) * (number + 1) // (AFTERLIVES + 1) for number in range(AFTERLIVES)}
    removed = Left()
    for number, cut in enumerate(cuts):
        try:
            with images.mounted(cut) as base:
                verdicts.add(cut, recording.promise.examine(base, cut.moment))
                staging = staged(base)
        except images.DoesNotMount as error:
            verdicts.add(cut, [Broken("does not mount", str(error))])
            continue
        if number in afterlives or staging and removed.staging == 0:
            left = images.age_tmp(time.time() - TOO_OLD)
            with images.again() as base:
                removed += delivers_on(recording.mailsite, base, left)
    return removed


def staged(base):
    return list(base.glob("*/mails/.lmtpd.*"))


def delivers_on(mailsite, base, left):
    """The daemon starts on what the cut left, and takes mail for all mailboxes that the helper has made, or had
    begun to make, some of the others, and new ones; the first mail for a mailbox removes what is `left` in its
    tmp/, and what a helper has left beside it."""
    daemon = mailsite.daemon
    daemon.parameters["virtual_mailbox_base"] = str(base)
    daemon.write()
    staging = staged(base)
    daemon.start()
    try:
        # The last has never had mail.
        recipients = [f"u{number}@{domain}" for number in (*range(1, MADE + 1), NAMES) for domain in (*DOMAINS, OWNED)]
        outcome = daemon.deliver(recipients, b"Subject: after the cut\n\nIt goes on.\n")
        assert [reply.code for reply in outcome.final] == [250] * len(recipients), outcome
        for recipient in recipients:
            found = [message for message in stored(base / mailsite.users[recipient].mailbox)
                     if message.header("Subject") == ["after the cut"]]
            assert len(found) == 1, recipient
        assert staged(base) == [], staging
        mailboxes = [base / mailsite.users[recipient].mailbox for recipient in recipients]
        due = [path for path in left if path.parents[1] in mailboxes]
        wait_until(lambda: not any(path.exists() for path in due), f"{due} are gone")
        return Left(len(due), len(staging))
    finally:
        daemon.stop()
