"""A journal or transaction abort or a shutdown between publishing and the last sync never gets a 250; on this
kernel, and on Debian 12's under QEMU."""

import shutil

import pytest

from conftest import missing
from rig.failing_disk import LOADS, cases, fail_at_every_sync, guest_cases, shares_syncs
from rig.gate import Verdict
from rig.guest import KERNEL, run_in_guest


def assert_promise(findings):
    """`findings`: all of one failure and one load."""
    for finding in findings:
        assert not finding.lost, finding
        assert all(reply.startswith("451 ") for reply in finding.replies), finding
        assert_held(finding)
        if finding.load not in ("at once", "shared", "shared proof") and finding.published:
            assert finding.acknowledged == 0 and len(finding.replies) == finding.published, finding
        if LOADS[finding.load].then is Verdict.DROP:
            of_proof = ["after the last sync" in reply for reply in finding.replies]
            assert any(of_proof) if LOADS[finding.load].shared else of_proof and all(of_proof), finding
    # Else nothing was shown: a failure came between publishing and the last sync.
    assert any(finding.published and finding.replies for finding in findings)


def assert_held(finding):
    """What was held is what the load and the file system say."""
    load = LOADS[finding.load]
    is_shared = shares_syncs(finding.failure)
    assert is_shared or not finding.shared, finding
    if len(load.before) == 1:  # alone
        assert not finding.shared and finding.group == 0, finding
    elif load.group:
        assert finding.shared == is_shared and finding.group == (0 if is_shared else load.group), finding
        assert finding.published == load.group, finding
    elif load.shared:
        assert finding.shared and finding.published > 1, finding


@pytest.mark.parametrize("failure, load", cases())
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
    for case in guest_cases():
        assert_promise([each for each in findings if (each.failure, each.load) == case])
