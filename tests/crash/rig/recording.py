"""The daemon under load on logged disks: what a power cut is then tried on."""

import contextlib
import ctypes
import os
import random

from .load import Load, stored_copies
from .image import Promise
from .mailsite import MailSite
from .moments import Sampler
from .recorder import Recorder
from .write_log import Disk

DOMAINS = {"first.example": 3001, "second.example": 3002, "third.example": 3003}
SECOND = "second.example"
# A domain whose directory is its uid's own: the worker makes its mailboxes, and syncs directory by directory. All
# else is made by the helper of master's, is root's, and is synced by syncfs(2).
OWNED, OWNED_UID = "owned.example", 3004
MOST_THREADS = 32  # of a worker: see lmtpd/delivery/main.cc
MANY = MOST_THREADS + 4
MADE = 5  # mailboxes of a domain of master's helper, at most
NAMES = MANY + 1  # users of a domain; the last of them gets no mail while it is recorded


class Recording:
    """record() makes it. `places` and `promise` are what Images and a look at one need."""

    def __init__(self, mailsite, places, moments, promise):
        self.mailsite = mailsite
        self.places = places
        self.moments = moments
        self.promise = promise

    @property
    def disks(self):
        return [disk for _, disk, _ in self.places]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for disk in self.disks:
            disk.close()


def record(site, directory, file_systems, workload, seed, **parameters):
    """`file_systems`: of the mail base, and of what is mounted at SECOND below it, if that is another."""
    base = directory / "mail"
    base.mkdir()
    mailsite = MailSite(site, base, {**DOMAINS, OWNED: OWNED_UID}, NAMES, owned=(OWNED,), **parameters)
    with contextlib.ExitStack() as stack:
        recorders = [stack.enter_context(Recorder(file_systems[0], directory, "disk0", base))]
        belows = [""]
        (base / OWNED).mkdir(mode=0o700)
        os.chown(base / OWNED, OWNED_UID, OWNED_UID)
        if len(file_systems) == 2:
            (base / SECOND).mkdir(mode=0o711)
        sync_file_system(base)
        if len(file_systems) == 2:
            recorders.append(stack.enter_context(Recorder(file_systems[1], directory, "disk1", base / SECOND)))
            (base / SECOND).chmod(0o711)
            sync_file_system(base / SECOND)
            belows.append(SECOND)
        load = Load(mailsite, recorders, random.Random(seed))
        first = load.moment()
        sampler = stack.enter_context(Sampler(recorders)) if len(recorders) == 2 else None
        try:
            workload(load, site.path)
        finally:
            mailsite.daemon.stop()
        promise = Promise(mailsite, stored_copies(mailsite, load.sent), load.acknowledged)
        assert load.acknowledged and not load.refused, load.refused
    places = [(recorder.file_system, Disk(recorder.log, recorder.file_system.size, directory, recorder.name),
               below) for recorder, below in zip(recorders, belows)]
    if sampler:
        moments = sampler.moments
    else:
        moments = [(count,) for count in range(first[0], len(places[0][1].entries) + 1)]
    return Recording(mailsite, places, moments, promise)


def sync_file_system(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "syncfs")
    finally:
        os.close(descriptor)
