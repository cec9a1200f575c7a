"""cmake --install: everything in its place, programs that run from there, and manual pages that say what is so."""

import os
import re
import subprocess

import pytest

from testsite import REPOSITORY

MESSAGE = b"Subject: installed\n\nbody\n"
OWN_CONFIGURATION = "# the site's\n"


def cached(build, name):
    return re.search(rf"^{name}:\w+=(.*)$", (build / "CMakeCache.txt").read_text(), re.MULTILINE)[1]


@pytest.fixture(scope="module")
def image(build, site):
    """A DESTDIR, with a configuration in it that was there before."""
    folder = site.make("image")
    for etc in ("etc", cached(build, "CMAKE_INSTALL_PREFIX").lstrip("/") + "/etc"):
        (folder / etc / "lmtpd").mkdir(parents=True)
        (folder / etc / "lmtpd" / "lmtpd.cf").write_text(OWN_CONFIGURATION)
    subprocess.run(["cmake", "--install", build], check=True, capture_output=True,
                   env={**os.environ, "DESTDIR": str(folder)})
    return folder


@pytest.fixture(scope="module")
def prefix(build, image):
    return image / cached(build, "CMAKE_INSTALL_PREFIX").lstrip("/")


def page(prefix, name, section):
    return prefix / "share" / "man" / f"man{section}" / f"{name}.{section}"


def shown(path):
    """The page as text, without what makes it bold."""
    done = subprocess.run(["mandoc", "-T", "ascii", path], check=True, capture_output=True, text=True)
    return re.sub(".\b", "", done.stdout)


def test_everything_has_its_place(image, prefix):
    there = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()}
    documents = {f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md")}
    examples = {f"examples/{path.relative_to(REPOSITORY / 'contrib')}"
                for folder in ("dovecot", "postfix", "sql") for path in (REPOSITORY / "contrib" / folder).iterdir()}
    assert there == {
        "sbin/lmtpd", "sbin/lmtpctl",
        *(f"libexec/lmtpd/lmtpd-{role}" for role in ("committer", "frontend", "lookup", "worker")),
        "lib/systemd/system/lmtpd.service", "lib/systemd/system/lmtpd.socket", "lib/sysusers.d/lmtpd.conf",
        "lib/tmpfiles.d/lmtpd.conf",
        "share/man/man5/lmtpd.cf.5", "share/man/man8/lmtpd.8", "share/man/man8/lmtpctl.8",
        *(f"share/doc/lmtpd/{name}" for name in (
            "README.md", "NEWS.md", "LICENSE", "bench/README.md", "examples/lmtpd.cf", *documents, *examples)),
        "etc/lmtpd/lmtpd.cf"}
    outside = {path for path in image.rglob("*") if path.is_file()} - set(prefix.rglob("*"))
    assert outside == {image / "etc" / "lmtpd" / "lmtpd.cf"}
    for etc in (image / "etc", prefix / "etc"):
        assert (etc / "lmtpd" / "lmtpd.cf").read_text() == OWN_CONFIGURATION


def test_what_is_installed_runs_from_its_place(make_daemon, prefix):
    daemon = make_daemon(programs=prefix / "sbin")
    assert daemon.deliver("user@foo.org", MESSAGE).final[0].code == 250
    assert daemon.ctl("status").returncode == 0
    running = {os.readlink(f"/proc/{pid}/exe") for pid in daemon.children()}
    assert running == {str(prefix / "libexec" / "lmtpd" / f"lmtpd-{role}")
                       for role in ("frontend", "lookup", "worker")}


@pytest.mark.parametrize("name, section", [("lmtpd", 8), ("lmtpctl", 8), ("lmtpd.cf", 5)])
def test_pages_are_well_formed(prefix, name, section):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page(prefix, name, section)],
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def options(text):
    return set(re.findall(r"(?<![\w-])--?[a-z]\w*", text))


def test_pages_have_the_options_and_commands_of_help(make_daemon, prefix):
    daemon = make_daemon(start=False)
    daemons, ctls = daemon.run("--help").stdout, daemon.ctl("--help").stdout
    assert {"-t", "--version"} < options(daemons)
    assert options(shown(page(prefix, "lmtpd", 8))) == options(daemons)
    text = shown(page(prefix, "lmtpctl", 8))
    assert options(text) == options(ctls)
    commands = set(re.findall(r"^  ([a-z]\S+)", ctls, re.MULTILINE))
    listed = text.partition("The commands are:")[2].partition("\nFILES")[0]
    assert "check-db" in commands
    assert set(re.findall(r"^ {5}([a-z]\S+)", listed, re.MULTILINE)) == commands


def test_the_page_of_parameters_has_those_that_lmtpd_knows(make_daemon, prefix):
    """And no others. The documents' own test compares configuration.md with lmtpd's table."""
    text = shown(page(prefix, "lmtpd.cf", 5)).partition("\nPARAMETERS\n")[2].partition("\nFILES\n")[0]
    settings = re.findall(r"^ {3}(\S.*)$", text, re.MULTILINE)
    headings = re.findall(r"^### `(.*)`$", (REPOSITORY / "docs" / "configuration.md").read_text(), re.MULTILINE)
    assert settings == headings
    assert "listen = unix:private/dovecot-lmtp" in settings
    # Two defaults are the host's, and the page has none.
    lines = "".join(f"{line} host.test\n" if line in ("myhostname =", "mydomain =") else f"{line}\n"
                    for line in settings)
    daemon = make_daemon(start=False)
    daemon.configuration.write_text(lines)
    known = daemon.run("-n")
    assert (known.returncode, known.stderr) == (0, "")
    daemon.configuration.write_text(lines.replace("worker_limit", "worker_limits"))
    assert daemon.run("-n").returncode == 78
