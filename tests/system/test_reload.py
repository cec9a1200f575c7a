"""A reload under mail that comes all the time: whether it is refused or not, nobody is deferred."""

import contextlib
import threading

from testsite import wait_until

MESSAGE = b"Subject: reload\n\nbody\n"
RELOADS = 6


class Stream:
    """Deliveries, each on a connection of its own, by several clients at once, and what they are answered."""

    def __init__(self, daemon, clients=4):
        self.daemon = daemon
        self.replies = []
        self.errors = []
        self.stopped = threading.Event()
        self.clients = [threading.Thread(target=self.deliver) for _ in range(clients)]

    def deliver(self):
        while not self.stopped.is_set():
            try:
                # Without a QUIT: between two messages a reload ends a session.
                with self.daemon.client() as client:
                    outcome = client.deliver("sender@remote.example", ["user@foo.org"], MESSAGE)
            except (OSError, AssertionError) as error:
                self.errors.append(error)
                return
            self.replies += [reply.code for reply in (outcome.mail, *outcome.recipients, *outcome.final)]

    def flows(self):
        """There are as many more replies."""
        before = len(self.replies)
        wait_until(lambda: self.errors or len(self.replies) > before + 30, "deliveries")

    def __enter__(self):
        for client in self.clients:
            client.start()
        self.flows()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for client in self.clients:
            client.join()


def test_a_refused_reload_defers_nothing(make_daemon, tables):
    """A query that only lookup can find wrong, when the new frontends are there already."""
    daemon = make_daemon(frontend_processes=2)
    bad = daemon.directory / "bad.cf"
    bad.write_text(tables.path("virtual").read_text() + "query = SELECT '%q'\n")
    daemon.parameters["virtual_maps"] = f"pgsql:{bad}"
    daemon.write()
    with Stream(daemon) as stream:
        for number in range(RELOADS):
            assert daemon.ctl("reload").returncode == 0
            daemon.wait_log("reload refused; the configuration of before stays", number + 1)
            stream.flows()
    assert stream.errors == []
    assert set(stream.replies) == {250}
    assert "lookup process is not available" not in daemon.log_text()


def test_nor_does_one_that_is_not(make_daemon):
    daemon = make_daemon(frontend_processes=2)
    with contextlib.ExitStack() as sessions:
        # Each old generation has a session that stays.
        with Stream(daemon) as stream:
            for number in range(3):
                client = sessions.enter_context(daemon.client())
                client.command("MAIL FROM:<sender@remote.example>")
                assert daemon.ctl("reload").returncode == 0
                daemon.wait_log("ready:", number + 2)
                stream.flows()
        assert stream.errors == []
        assert set(stream.replies) == {250}
