"""Real LXC containers in a directory of their own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile

from stationd_plugins.host import process
from stationd_plugins.lxc import command as command_socket
from tests.functional.daemon import eventually
from tests.functional.lab import make_rootfs

INIT = """#!/bin/sh
trap 'exit 0' TERM
trap 'reboot -f' HUP
while :; do sleep 0.05; done
"""

CONFIG = """lxc.uts.name = {name}
lxc.rootfs.path = dir:{rootfs}
{network}
lxc.init.cmd = /bin/initsh
lxc.signal.halt = SIGTERM
lxc.signal.reboot = SIGHUP
"""


TRAPS = 1 << signal.SIGHUP - 1 | 1 << signal.SIGTERM - 1
"""The bits of what L{INIT} traps, in a mask of signals (proc(5))."""


class Lxc:
    """An LXC path, and the commands of LXC on it.

    @ivar prefix: what they are run by.
    """

    prefix: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="stationd-lxc-")

    def create(self, name: str, network: str = "lxc.net.0.type = empty") -> None:
        """A container, made by hand."""
        rootfs = os.path.join(self.path, name, "rootfs")
        make_rootfs(rootfs)
        init = os.path.join(rootfs, "bin/initsh")
        with open(init, "w", encoding="ascii") as file:
            file.write(INIT)
        os.chmod(init, 0o755)
        with open(os.path.join(self.path, name, "config"), "w", encoding="ascii") as file:
            file.write(CONFIG.format(name=name, rootfs=rootfs, network=network))

    def replace_init(self, name: str, script: str) -> None:
        """Give a container another first process."""
        init = os.path.join(self.path, name, "rootfs/bin/initsh")
        with open(init, "w", encoding="ascii") as file:
            file.write(script)

    def move(self, old: str, new: str) -> None:
        """What is to be done in a container's configuration when its directory was moved."""
        path = os.path.join(self.path, new, "config")
        with open(path, encoding="ascii") as file:
            text = file.read()
        with open(path, "w", encoding="ascii") as file:
            file.write(text.replace(f"/{old}/rootfs", f"/{new}/rootfs"))

    def run(self, command: str, name: str, *arguments: str) -> str:
        """C{lxc-COMMAND}; what it prints. A stop that is no kill waits for traps: before there are
        any the kernel drops what is sent to the first process of a PID namespace."""
        if (
            command == "stop"
            and "-k" not in arguments
            and not eventually(lambda: self._traps(name))
        ):
            raise AssertionError(f"{name} traps no signals")
        whole = [*self.prefix, f"lxc-{command}", "-P", self.path, "-n", name, *arguments]
        done = subprocess.run(whole, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"{' '.join(whole)}: {done.stdout}{done.stderr}")
        return done.stdout

    def _traps(self, name: str) -> bool:
        with contextlib.suppress(OSError):
            answers = command_socket.ask(self.path, name)
            if answers is not None:
                status = process.read_text(f"/proc/{answers.init_pid}/status")
                (caught,) = re.findall(r"^SigCgt:\s*(\w+)$", status, re.M)
                return int(caught, 16) & TRAPS == TRAPS
        return False

    def close(self) -> None:
        """Stop and remove everything."""
        for name in os.listdir(self.path):
            command = ["lxc-stop", "-P", self.path, "-n", name, "-k"]
            subprocess.run(command, capture_output=True, check=False)
        shutil.rmtree(self.path, ignore_errors=True)
