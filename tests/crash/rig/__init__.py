"""The parts of the crash rig. No part knows pytest; failing_disk runs inside a guest too.

In reading order: recorder (a disk whose writes are logged), write_log (the log's format, and what a power cut leaves
of it), moments (several disks at one time), mailsite and load (the daemon, and who was told what), recording (the
daemon under load on such disks), workloads (that load), cuts (which images are made), image (what must be true of
one), gate (holds, drops or passes each sync that the daemon asks for), failing_disk (journal abort and shutdown),
guest (another kernel), thin_disk (room for a file system's own data only).
"""

import pathlib
import sys

# The daemon, the LMTP client and the site's directory are those of the system tests.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "system"))
