"""An LMTP server that takes everything and stores nothing: who came, by sender."""

import collections
import os
import re
import socketserver
import threading


class LmtpSink(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """`recipients`: for each sender, the addresses of every RCPT in all his transactions."""

    daemon_threads = True
    request_queue_size = 200

    def __init__(self, path):
        super().__init__(str(path), _Session)
        os.chmod(path, 0o666)
        self.recipients = collections.defaultdict(list)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class _Session(socketserver.StreamRequestHandler):
    def handle(self):
        self._say("220 sink ready")
        while line := self.rfile.readline().decode("utf-8", "surrogateescape").rstrip("\r\n"):
            verb = line[:4].upper()
            if verb == "LHLO":
                self._say("250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8")
            elif verb == "MAIL":
                sender, taken = re.search("<(.*?)>", line)[1], []
                self._say("250 2.1.0 ok")
            elif verb == "RCPT":
                taken.append(re.search("<(.*)>", line)[1])
                self._say("250 2.1.5 ok")
            elif verb == "DATA":
                self._say("354 go on")
                while self.rfile.readline() != b".\r\n":
                    pass
                self.server.recipients[sender] += taken
                for _ in taken:
                    self._say("250 2.0.0 ok")
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _say(self, text):
        self.wfile.write(text.encode() + b"\r\n")
