"""What stands in a mailbox, as a test wants to compare it."""

import os
import pathlib
import re
from typing import NamedTuple

NAME = re.compile(r"^(\d+)\.M(\d+)P\d+Q(\d+)(?:R[0-9a-zA-Z]+)?\.[^/:,]+,S=(\d+),W=(\d+)$")


class Stored(NamedTuple):
    path: pathlib.Path
    octets: bytes
    inode: int
    mtime_ns: int
    owner: tuple  # (uid, gid)
    mode: int

    @property
    def name(self):
        """Without the flags that a reader appends."""
        return self.path.name.split(":2,", 1)[0]

    @property
    def sizes(self):
        """(S=, W=) of the name."""
        return self._numbers()[3:]

    @property
    def order(self):
        """Among those of one worker; mtime goes in steps of milliseconds."""
        return self._numbers()[:3]

    def _numbers(self):
        found = NAME.match(self.name)
        assert found, f"{self.name} is no name of ours"
        return tuple(map(int, found.groups()))

    def header(self, name):
        """The values of one header field, unfolded."""
        head = self.octets.split(b"\n\n", 1)[0].decode("utf-8", "replace")
        unfolded = re.sub(r"\n[ \t]+", " ", head)
        return re.findall(rf"(?mi)^{name}: ?(.*)$", unfolded)


def stored(mailbox, folder="new"):
    """The messages of one folder, in the order of their names."""
    directory = pathlib.Path(mailbox) / folder
    if not directory.is_dir():
        return []
    found = []
    for path in sorted(directory.iterdir()):
        info = os.stat(path)
        found.append(Stored(path, path.read_bytes(), info.st_ino, info.st_mtime_ns,
                            (info.st_uid, info.st_gid), info.st_mode & 0o7777))
    return found


def newest(mailbox):
    return max(stored(mailbox), key=lambda message: message.order)
