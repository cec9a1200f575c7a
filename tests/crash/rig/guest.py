"""Another kernel: boots it under QEMU with the programs of this build, and runs failing_disk there.

All that the guest has is in its initramfs: busybox, Python, mkfs, the daemon, and their libraries, as
they are on this machine. What it finds comes over its serial port. It runs under KVM where that works.
"""

import compileall
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

from testsite.directory import REPOSITORY

from .failing_disk import Finding

# contrib/install-deps --tests puts Debian's package here, unpacked.
KERNEL = REPOSITORY / "build" / "kernel"

INIT = """#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LMTPD_BUILD=/build
busybox mount -t proc none /proc
busybox mount -t sysfs none /sys
busybox mount -t devtmpfs none /dev
busybox mount -t tmpfs -o mode=1777 none /tmp
for module in loop libcrc32c xfs xor raid6_pq zstd_compress btrfs; do busybox insmod /modules/$module.ko; done
python3 -B /lmtpd/tests/crash/rig/failing_disk.py
busybox poweroff -f
"""

MODULES = ("kernel/drivers/block/loop.ko", "kernel/lib/libcrc32c.ko",
           "kernel/fs/xfs/xfs.ko", "kernel/crypto/xor.ko", "kernel/lib/raid6/raid6_pq.ko",
           "kernel/lib/zstd/zstd_compress.ko", "kernel/fs/btrfs/btrfs.ko")


def run_in_guest(site, build):
    """(the kernel's release, [Finding])"""
    image = make_initramfs(site, build)
    (vmlinuz,) = KERNEL.glob("boot/vmlinuz-*")
    output = site.path / "guest.output"
    # no_timer_check: on a busy machine an emulated timer may be late for the check at boot.
    with open(output, "wb") as serial:
        subprocess.run(
            ["qemu-system-x86_64", "-accel", _accelerator(), "-cpu", "max", "-m", "1024", "-nodefaults",
             "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", vmlinuz,
             "-initrd", image, "-append", "console=ttyS0 quiet no_timer_check mitigations=off panic=-1"],
            stdin=subprocess.DEVNULL, stdout=serial, stderr=serial, timeout=1700, check=False)
    text = output.read_text(errors="replace")
    if not re.search(r"COMPLETE\s", text):
        raise RuntimeError(f"the guest did not complete:\n{text[-8000:]}")
    findings = [Finding(**json.loads(found)) for found in re.findall(r"FINDING (\{.*\})", text)]
    return re.search(r"KERNEL (\S+)", text).group(1), findings


def _accelerator():
    """/dev/kvm can be there where the processor's extensions are not, and then no guest runs."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as cpuinfo:
        extensions = re.search(r"\b(vmx|svm)\b", cpuinfo.read())
    return "kvm" if extensions and os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg,thread=multi"


def make_initramfs(site, build):
    root = site.make("guest")
    for directory in ("proc", "sys", "dev", "tmp", "root", "run", "etc", "bin", "lmtpd/tests"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)
    for name in ("passwd", "group"):
        shutil.copy2(f"/etc/{name}", root / "etc" / name)
    _add_rig(root)
    (modules,) = KERNEL.glob("lib/modules/*")
    for name in MODULES:
        _add(root, modules / name, pathlib.Path("/modules") / pathlib.Path(name).name)
    programs = [pathlib.Path(shutil.which(name)) for name in ("busybox", "mkfs.ext4", "mkfs.xfs", "mkfs.btrfs",
                                                              "prlimit")]
    shutil.copy2(programs[0], root / "bin" / "busybox")
    copied = [_add(root, path, path) for path in programs]
    copied += _add_daemon(root, build) + _add_python(root)
    _add_libraries(root, copied)
    image = site.path / "initramfs"
    with open(image, "wb") as archive:
        names = "\n".join(str(path.relative_to(root)) for path in [root, *root.rglob("*")])
        subprocess.run(["busybox", "cpio", "-o", "-H", "newc"], cwd=root, input=names.encode(), stdout=archive,
                       stderr=subprocess.DEVNULL, check=True)
    return image


def _add_rig(root):
    """Of the site's parts only those that the rig uses: the others would have a guest load PostgreSQL's
    and Postfix's."""
    for tree in ("crash/rig", "system/testsite"):
        shutil.copytree(REPOSITORY / "tests" / tree, root / "lmtpd/tests" / tree)
    (root / "lmtpd/tests/system/testsite/__init__.py").write_text("")
    compileall.compile_dir(root / "lmtpd", quiet=1, stripdir=root)


def _add_python(root):
    """The interpreter and its library, compiled as it is."""
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    shutil.copytree(library, _below(root, library), symlinks=True,
                    ignore=shutil.ignore_patterns("test", "idlelib", "config-*", "lib2to3", "ensurepip"))
    program = pathlib.Path(os.path.realpath(sys.executable))
    return [_add(root, program, pathlib.Path("/usr/bin/python3")), *library.rglob("*.so")]


def _add_daemon(root, build):
    """Without what only a debugger reads."""
    target = root / "build/bin"
    target.mkdir(parents=True)
    programs = list((build / "bin").iterdir())
    for program in programs:
        subprocess.run(["strip", "-o", target / program.name, program], check=True)
    return programs


def _add(root, source, target):
    target = _below(root, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
    return source


def _add_libraries(root, programs):
    """What ldd(1) says that `programs` load, at its own place."""
    listed = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    for library in set(re.findall(r"(/\S+) \(0x", listed)):
        target = _below(root, pathlib.Path(library))
        if not target.exists():
            _add(root, pathlib.Path(library), pathlib.Path(library))


def _below(root, path):
    return root / str(path).lstrip("/")
