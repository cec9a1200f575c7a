"""Fixtures of the crash rig: a directory on a tmpfs, in a mount namespace of the tests' own."""

import os
import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import rig  # noqa: E402,F401
from rig.mounts import leave_mount_namespace, mount, unmount  # noqa: E402
from testsite.directory import SiteDirectory, build_directory, ensure_users  # noqa: E402

PROGRAMS = ("qemu-storage-daemon", "mkfs.ext4", "mkfs.xfs", "mkfs.btrfs")


def missing(what):
    """A piece that is not installed: a reason to skip on a developer's machine, a failure in CI."""
    text = f"{what}: contrib/install-deps --tests installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(text)
    pytest.skip(text)


def pytest_configure():
    if os.geteuid() != 0:
        pytest.exit("the crash rig mounts file systems and starts lmtpd: run it as root", 77)
    leave_mount_namespace()


@pytest.fixture(scope="session", autouse=True)
def programs():
    for program in PROGRAMS:
        if not shutil.which(program):
            missing(f"{program} is not installed")


@pytest.fixture
def site():
    """A SiteDirectory of the test's own, in memory as all that is below it."""
    ensure_users()
    directory = SiteDirectory("lmtpd-crash")
    mount("none", directory.path, "tmpfs", "size=3g,mode=755")
    yield directory
    unmount(directory.path)
    directory.path.rmdir()


@pytest.fixture(scope="session")
def build():
    return build_directory()
