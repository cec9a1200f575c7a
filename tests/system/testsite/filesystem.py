"""A file system of a test's own, in a file: one that is full, read-only, has a quota, or shares syncs."""

import os
import subprocess

from .directory import wait_until


class LoopFileSystem:
    """Mounted at directory/NAME while it is used as a context. Raises what the kernel refuses."""

    def __init__(self, site, name, kind="ext4", size=24 << 20, mkfs=(), options=""):
        self.image = site.path / f"{name}.image"
        self.path = site.make(name)
        self.options = options
        with open(self.image, "wb") as image:
            image.truncate(size)
        run(f"mkfs.{kind}", "-q", *mkfs, self.image)

    def __enter__(self):
        return self.mount()

    def __exit__(self, *_):
        self.unmount()

    def mount(self):
        run("mount", "-o", ",".join(filter(None, ("loop", self.options))), self.image, self.path)
        return self

    def unmount(self):
        # A process that was killed may still be closing its files.
        wait_until(self._is_unmounted, f"{self.path} is not busy")
        # The kernel lets go of the loop device in its own time, and until then mount(8) takes it again, with
        # what it had read of the image.
        wait_until(lambda: not run("losetup", "-j", self.image), f"{self.image} is let go of")

    def _is_unmounted(self):
        try:
            run("umount", self.path)
        except OSError as error:
            if "busy" not in str(error):
                raise
            return False
        return True

    def remount(self, option):
        run("mount", "-o", f"remount,{option}", self.path)

    def fill(self, leave=0):
        """Takes every free octet but `leave`; the file that has them."""
        filler = self.path / "filler"
        with open(filler, "wb", buffering=0) as out:
            for size in (1 << 20, 1 << 12):
                try:
                    while out.write(bytes(size)):
                        pass
                except OSError:
                    pass
            os.fsync(out.fileno())
            out.truncate(out.tell() - leave)
        return filler

    def take_inodes(self):
        """Takes every free inode; the directory that has them."""
        directory = self.path / "inodes"
        directory.mkdir()
        try:
            for count in range(1 << 16):
                (directory / str(count)).touch()
        except OSError:
            pass
        return directory


class SharingFileSystem(LoopFileSystem):
    """One of those on which deliveries share syncs by default, whatever the site's directory lies on; a mail base."""

    def __init__(self, site, name):
        super().__init__(site, name, kind="xfs", size=320 << 20)  # mkfs.xfs refuses less than 300 MiB

    def mount(self):
        super().mount()
        self.path.chmod(0o711)
        return self


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, command))}: {done.stderr or done.stdout}")
    return done.stdout
