"""The contenders by name, in the order of the tables.

Each resolves its users through the site's PostgreSQL and delivers into the same maildirs, but for
Cyrus, whose users and mailboxes are its own, and the bare loops, which know no users.
"""

from .cyrus import Cyrus
from .dovecot import Dovecot, DovecotCached, DovecotWithoutSync
from .floor import Floor
from .lmtpd import Lmtpd, LmtpdLargeCache, LmtpdOwnSyncs, LmtpdWithoutSync
from .postfix import PostfixToLmtpd, PostfixToSink, PostfixVirtual

CONTENDERS = {each.name: each for each in (
    Floor, Lmtpd, Dovecot, DovecotCached, Cyrus, PostfixVirtual, PostfixToSink, PostfixToLmtpd,
    LmtpdWithoutSync, DovecotWithoutSync, LmtpdLargeCache, LmtpdOwnSyncs)}
