"""A Docker engine that tests may stop and kill."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time

from tests.functional import lab

ROOTS = ("data", "other")
"""Data-roots, in the engine's directory. What is on the other is not removed one by one."""


class Engine:
    """A dockerd beside the laboratory's, without networks.

    @ivar url: where it listens.
    """

    def __init__(self, *options: str) -> None:
        lab.docker_url()
        self.directory = tempfile.mkdtemp(prefix="stationd-engine-")
        self.url = f"unix://{self.directory}/docker.sock"
        self._command = [
            *("dockerd", "--exec-root", f"{self.directory}/exec", "-H", self.url),
            *("--pidfile", f"{self.directory}/docker.pid", "--bridge", "none"),
            *("--iptables=false", *options),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, root: str = "data") -> None:
        """Start it, and wait until it answers.

        @param root: its data-root: one of L{ROOTS}.
        """
        command = [*self._command, "--data-root", f"{self.directory}/{root}"]
        with open(f"{self.directory}/dockerd.log", "ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + lab.READY
        while not lab.answers(self.url):
            if self._process.poll() is not None or time.monotonic() > deadline:
                with open(f"{self.directory}/dockerd.log", encoding="utf-8") as said:
                    raise AssertionError(f"the engine does not get ready:\n{said.read()[-4000:]}")
            time.sleep(0.05)

    def make_image(self) -> None:
        """Give it the image that containers are made from."""
        directory = os.path.join(self.directory, "image")
        os.makedirs(directory)
        lab.make_image(self.url, directory)

    def stop(self) -> None:
        """SIGTERM: it stops its containers, unless it is to let them live."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: its containers live on until it comes back."""
        self._end(signal.SIGKILL)
        # Its containerd dies with it. Where nobody reaps it, the next engine would take
        # it to be alive.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.directory}/exec/containerd/containerd.pid")

    def _end(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(60)

    @property
    def pid(self) -> int:
        """The process id of the engine, which runs."""
        assert self._process is not None
        return self._process.pid

    def docker(self, *arguments: str) -> str:
        """What the docker command prints."""
        return lab.docker(self.url, *arguments)

    def _left(self) -> list[int]:
        """Processes that were started for a directory of ours."""
        found: list[int] = []
        for name in filter(str.isdecimal, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
                if self.directory.encode() in file.read():
                    found.append(int(name))
        return found

    def close(self) -> None:
        """Remove its containers, itself and its state."""
        if self._process is None or self._process.poll() is not None:
            self.start()
        names = self.docker("ps", "-aq").split()
        if names:
            subprocess.run(
                ["docker", "-H", self.url, "rm", "-f", *names], check=False, capture_output=True
            )
        self.stop()
        for pid in self._left():
            # Shims of containers that an engine which was killed has lost.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for root in (*ROOTS, "exec"):
            subprocess.run(
                ["umount", "-R", "-l", f"{self.directory}/{root}"], check=False, capture_output=True
            )
        shutil.rmtree(self.directory, ignore_errors=True)
        assert not os.path.exists(f"{self.directory}/docker.sock")
