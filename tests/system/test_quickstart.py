"""contrib/quickstart ends with the message in a maildir that was not there before."""

import re
import subprocess

from testsite import REPOSITORY


def test_quickstart_shows_the_message_in_its_maildir(build):
    done = subprocess.run([REPOSITORY / "contrib" / "quickstart", "--build", build],
                          capture_output=True, text=True, timeout=300, check=False)
    shown = done.stdout
    assert done.returncode == 0, shown + done.stderr
    assert "C: RCPT TO:<foo@foo.org>" in shown
    assert re.search(r"^S: 250 2\.0\.0 ", shown, re.MULTILINE)
    assert re.search(r"to=<user@foo\.org>, orig_to=<foo@foo\.org>, .*dsn=2\.0\.0, status=sent", shown)
    assert re.search(r"^drwx--x--x 0:0 foo\.org$", shown, re.MULTILINE)
    assert re.search(r"^drwx--x--x 0:0 foo\.org/mails$", shown, re.MULTILINE)
    for folder in ("", "/cur", "/new", "/tmp"):
        assert re.search(rf"^drwx------ 1002:1002 foo\.org/mails/user{folder}$", shown, re.MULTILINE)
    files = re.findall(r"^-\S+ \S+ (\S+)$", shown, re.MULTILINE)
    assert len(files) == 1 and files[0].startswith("foo.org/mails/user/new/")
    assert "owner 1002:1002, mode 0600" in shown
    assert "\nDelivered-To: user@foo.org\n" in shown and "\nIt works.\n" in shown
    assert "X-Original-To: foo@foo.org" in shown
