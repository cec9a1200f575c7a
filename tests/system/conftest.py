"""Fixtures: the parts of the site, once per file; daemons of a test's own come from make_daemon."""

import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from testsite import (Lmtpd, PrivatePostfix, PrivatePostgres, SiteDirectory, Tables,  # noqa: E402
                      build_directory, ensure_users)
from testsite.filesystem import SharingFileSystem  # noqa: E402


def pytest_configure():
    if os.geteuid() != 0:
        pytest.exit("the system tests start lmtpd, which starts as root: run them as root", 77)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failure shows the logs of the daemons that the test used."""
    report = (yield).get_result()
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            for part in value.made if name == "make_daemon" else [value]:
                if isinstance(part, (Lmtpd, PrivatePostfix)):
                    text = part.log_text()[-20000:]
                    report.sections.append((f"log of {part.log}", text))


@pytest.fixture(scope="session")
def site():
    ensure_users()
    directory = SiteDirectory()
    yield directory
    if not os.environ.get("LMTPD_KEEP_SITE"):
        directory.remove()


@pytest.fixture(scope="session")
def build():
    return build_directory()


@pytest.fixture(scope="session")
def postgres(site):
    server = PrivatePostgres(site)
    try:
        yield server.create()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def mail_base(site):
    return site.make("home", mode=0o711)


@pytest.fixture(scope="module")
def readable_mail_base(mail_base):
    """It may be opened, and so synced, by workers."""
    mail_base.chmod(0o755)
    yield mail_base
    mail_base.chmod(0o711)


@pytest.fixture(scope="module")
def mail_base_in_memory(site):
    path = site.make("home-in-memory")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=711", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)
    path.rmdir()


@pytest.fixture(scope="session")
def shared_syncs(site):
    """For make_daemon: a daemon with a committer."""
    with SharingFileSystem(site, "home-sharing") as mounted:
        yield {"mail_base": mounted.path, "commit_file_systems": None}


@pytest.fixture(scope="session")
def tables(site, postgres):
    return Tables(site.make("tables"), postgres)


class DaemonMaker:
    """make_daemon(name="x", start=True, **parameters): a daemon that ends with its scope."""

    def __init__(self, site, mail_base, tables):
        self.site = site
        self.mail_base = mail_base
        self.tables = tables
        self.made = []

    def __call__(self, start=True, programs=None, queue_directory=None, mail_base=None, **parameters):
        name = f"daemon{sum(1 for entry in self.site.path.iterdir() if entry.name.startswith('daemon'))}"
        if queue_directory is None:
            queue_directory = self.site.make(name + "-queue")
            # Postfix's own private/ is postfix's, not root's.
            self.site.make(f"{name}-queue/private", owner="postfix", mode=0o700)
        daemon = Lmtpd(self.site, mail_base or self.mail_base, queue_directory,
                       {**self.tables.parameters(), **parameters}, name=name, programs=programs)
        self.made.append(daemon)
        return daemon.start() if start else daemon

    def stop(self):
        errors = []
        for daemon in self.made:
            try:
                daemon.stop()
            except (AssertionError, TimeoutError) as error:
                errors.append(str(error))
        assert not errors, "\n".join(errors)


@pytest.fixture
def make_daemon(site, mail_base, tables):
    maker = DaemonMaker(site, mail_base, tables)
    yield maker
    maker.stop()


@pytest.fixture(scope="module")
def make_module_daemon(site, mail_base, tables):
    """make_daemon for all tests of a file."""
    maker = DaemonMaker(site, mail_base, tables)
    yield maker
    maker.stop()


@pytest.fixture(scope="module")
def daemon(make_module_daemon):
    """One daemon for the tests of a file that leave it as it was."""
    return make_module_daemon()
