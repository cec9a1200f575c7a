"""lmtpd -t and -n, its errors, and lmtpctl."""

import contextlib
import os
import re
import signal
import socket

import pytest

from testsite import Lmtp, wait_until
from testsite.daemon import SANITIZER_OPTIONS

MESSAGE = b"Subject: command line\n\nbody\n"


def test_t_finds_a_good_site_good(make_daemon):
    daemon = make_daemon(start=False)
    done = daemon.run("-t")
    assert done.returncode == 0, done.stderr


def test_n_prints_what_differs(make_daemon):
    daemon = make_daemon(start=False, session_timeout="77s", frontend_processes="1")
    done = daemon.run("-n")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "session_timeout = 77s" in lines
    assert f"virtual_mailbox_base = {daemon.mail_base}" in lines
    assert not [line for line in lines if line.startswith("frontend_processes")]


@pytest.mark.parametrize("line, words", [
    ("no_such_parameter = 1", ["no_such_parameter"]),
    ("session_timeout = soon", ["session_timeout", "soon"]),
    ("worker_limit", ["worker_limit"]),
    ("virtual_uid_maps = mysql:/etc/uids.cf", ["virtual_uid_maps", "mysql"]),
    ("listen = inet:127.0.0.1:25", ["listen", "25"]),
])
def test_an_error_names_file_line_and_parameter(make_daemon, line, words):
    daemon = make_daemon(start=False)
    with open(daemon.configuration, "a", encoding="utf-8") as file:
        file.write(line + "\n")
    number = len(daemon.configuration.read_text().splitlines())
    for arguments in (["-t"], []):
        done = daemon.run(*arguments)
        assert done.returncode == 78
        for word in [f"{daemon.configuration}:{number}", *words]:
            assert word in done.stderr, done.stderr


@pytest.mark.parametrize("parameter, value, words", [
    ("queue_directory", "/nonexistent/queue", ["/nonexistent/queue/private"]),
    ("listen_owner", "nosuchuser:postfix", ["nosuchuser"]),
    ("frontend_user", "nosuchuser", ["nosuchuser"]),
    ("virtual_mailbox_base", "/nonexistent/home", ["/nonexistent/home"]),
    ("virtual_mailbox_maps", "pgsql:/nonexistent/mailboxes.cf", ["/nonexistent/mailboxes.cf"]),
    ("auth_password_maps", "sqlite:/nonexistent/passwords.cf",
     ["auth_password_maps: /nonexistent/passwords.cf"]),
])
def test_what_is_missing_is_named(make_daemon, parameter, value, words):
    daemon = make_daemon(start=False, **{parameter: value})
    done = daemon.run()
    assert done.returncode != 0
    for word in words:
        assert word in done.stderr, done.stderr


@pytest.mark.parametrize("log", ["stderr", "syslog"])
def test_t_finds_a_broken_template(make_daemon, site, tables, log):
    broken = site.path / "broken.cf"
    broken.write_text(tables.path("uids").read_text().replace("select_field=uid", "select_field=uidd"))
    daemon = make_daemon(start=False, virtual_uid_maps=f"pgsql:{broken}", log=log)
    done = daemon.run("-t")
    assert done.returncode != 0
    assert str(broken) in done.stderr and "uidd" in done.stderr, done.stderr


def test_lmtpctl_resolve(make_daemon):
    daemon = make_daemon()
    # What was looked up before is asked for again, and an old "no such row" refuses nobody while that
    # takes its time.
    daemon.wait_log("changed rows are noticed")
    found = daemon.ctl("resolve", "foo@foo.org")
    assert found.returncode == 0, found.stderr
    assert "foo.org/mails/user" in found.stdout and "1002" in found.stdout
    unknown = daemon.ctl("resolve", "nobody@foo.org")
    assert "550 5.1.1" in unknown.stdout + unknown.stderr


def test_lmtpctl_explains(make_daemon, tables):
    daemon = make_daemon(notify_hosts="none", virtual_gid_maps="static:1002")
    aliases, mailboxes, uids = (tables.map(name) for name in ("virtual", "mailboxes", "uids"))
    lines = [
        "aliases of <foo+x@foo.org>",
        f"  {mailboxes}: <foo+x@foo.org>: nothing (%s)",
        f"  {aliases}: <foo+x@foo.org>: nothing (%s)",
        f"  {mailboxes}: <foo@foo.org>: nothing (%s)",
        f'  {aliases}: <foo@foo.org>: "user@foo.org" (%s)',
        "aliases of <user+x@foo.org>",
        f"  {mailboxes}: <user+x@foo.org>: nothing (%s)",
        f"  {aliases}: <user+x@foo.org>: nothing (%s)",
        f'  {mailboxes}: <user@foo.org>: "foo.org/mails/user/" (%s)',
        "mailbox of <user+x@foo.org>",
        f"  {uids}: <user+x@foo.org>: nothing (%s)",
        f'  {uids}: <user@foo.org>: "1002" (%s)',
        '  static:1002: <user+x@foo.org>: "1002" (file)',
    ]
    path = f"path={daemon.mail_base}/foo.org/mails/user/, uid=1002, gid=1002, delivered_to=<user+x@foo.org>"
    for origin in ("database", "cache"):
        explained = daemon.ctl("resolve", "--explain", "foo+x@foo.org")
        assert explained.returncode == 0, explained.stderr
        assert explained.stdout.splitlines() == [
            *(line.replace("%s", origin) for line in lines), path]
    assert daemon.ctl("resolve", "foo+x@foo.org").stdout.splitlines() == [path]
    unknown = daemon.ctl("resolve", "--explain", "nobody@foo.org")
    assert unknown.returncode == 1
    assert unknown.stdout.splitlines()[-1].startswith("550 5.1.1")
    assert f"  {mailboxes}: <@foo.org>: nothing (" in unknown.stdout
    assert daemon.ctl("resolve", "--explain").returncode == 64


def test_lmtpctl_explains_a_failure(make_daemon, postgres, tables):
    daemon = make_daemon()
    postgres.sql("REVOKE SELECT ON postfix_virtual FROM mailreader")
    try:
        explained = daemon.ctl("resolve", "--explain", "foo@foo.org")
    finally:
        postgres.sql("GRANT SELECT ON postfix_virtual TO mailreader")
    assert explained.returncode == 75
    assert f"  {tables.map('virtual')}: <foo@foo.org>: failed: " in explained.stdout
    assert explained.stdout.splitlines()[-1].startswith("451 4.3.0")


def test_lmtpctl_reload(make_daemon):
    daemon = make_daemon()
    frontends = daemon.role("frontend")
    daemon.parameters["message_size_limit"] = "7777777"
    daemon.write()
    asked = daemon.ctl("reload")
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "", "")
    daemon.wait_log("ready:", count=2)

    def is_in_effect():
        with contextlib.suppress(ConnectionError), Lmtp(daemon.socket_path) as client:
            return "SIZE 7777777" in client.lhlo().lines
    # The old frontend takes connections until it is told to stop.
    wait_until(is_in_effect, "the new frontend answers")
    # The socket is the new generation's, and master's again.
    daemon.parameters["message_size_limit"] = "none"
    daemon.write()
    assert daemon.ctl("reload").returncode == 0
    daemon.wait_log("reload refused")
    assert daemon.deliver("user@foo.org", MESSAGE).final[0].code == 250
    wait_until(lambda: not set(frontends) & set(daemon.role("frontend")), "the old frontend ends")


def test_help_is_an_answer_and_no_error(make_daemon):
    daemon = make_daemon(start=False)
    ctl = daemon.ctl("--help")
    assert (ctl.returncode, ctl.stderr) == (0, "") and "  reload" in ctl.stdout
    wrong = daemon.ctl("relaod")
    assert (wrong.returncode, wrong.stdout) == (64, "") and ctl.stdout == wrong.stderr


def test_the_version_is_cmakes(make_daemon, build):
    daemon = make_daemon(start=False)
    version = re.search(r"^CMAKE_PROJECT_VERSION:STATIC=(\S+)$", (build / "CMakeCache.txt").read_text(), re.M)[1]
    for name, done in (("lmtpd", daemon.run("--version")), ("lmtpctl", daemon.ctl("--version"))):
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{name} {version}\n", "")


def test_lmtpctl_without_a_daemon(make_daemon):
    daemon = make_daemon(start=False)
    for command in ("reload", "status"):
        asked = daemon.ctl(command)
        assert asked.returncode == 69
        assert str(daemon.control_socket) in asked.stderr


def test_the_control_socket_is_roots(make_daemon):
    daemon = make_daemon()
    info = daemon.control_socket.stat()
    assert (info.st_uid, info.st_mode & 0o777) == (0, 0o600)


def test_the_configuration_of_postfix_is_enough(make_daemon, site, tables, mail_base):
    """postfix_config_directory: every parameter that lmtpd.cf leaves out comes from main.cf."""
    etc = site.make("etc-postfix")
    (etc / "main.cf").write_text(
        f"config = {tables.directory}\nvirtual_mailbox_base = {mail_base}\n"
        + "".join(f"{name} = {value.replace(str(tables.directory), '$config')}\n"
                  for name, value in tables.parameters().items()))
    daemon = make_daemon(start=False, postfix_config_directory=str(etc), virtual_mailbox_base=None,
                         **{name: None for name in tables.parameters()})
    daemon.start()
    assert daemon.deliver("foo@foo.org", MESSAGE).final[0].code == 250


def test_root_opens_what_lists_name_for_the_lookup_role(make_daemon, site, tables):
    """A table's `domain` list in a file, which names a table, which is a file: none is readable but by root."""
    folder = site.make("lists")
    (folder / "domains").write_text("foo.org yes\n")
    (folder / "list").write_text(f"# ours\n!unused.org,\n texthash:{folder}/domains\n")
    (folder / "mailboxes.cf").write_text(
        tables.path("mailboxes").read_text() + f"domain = {folder}/list\n")
    for path in folder.iterdir():
        path.chmod(0o600)
    daemon = make_daemon(virtual_mailbox_maps=f"pgsql:{folder}/mailboxes.cf",
                         virtual_mailbox_domains=f"{folder}/list")
    assert daemon.deliver("user@foo.org", MESSAGE).final[0].code == 250
    refused = daemon.deliver("user@domain.org", MESSAGE)
    assert refused.recipients[0].code == 550, "the list leaves this domain out"


def test_the_journal_gets_each_lines_severity(make_daemon):
    """Where stderr is what JOURNAL_STREAM names, here a file, as sd-daemon(3) has it; of every role."""
    for stream, warning, error in (True, "<4>", "<3>"), (False, "", ""):
        daemon = make_daemon(start=False, fsync="no")
        daemon.log.touch()
        status = daemon.log.stat()
        daemon.start(environment={"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + (not stream)}"})
        # Its end is an error of master's, and a warning of the frontend's.
        (lookup,) = daemon.role("lookup")
        os.kill(lookup, signal.SIGKILL)
        daemon.wait_log(rf"^{error}lmtpd/master\[\d+\]: error: lookup .* killed by signal 9")
        daemon.wait_log(rf"^{warning}lmtpd/frontend\[\d+\]: warning: ")
        daemon.wait_log(rf"^{warning}lmtpd/master\[\d+\]: warning: .*fsync = no")
        assert re.search(r"(?m)^lmtpd/master\[\d+\]: ready", daemon.log_text())
        assert ("\n<" in "\n" + daemon.log_text()) == stream
        daemon.stop()


def test_systemd_socket_activation(make_daemon, site):
    """With systemd's socket lmtpd neither binds nor unlinks."""
    path = site.path / "activated"
    daemon = make_daemon(start=False, listen=f"unix:{path}")
    daemon.socket_path = path
    options = [f"--setenv={name}={value}" for name, value in SANITIZER_OPTIONS.items()]
    daemon.start(wrapper=["systemd-socket-activate", *options, f"--listen={path}"], ready=False)
    daemon.wait_log("Listening on")
    with daemon.client() as client:
        assert client.deliver("s@remote.example", ["user@foo.org"], MESSAGE).final[0].code == 250
    daemon.stop()
    assert path.exists()
    with socket.socket(socket.AF_UNIX) as gone, pytest.raises(ConnectionRefusedError):
        gone.connect(str(path))
