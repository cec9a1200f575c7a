#!/usr/bin/env python3
"""tests/check_layers.py TREE [BIN] -- the folders are layers, and links go one way.

Checks every #include and every lmtpd_layer() of TREE against docs/architecture.md's layers, and with
BIN that the programs which run with privileges load no library that parses what strangers send.
"""

import pathlib
import re
import subprocess
import sys

# Each folder, and the folders that it may use beside itself.
LAYERS = {
    "lmtpd/base": set(),
    "lmtpd/event": {"lmtpd/base"},
    "maildir": {"lmtpd/base"},
    "lookup/files": {"lmtpd/base"},
    "lookup/auth": {"lmtpd/base"},
    "lookup": {"lmtpd/base", "lmtpd/event", "lookup/auth", "lookup/files"},
    "lookup/check": {"lmtpd/base", "lmtpd/event", "lookup/auth", "lookup/files", "lookup"},
    "lmtpd/session": {"lmtpd/base"},
    "lmtpd/frontend": {"lmtpd/base", "lmtpd/event", "lmtpd/session", "lookup/files"},
    "lmtpd/delivery": {"lmtpd/base", "maildir"},
    "lmtpd/sync": {"lmtpd/base"},
    "lmtpd/master": {"lmtpd/base", "lookup/files"},
    "lmtpd/ctl": {"lmtpd/base", "lmtpd/session", "lookup/check"},
}

# Headers of libraries, and the only folders that may include them.
LIBRARIES = {
    r"event2?/": {"lmtpd/event", "lmtpd/frontend", "lookup", "lookup/check"},
    r"libpq-fe\.h|postgresql/": {"lookup", "lookup/check"},
    r"sqlite3\.h": {"lookup", "lookup/check"},
    r"openssl/": {"lmtpd/frontend", "lookup/auth"},
    r"crypt\.h": {"lookup/auth"},
    r"unicode/": {"lookup", "lookup/auth"},
    r"sodium": {"lmtpd/base", "lookup", "lookup/auth"},
}

# The session is sans-I/O: no socket, event or TLS header, and no clock or file of its own.
SESSION_FORBIDS = re.compile(
    r"(sys/(socket|un|epoll|poll|select|uio)|netinet/\w+|arpa/inet|poll|unistd|fcntl)\.h|(event2?|openssl)/")

# Programs that run as root, as a mailbox's owner, or for all mail, and what they never load.
PRIVILEGED = ("lmtpd", "lmtpd-worker", "lmtpd-committer")
FORBIDDEN_LIBRARIES = ("libevent", "libpq", "libssl", "libcrypto")

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)


def layer_of(path):
    """The layer that a path from the top of the tree lies in: the longest folder that is one."""
    fitting = [layer for layer in LAYERS if path == layer or path.startswith(layer + "/")]
    return max(fitting, key=len, default=None)


def check_includes(tree):
    faults = []
    for top in ("lmtpd", "maildir", "lookup"):
        for file in sorted((tree / top).rglob("*")):
            if file.suffix not in (".h", ".cc"):
                continue
            name = str(file.relative_to(tree))
            own = layer_of(name)
            if own is None:
                faults.append(f"{name}: in no layer; tests/check_layers.py names them")
                continue
            for quote, included in INCLUDE.findall(file.read_text()):
                faults += [f"{name}: {fault}" for fault in include_faults(tree, own, quote, included)]
    return faults


def include_faults(tree, own, quote, included):
    if quote == '"':
        if not (tree / included).is_file():
            yield f'"{included}" is no path from the top of the tree'
            return
        other = layer_of(included)
        if other != own and other not in LAYERS[own]:
            yield f'"{included}": {own} may not use {other or included.split("/")[0]}'
    for pattern, users in LIBRARIES.items():
        if re.match(pattern, included) and own not in users:
            yield f"<{included}>: only {', '.join(sorted(users))} may"
    if own == "lmtpd/session" and SESSION_FORBIDS.match(included):
        yield f"<{included}>: a session does no I/O"


def check_links(tree):
    """LINKS of each lmtpd_layer(), by the folder that declares the library."""
    declared = {}
    for top in ("lmtpd", "maildir", "lookup"):
        for file in sorted((tree / top).rglob("CMakeLists.txt")):
            text = re.sub(r"#.*", "", file.read_text())
            for name, arguments in re.findall(r"lmtpd_layer\(\s*(\w+)([^)]*)\)", text):
                links = arguments.split("LINKS", 1)[1].split() if "LINKS" in arguments else []
                declared[name] = (layer_of(str(file.parent.relative_to(tree))), links)
    faults = []
    for name, (own, links) in declared.items():
        for link in links:
            other = declared.get(link, (None,))[0]
            if other is not None and other != own and other not in LAYERS[own]:
                faults.append(f"{name}: {own} may not link {link} of {other}")
    return faults


def check_programs(bin_directory):
    faults = []
    for program in PRIVILEGED:
        path = bin_directory / program
        if not path.is_file():
            faults.append(f"{path}: not built")
            continue
        # What it loads itself and what those load in turn.
        loaded = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"^\s*(\S+)", loaded, re.MULTILINE):
            if library.startswith(FORBIDDEN_LIBRARIES):
                faults.append(f"{program} loads {library}")
    return faults


def main(arguments):
    if not arguments:
        sys.exit(__doc__)
    tree = pathlib.Path(arguments[0]).resolve()
    faults = check_includes(tree) + check_links(tree)
    if len(arguments) > 1:
        faults += check_programs(pathlib.Path(arguments[1]))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
