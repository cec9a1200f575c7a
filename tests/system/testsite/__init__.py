"""A private mail site in a temporary directory: PostgreSQL, Postfix, Dovecot and lmtpd.

Each part is a class that starts processes of its own, on ports and sockets of its own, and ends
them by their pid. Nothing outside the site's directory is read or written, but that the system users
of lmtpd's roles are made where they are missing. Needs root. Knows no pytest; bench/ uses it too.
"""

from .certificates import Authority, client_context
from .daemon import Lmtpd
from .directory import (PATIENCE, REPOSITORY, SiteDirectory, build_directory, ensure_users, free_port,
                        wait_until)
from .dovecot import DovecotProxy, PrivateDovecot, dovecot_hash
from .exim import PrivateExim
from .lmtp import Lmtp, Reply
from .maildir import Stored, newest, stored
from .pgbouncer import PrivatePgbouncer
from .postfix import PrivatePostfix
from .postgres import PrivatePostgres
from .proxies import Distance, HoldingProxy
from .slow_clients import SlowClients
from .tables import Tables

__all__ = [
    "Authority",
    "Distance",
    "DovecotProxy",
    "HoldingProxy",
    "Lmtp",
    "Lmtpd",
    "PATIENCE",
    "PrivateDovecot",
    "PrivateExim",
    "PrivatePgbouncer",
    "PrivatePostfix",
    "PrivatePostgres",
    "REPOSITORY",
    "Reply",
    "SiteDirectory",
    "SlowClients",
    "Stored",
    "Tables",
    "build_directory",
    "client_context",
    "dovecot_hash",
    "ensure_users",
    "free_port",
    "newest",
    "stored",
    "wait_until",
]
