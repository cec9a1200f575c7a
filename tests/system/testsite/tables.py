"""The site's table files, as Postfix and lmtpd both read them, and that of the passwords."""

from .directory import REPOSITORY

NAMES = ("transport", "uids", "gids", "mailboxes", "virtual", "passwords")


class Tables:
    """contrib/postfix/*.cf to the letter, but for the host: the private server, or what `hosts` says."""

    def __init__(self, directory, postgres, hosts=None):
        self.directory = directory
        hosts = hosts or f"{postgres.host}:{postgres.port}"
        for name in NAMES:
            text = (REPOSITORY / "contrib" / "postfix" / f"{name}.cf").read_text()
            assert text.count("hosts=localhost\n") == 1, name
            self.path(name).write_text(
                text.replace("hosts=localhost\n", f"hosts={hosts}\n"))

    def path(self, name):
        return self.directory / f"{name}.cf"

    def map(self, name):
        return f"pgsql:{self.path(name)}"

    def parameters(self):
        """As the site's main.cf names them. transport_maps is apart: only Postfix reads it."""
        return {
            "virtual_uid_maps": self.map("uids"),
            "virtual_gid_maps": self.map("gids"),
            "virtual_mailbox_maps": self.map("mailboxes"),
            "virtual_maps": self.map("virtual"),
        }
