"""What must be true of the disks that a power cut left.

The file systems mount. Each message that had been acknowledged is in its recipient's new/, once, with its
octets, owner and mode, and so are the mailbox and the directories above it. Whatever else is in new/ is whole.
"""

import collections
import contextlib
import os
import stat
import subprocess
from typing import NamedTuple

from .mounts import loop_device, mount, mounted, unmount


class Broken(NamedTuple):
    """A promise that is, in one image."""
    kind: str  # of Verdicts.KINDS
    text: str
    key: str = ""  # of the message, where it is one's


class Verdicts:
    """Counts images, and those with a broken promise, by kind; keeps the first of each kind."""

    KINDS = ("does not mount", "lost", "twice", "corrupt", "partial", "owner or mode")

    def __init__(self):
        self.images = collections.Counter()  # by the cut's kind
        self.broken = collections.Counter()  # images, by kind of what was found
        self.examples = {}

    @property
    def total(self):
        return sum(self.images.values())

    def add(self, cut, found):
        self.images[cut.kind] += 1
        for kind in {each.kind for each in found}:
            self.broken[kind] += 1
        for each in found:
            self.examples.setdefault(each.kind, f"{cut.kind} at {cut.moment}, flushed {cut.flushed}: {each.text}")

    def __str__(self):
        images = ", ".join(f"{count} {kind}" for kind, count in sorted(self.images.items()))
        broken = ", ".join(f"{kind}: {self.broken[kind]}" for kind in self.KINDS if self.broken[kind])
        lines = [f"{self.total} images ({images}); {broken or 'nothing lost, corrupt or partial'}"]
        return "\n".join(lines + [f"  {kind}: {text}" for kind, text in sorted(self.examples.items())])


class Images:
    """Makes the image of a cut, and mounts it: the first disk at `target`, others below it.

    `places` has for each disk (FileSystem, Disk, path relative to the mail base).
    """

    class DoesNotMount(Exception):
        pass

    def __init__(self, directory, places):
        self.target = directory / "image"
        self.target.mkdir()
        self.target.chmod(0o711)
        self._places = places
        self._files = [directory / f"image{number}" for number in range(len(places))]

    @contextlib.contextmanager
    def mounted(self, cut):
        with contextlib.ExitStack() as mounts:
            for file, (file_system, disk, below), flushed, unflushed in zip(
                    self._files, self._places, cut.flushed, cut.unflushed):
                disk.advance(flushed)
                disk.copy(file, unflushed)
                with loop_device(file) as device:
                    try:
                        mount(device, self.target / below, file_system.kind, file_system.image_options)
                    except OSError as error:
                        raise self.DoesNotMount(f"{file_system.name}: {error}") from error
                mounts.callback(unmount, self.target / below)
            yield self.target


    @contextlib.contextmanager
    def again(self):
        """What mounted() had, mounted as it was left."""
        with contextlib.ExitStack() as mounts:
            for file, (file_system, _, below) in zip(self._files, self._places):
                mounts.enter_context(mounted(file, self.target / below, file_system.kind,
                                             file_system.image_options))
            yield self.target

    def age_tmp(self, ctime):
        """Gives the files in tmp/ of an ext4 image that is not mounted this ctime, which no system call can;
        returns their paths, mounted. On other file systems it does nothing, and returns []."""
        if [file_system.kind for file_system, _, _ in self._places] != ["ext4"]:
            return []
        with self.again() as base:
            left = [path for path in base.glob("*/mails/*/tmp/*") if path.is_file()]
        commands = "".join(f'set_inode_field "/{path.relative_to(base)}" ctime @{int(ctime)}\n' for path in left)
        subprocess.run(["debugfs", "-w", "-f", "-", self._files[0]], input=commands, text=True, check=True,
                       capture_output=True)
        return left


class Promise:
    """What was acknowledged at which moment, and how each message looks."""

    def __init__(self, mailsite, copies, acknowledged):
        self._users = mailsite.users
        self._mailboxes = {user.mailbox: user for user in self._users.values()}
        self._directories = {address: mailsite.directories(user) for address, user in self._users.items()}
        self._copies = copies
        self._acknowledged = acknowledged

    def examine(self, base, moment):
        """[Broken]"""
        found = []
        present = collections.Counter()  # (mailbox, key), whole
        broken = set()
        for mailbox, user in self._mailboxes.items():
            for name, octets, info in _new(os.path.join(base, mailbox)):
                copy = self._copies.get(mailbox, {}).get(name)
                if copy is None or octets != copy.octets:
                    broken.add((mailbox, copy and copy.key))
                    found.append(Broken("partial", f"{mailbox}/new/{name}: {len(octets)} octets, not the message",
                                        copy.key if copy else ""))
                    continue
                present[mailbox, copy.key] += 1
                if (info.st_uid, info.st_gid, info.st_mode) != (user.uid, user.uid, stat.S_IFREG | 0o600):
                    found.append(Broken("owner or mode", f"{mailbox}/new/{name}: {info}", copy.key))
        due = [(recipient, key) for recipient, key, since in self._acknowledged
               if all(now >= then for now, then in zip(moment, since))]
        for recipient, key in due:
            place = (self._users[recipient].mailbox, key)
            if place in broken:
                found.append(Broken("corrupt", f"{key} for {recipient}", key))
            elif present[place] == 0:
                found.append(Broken("lost", f"{key} for {recipient}", key))
        found += self._examine_directories(base, {recipient for recipient, _ in due})
        found += [Broken("twice", f"{key} in {mailbox}", key)
                  for (mailbox, key), count in present.items() if count > 1]
        return found

    def _examine_directories(self, base, recipients):
        expected = {}
        for recipient in recipients:
            expected.update(self._directories[recipient])
        for path, owner_and_mode in expected.items():
            try:
                info = os.stat(os.path.join(base, path))
            except FileNotFoundError:
                yield Broken("lost", f"the directory {path}")
                continue
            if (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) != owner_and_mode:
                yield Broken("owner or mode", f"the directory {path}: {info}")


def _new(mailbox):
    """(name, octets, stat) of each file in new/; nothing where there is no mailbox."""
    directory = os.path.join(mailbox, "new")
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        descriptor = os.open(os.path.join(directory, name), os.O_RDONLY)
        try:
            info = os.fstat(descriptor)
            yield name, os.pread(descriptor, info.st_size + 1, 0), info
        finally:
            os.close(descriptor)
