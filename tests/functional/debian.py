"""A fresh Debian 12 with systemd as its first process, booted in LXC.

The first time it is made by debootstrap, from the mirror that apt is set up with, and kept as
an archive. It lives in memory: packages are installed without waiting for a disk. pip inside is
set up as it is on this host, and the network is the host's.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import tempfile
import time

from tests.functional.lab import quietly
from tests.test_layers import ROOT

SUITE = "bookworm"

CACHE = "/var/cache/stationd-tests"

INCLUDED = ("systemd", "systemd-sysv", "dbus", "ca-certificates", "man-db", "curl")
"""What a minimal Debian lacks of a usual one."""

CLONE = "/root/stationd"
"""Where the repository is inside."""

BOOT = 180.0
"""Seconds that it may take, on a busy machine."""

CONFIG = """lxc.uts.name = {name}
lxc.rootfs.path = dir:{rootfs}
lxc.net.0.type = none
lxc.mount.auto = proc:rw sys:rw cgroup:mixed
lxc.init.cmd = /sbin/init
lxc.cap.drop =
lxc.apparmor.profile = unconfined
"""

MASKED = ("systemd-sysctl", "systemd-udevd", "systemd-networkd", "console-getty", "e2scrub_reap")
"""Services that would do something to the host, whose kernel and network it has."""

PASSED = re.compile(
    r"PIP_\w+|(https?|no|all)_proxy|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE", re.I
)
"""Environment variables by which pip and apt reach the network."""

COPIED = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")
"""Files by which they do."""


class Debian:
    """One, made, booted, and thrown away."""

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="stationd-debian-")
        self.name = os.path.basename(self.path)
        quietly(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self.path])
        self.rootfs = os.path.join(self.path, self.name, "rootfs")
        self.environment = [f"{k}={v}" for k, v in os.environ.items() if PASSED.fullmatch(k)]

    def boot(self) -> None:
        """Start it, and wait until systemd has."""
        archive = os.path.join(CACHE, f"{SUITE}-{'-'.join(INCLUDED)}.tar")
        os.makedirs(self.rootfs)
        if os.path.exists(archive):
            quietly(["tar", "-C", self.rootfs, "-xf", archive])
        else:
            bootstrap(self.rootfs, archive)
        self._set_up()
        with open(os.path.join(self.path, self.name, "config"), "w", encoding="ascii") as file:
            file.write(CONFIG.format(name=self.name, rootfs=self.rootfs))
        quietly(["lxc-start", "-P", self.path, "-n", self.name])
        deadline = time.monotonic() + BOOT
        while "running" not in (state := self.attach("systemctl is-system-running").stdout):
            # "degraded": a unit that needs a real machine has failed.
            if "degraded" in state:
                break
            if time.monotonic() > deadline:
                raise AssertionError(f"Debian does not boot: {state}")
            time.sleep(0.2)

    def attach(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a line of shell in the clone, as root who has logged in."""
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        whole = ["lxc-attach", "-P", self.path, "-n", self.name, "--clear-env", "--", "env"]
        whole += ["HOME=/root", "LANG=C.UTF-8", "TERM=dumb", path, *self.environment]
        whole += ["sh", "-c", f"cd {CLONE} && {command}"]
        return subprocess.run(
            whole, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )

    def run(self, command: str) -> str:
        """What a line of shell prints; it has to succeed."""
        done = self.attach(command)
        if done.returncode:
            journal = self.attach("journalctl --no-pager -n 60").stdout
            said = f"{done.stdout}{done.stderr}\n{journal}"
            raise AssertionError(f"{command!r} ended with {done.returncode}:\n{said}")
        return done.stdout

    def close(self) -> None:
        """Stop it; nothing of it stays."""
        command = ["lxc-stop", "-P", self.path, "-n", self.name, "-k"]
        subprocess.run(command, capture_output=True, check=False)
        subprocess.run(["umount", "-l", self.path], capture_output=True, check=False)
        shutil.rmtree(self.path, ignore_errors=True)

    def _set_up(self) -> None:
        unwanted = shutil.ignore_patterns(
            *(
                ".git",
                ".venv",
                "var",
                "build",
                "*.egg-info",
                "_trial_temp*",
                "__pycache__",
                ".*_cache",
            )
        )
        shutil.copytree(ROOT, self.rootfs + CLONE, ignore=unwanted)
        for service in MASKED:
            unit = f"{self.rootfs}/etc/systemd/system/{service}.service"
            if not os.path.lexists(unit):
                os.symlink("/dev/null", unit)
        users = [
            os.path.expanduser(f"~/{name}") for name in (".config/pip/pip.conf", ".pip/pip.conf")
        ]
        for path in (*COPIED, *users):
            inside = self.rootfs + path.replace(os.path.expanduser("~"), "/root", 1)
            if os.path.exists(path):
                os.makedirs(os.path.dirname(inside), exist_ok=True)
                # A link inside would lead out of it.
                if os.path.islink(inside):
                    os.unlink(inside)
                shutil.copyfile(path, inside)
        command = ["apt-config", "dump", "Acquire"]
        acquire = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        with open(f"{self.rootfs}/etc/apt/apt.conf.d/99host", "w", encoding="utf-8") as file:
            file.write(acquire)


def bootstrap(rootfs: str, archive: str) -> None:
    """Make a Debian, and an archive of it for the next time."""
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(INCLUDED)}"]
    quietly([*command, SUITE, rootfs, mirror()])
    shutil.rmtree(f"{rootfs}/var/cache/apt/archives", ignore_errors=True)
    os.makedirs(CACHE, exist_ok=True)
    # Whole, or under another name.
    quietly(["tar", "-C", rootfs, "-cf", f"{archive}.part", "."])
    os.rename(f"{archive}.part", archive)


def mirror() -> str:
    """The first mirror of Debian's that apt is set up with."""
    paths = ["/etc/apt/sources.list", *sorted(glob.glob("/etc/apt/sources.list.d/*"))]
    for path in paths:
        if not path.endswith((".list", ".sources")) or not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as file:
            text = file.read()
        found = re.search(
            r"^(?:deb(?: \[[^]]*\])?|URIs:)\s+(https?://\S*debian/?)(?=\s)", text, re.MULTILINE
        )
        if found:
            return found[1]
    return "http://deb.debian.org/debian"
