#!/usr/bin/python3
"""docs/protocol.md: each point of points.txt with the tests that name it.

    tests/protocol/table.py           writes it
    tests/protocol/table.py --check   fails where it is not what would be written, or a point has no test

A test names points by a comment or a line of its docstring that is nothing else, in a trailing comment, in
parentheses at the end of a docstring's sentence ("A1, H3-H5"), or at the start of a dialogue's heading.
"""
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
DOCUMENT = TESTS.parent / "docs" / "protocol.md"
ONE = r"[A-N]\d{1,2}(?:-[A-N]\d{1,2})?"
LIST = rf"{ONE}(?:, {ONE})*"
NAMED = {
    ".cc": re.compile(rf"// ({LIST})$"),
    ".py": re.compile(rf"(?:# ({LIST})$|\(({LIST})\)[.:;,]|^\s*\"*({LIST})\.?\"*$)"),
}
TEST = {
    ".cc": re.compile(r"^(?:TEST|TEST_F|TEST_P)\((\w+), (\w+)\)"),
    ".py": re.compile(r"^def (test_\w+)\("),
}
HEADING = re.compile(rf"^== ((?:{ONE} )+)(.*)$")
HEAD = """# Protocol, point by point

What a conformance test of the server has to show, and the test that shows it. Behind a dash stands what lmtpd does where the
standards leave a choice, contradict each other, or were not followed, and why. Made by `tests/protocol/table.py` from
`tests/protocol/points.txt` and the tests that name a point; `ctest -R protocol.table` fails where a point has no test.

The dialogues (`*.txt`) are performed with a bare session, and over a unix socket, TCP and TLS; each time a line when its turn comes,
an octet at a time, and all at once, or up to where something happens between two commands: time passes, the daemon is stopped, TLS
begins. Each time the whole transcript is the same; where a dialogue cannot be had somewhere, a line `only` in it says why.
"""

FUZZING = """## What a stranger may send

Beside the tests there are fuzz targets for all that comes from outside, and for what one role sends to another, since one may
have been taken over. Each runs the code itself against rules that it promises, or against a second, plainer account of them
in the target. `contrib/test fuzz` builds them (clang, libFuzzer, AddressSanitizer, UndefinedBehaviorSanitizer), with seeds from
the dialogues and from messages in good order, and runs each for `LMTPD_FUZZ_SECONDS`.

| target | input |
|---|---|
| `fuzz_session` | a whole session, with XCLIENT, XFORWARD, STARTTLS and AUTH; lookups and deliveries are the input's, too |
| `fuzz_command` | command lines: paths, addresses, ESMTP parameters, attributes, and what becomes of them in headers and log |
| `fuzz_data`, `fuzz_bdat` | a message behind DATA, and in chunks, against a reference |
| `fuzz_auth` | SASL exchanges, and stored passwords |
| `fuzz_proxy_header` | HAProxy's PROXY header |
| `fuzz_socketmap` | what Postfix asks of `socketmap_listen` |
| `fuzz_tables`, `fuzz_config` | table files and keys; lmtpd.cf and main.cf |
| `fuzz_channel` | a packet between two roles, as any of their messages, with descriptors; tickets |
| `fuzz_worker_channel` | a worker, by a frontend that was taken over |
| `fuzz_lookup_channel` | lookup, by a frontend that was taken over |
| `fuzz_frontend` | a whole frontend: its clients, lookup, workers and master, in any order |
| `fuzz_frontend_channels` | a frontend, by a worker or lookup that was taken over |

An hour of CPU of each in this table, two at a time, in parts that ended on 2026-11-27, some before the last mends (2 cores;
executions, without those of a quarter of `fuzz_lookup_channel`'s, covered edges, and most memory). What they found is mended; a
time-out of `fuzz_channel`, after 3,898 s of which the process had at most 34 s of CPU, is an input that takes 3 ms by itself.
Most of the memory is the corpus and what AddressSanitizer keeps of freed memory: where it keeps 1 MiB
(`ASAN_OPTIONS=quarantine_size_mb=1:thread_local_quarantine_size_kb=64`), `fuzz_session` had 57 MiB at most in 801 executions of
40 inputs of its corpus, and 55 in 6,271; each of the others had 40 to 65 MiB, and at most 2 more in 20,000 executions of 40
inputs than in 2,000 (`fuzz_lookup_channel`: 59 in 200 and in 2,000).

| target | million executions | coverage | most MiB |
|---|---|---|---|
| `fuzz_session` | 0.39 | 3,464 | 668 |
| `fuzz_command` | 1.4 | 1,263 | 519 |
| `fuzz_data` | 51 | 347 | 525 |
| `fuzz_bdat` | 18 | 302 | 497 |
| `fuzz_proxy_header` | 353 | 82 | 509 |
| `fuzz_tables` | 9.3 | 1,436 | 520 |
| `fuzz_channel` | 13 | 825 | 136 |
| `fuzz_worker_channel` | 6.4 | 1,451 | 330 |
| `fuzz_lookup_channel` | 2.6 | 3,118 | 176 |
| `fuzz_frontend_channels` | 7.3 | 1,826 | 381 |

`fuzz_auth` had its hour before later changes (67 million, 921); `fuzz_frontend` has had 16 minutes (0.23 million, 4,727),
`fuzz_socketmap` two (0.27 million, 995), `fuzz_config` no more than CI's one.
"""


def points():
    """[(heading, [(id, source, requirement)])]"""
    sections = []
    for line in (TESTS / "protocol" / "points.txt").read_text().splitlines():
        if line.startswith("== "):
            sections.append((line[3:], []))
        elif line and not line.startswith("#"):
            sections[-1][1].append(tuple(part.strip() for part in line.split("|", 2)))
    return sections


def ids(text):
    """"A1, H3-H5" -> A1 H3 H4 H5"""
    for first, last in re.findall(r"([A-N]\d{1,2})(?:-([A-N]\d{1,2}))?", text):
        for number in range(int(first[1:]), int((last or first)[1:]) + 1):
            yield f"{first[0]}{number}"


def of_dialogues(path):
    for line in path.read_text().splitlines():
        if found := HEADING.match(line):
            for point in ids(found[1]):
                yield point, f"{path.name}: {found[2]}"


def of_program(path):
    test = None
    for line in path.read_text().splitlines():
        if found := TEST[path.suffix].match(line):
            test = ".".join(found.groups()) if path.suffix == ".cc" else f"{path.name}: {found[1]}"
        if test and (found := NAMED[path.suffix].search(line)):
            for point in ids(next(filter(None, found.groups()))):
                yield point, test


def tests():
    """{id: [test]}"""
    named = {}
    for path in sorted(TESTS.rglob("*")):
        if path.parent.name == "dialogues":
            found = of_dialogues(path)
        elif path.suffix in TEST and path.parent.name != "protocol":
            found = of_program(path)
        else:
            continue
        for point, test in found:
            if test not in named.setdefault(point, []):
                named[point].append(test)
    return named


def document(sections, named):
    lines = [HEAD]
    for heading, section in sections:
        lines += [f"## {heading}", "", "| | from | what | test |", "|---|---|---|---|"]
        for point, source, requirement in section:
            shown = "<br>".join(f"`{test}`" for test in named.get(point, []))
            lines.append(f"| {point} | {source} | {requirement.replace(' -- ', ' — ')} | {shown} |")
        lines.append("")
    return "\n".join([*lines, FUZZING])


def main():
    sections, named = points(), tests()
    text = document(sections, named)
    if sys.argv[1:] != ["--check"]:
        DOCUMENT.write_text(text)
        return
    known = {point for _, section in sections for point, _, _ in section}
    faults = [f"{point}: no test" for _, section in sections for point, _, _ in section if point not in named]
    faults += [f"{point}: named by {named[point][0]}, and no point" for point in named.keys() - known]
    if not DOCUMENT.exists() or DOCUMENT.read_text() != text:
        faults.append(f"{DOCUMENT.name} is not what {sys.argv[0]} writes")
    sys.exit("\n".join(faults) if faults else 0)


if __name__ == "__main__":
    main()
