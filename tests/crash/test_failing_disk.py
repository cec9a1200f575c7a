"""A journal abort or a shutdown between publishing and the last sync never gets a 250; on this kernel, and
on Debian 12's under QEMU."""

import shutil

import pytest

from conftest import missing
from rig.failing_disk import FAILURES, GUEST_LOADS, LOADS, fail_at_every_sync
from rig.gate import Verdict
from rig.guest import KERNEL, run_in_guest


def assert_promise(findings):
    """`findings`: all of one failure and one load."""
    for finding in findings:
        assert not finding.lost, finding
        assert all(reply.startswith("451 ") for reply in finding.replies), finding
        assert finding.group == LOADS[finding.load].group, finding
        if finding.load != "at once" and finding.published:
            assert finding.acknowledged == 0 and len(finding.replies) == finding.published, finding
        if LOADS[finding.load].then is Verdict.DROP:
            assert finding.replies and all("after the last sync" in reply for reply in finding.replies), finding
    # Else nothing was shown: a failure came between publishing and the last sync.
    assert any(finding.published and finding.replies for finding in findings)


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("failure", FAILURES)
def test_no_250_once_the_file_system_has_failed(site, failure, load):
    findings = list(fail_at_every_sync(site, failure, load))
    print(*findings, sep="\n")
    assert_promise(findings)


def test_nor_on_the_kernel_of_debian_12(site, build):
    for program in ("qemu-system-x86_64", "busybox"):
        if not shutil.which(program):
            missing(f"{program} is not installed")
    if not KERNEL.is_dir():
        missing(f"no kernel in {KERNEL}")
    release, findings = run_in_guest(site, build)
    print(release, *findings, sep="\n")
    assert release.startswith("6.1.")
    for failure in FAILURES:
        for load in GUEST_LOADS:
            assert_promise([each for each in findings if (each.failure, each.load) == (failure, load)])
