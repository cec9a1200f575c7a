"""What the figures were taken on."""

import os
import pathlib
import platform
import subprocess


def describe(workdir, repository, file_system=None):
    """`file_system`: of the kind that each run has on a loop device; None where no mail is stored."""
    disk = _output("findmnt", "-n", "-o", "FSTYPE", "-T", workdir)
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": platform.release(),
        "system": _system(),
        "file_system": f"{file_system} on a loop device over a file on {disk}" if file_system else disk,
        "load_before": os.getloadavg()[0],
        "commit": _output("git", "-C", repository, "describe", "--always", "--dirty") or "unknown",
    }


def text(machine):
    return (f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']} GiB, "
            f"Linux {machine['kernel']}, {machine['system']}; {machine['file_system']}; "
            f"load average before: {machine['load_before']:.2f}; lmtpd {machine['commit']}")


def package_version(package):
    return _output("dpkg-query", "-W", "-f", "${Version}", package) or "not installed"


def _output(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _system():
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()
