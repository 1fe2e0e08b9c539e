"""The laboratory: a Docker engine and a registry of our own, on paths of our own.

C{python -m tests.functional.lab COMMAND …} installs what is missing (as root, with
apt), starts the engine and the registry, runs the command with their addresses in
its environment, and stops all it started, whatever happens.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable, Iterator

PACKAGES = {
    "docker.io": "/usr/sbin/dockerd",
    "lxc": "/usr/bin/lxc-start",
    "busybox-static": "/bin/busybox",
    "docker-registry": "/usr/bin/docker-registry",
    "iptables": "/usr/sbin/iptables",
    "nftables": "/usr/sbin/nft",
    "iproute2": "/usr/sbin/ip",
    "libfaketime": "/usr/lib/*/faketime/libfaketime.so.1",
    "rsync": "/usr/bin/rsync",
    "uidmap": "/usr/bin/newuidmap",
    "curl": "/usr/bin/curl",
    "debootstrap": "/usr/sbin/debootstrap",
    "gcc": "/usr/bin/gcc",
    "libc6-dev": "/usr/include/stdio.h",
}
"""Debian packages, and a file by which each is known to be there."""

DOCKER = "STATIOND_TEST_DOCKER"
REGISTRY = "STATIOND_TEST_REGISTRY"

BRIDGE, ADDRESS = "stationd-lab", "172.31.250.1/24"

IMAGE = "bb:latest"

APPLETS = ("sh", "sleep", "true", "false", "cat", "ls", "dd", "tail", "head", "kill", "reboot")
"""What of busybox containers can call."""

READY = 60.0
"""Seconds that the engine or the registry may take to answer."""


def docker_url() -> str:
    """The engine's address. Skips the test where there is none; on CI that fails."""
    return _needed(DOCKER, "no Docker engine of the laboratory: run `make test` as root")


def registry() -> str:
    """The registry's host and port."""
    return _needed(REGISTRY, "no registry of the laboratory: run `make test` as root")


def need_root() -> None:
    """Skip where nothing can be mounted; on CI that fails."""
    if os.getuid() != 0:
        _missing("mounting takes root: run `make test` as root")


def need_lxc() -> None:
    """Skip where LXC containers cannot be made; on CI that fails."""
    if os.getuid() != 0 or not os.path.exists(PACKAGES["lxc"]):
        _missing("LXC takes root and Debian's lxc package: run `make test` as root")


def _needed(name: str, reason: str) -> str:
    found = os.environ.get(name)
    if not found:
        _missing(reason)
    assert found
    return found


def _missing(reason: str) -> None:
    if os.environ.get("CI") == "true":
        raise AssertionError(reason)
    raise unittest.SkipTest(reason)


def main(command: list[str]) -> int:
    """Run a command in the laboratory; its exit code."""
    if os.getuid() != 0:
        print("not root: tests that need Docker or LXC are skipped")
        return subprocess.call(command)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    install()
    with contextlib.ExitStack() as stack:
        directory = tempfile.mkdtemp(prefix="stationd-lab-")
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        print("starting a Docker engine and a registry", flush=True)
        stack.enter_context(bridge())
        url = stack.enter_context(engine(directory))
        address = stack.enter_context(registry_server(directory))
        make_image(url, directory)
        environment = {**os.environ, DOCKER: url, REGISTRY: address}
        return subprocess.call(command, env=environment)


def install() -> None:
    """Install what is missing; services that come with it are not started."""
    missing = [name for name, path in PACKAGES.items() if not glob.glob(path)]
    if not missing:
        return
    print(f"installing {' '.join(missing)}", flush=True)
    policy = "/usr/sbin/policy-rc.d"
    ours = not os.path.exists(policy)
    if ours:
        with open(policy, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexit 101\n")
        os.chmod(policy, 0o755)
    try:
        quietly(["apt-get", "update"])
        quietly(["apt-get", "install", "-y", "--no-install-recommends", *missing])
    finally:
        if ours:
            os.unlink(policy)


def quietly(command: list[str]) -> None:
    """Run a command; show what it printed only if it fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


@contextlib.contextmanager
def bridge() -> Iterator[None]:
    """A bridge of our own, so that another engine on this host keeps its."""
    if not os.path.exists(f"/sys/class/net/{BRIDGE}"):
        quietly(["ip", "link", "add", BRIDGE, "type", "bridge"])
        quietly(["ip", "addr", "add", ADDRESS, "dev", BRIDGE])
    quietly(["ip", "link", "set", BRIDGE, "up"])
    try:
        yield
    finally:
        subprocess.run(["ip", "link", "delete", BRIDGE], check=False, capture_output=True)


@contextlib.contextmanager
def engine(directory: str) -> Iterator[str]:
    """A dockerd; its URL."""
    mount_cgroups()
    socket = os.path.join(directory, "docker.sock")
    url = f"unix://{socket}"
    command = ["dockerd", "--data-root", f"{directory}/data", "--exec-root", f"{directory}/exec"]
    command += ["-H", url, "--pidfile", f"{directory}/docker.pid", "--bridge", BRIDGE]
    with running(command, f"{directory}/dockerd.log", lambda: answers(url)):
        try:
            yield url
        finally:
            names = docker(url, "ps", "-aq").split()
            if names:
                docker(url, "rm", "-f", *names)


def answers(url: str) -> bool:
    """Whether an engine does."""
    command = ["docker", "-H", url, "version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def docker(url: str, *arguments: str) -> str:
    """What the docker command prints."""
    command = ["docker", "-H", url, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@contextlib.contextmanager
def registry_server(directory: str) -> Iterator[str]:
    """A registry on loopback; its host and port."""
    import socket
    import urllib.request

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    configuration = os.path.join(directory, "registry.yml")
    with open(configuration, "w", encoding="ascii") as file:
        file.write(
            "version: 0.1\nlog: {level: error}\n"
            f"storage: {{filesystem: {{rootdirectory: {directory}/registry}}}}\n"
            f"http: {{addr: '{address}'}}\n"
        )

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://{address}/v2/", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    command = ["docker-registry", "serve", configuration]
    with running(command, f"{directory}/registry.log", ready):
        yield address


@contextlib.contextmanager
def running(command: list[str], log: str, ready: Callable[[], bool]) -> Iterator[None]:
    """A program that runs meanwhile; what it said is shown if it does not get ready."""
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + READY
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                with open(log, encoding="utf-8", errors="replace") as file:
                    said = file.read()[-4000:]
                sys.exit(f"{command[0]} does not get ready:\n{said}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def mount_cgroups() -> None:
    """Mount the cgroup hierarchies on a host that has none (a bare virtual machine)."""
    root = "/sys/fs/cgroup"
    if os.path.exists(f"{root}/cgroup.controllers") or os.path.exists(f"{root}/memory"):
        return
    quietly(["mount", "-t", "cgroup2", "cgroup2", root])


def make_image(url: str, directory: str) -> None:
    """An image with busybox in it."""
    rootfs = os.path.join(directory, "rootfs")
    make_rootfs(rootfs)
    tar = subprocess.run(["tar", "-C", rootfs, "-c", "."], capture_output=True, check=True)
    command = ["docker", "-H", url, "import", "-", IMAGE]
    subprocess.run(command, input=tar.stdout, capture_output=True, check=True)
    shutil.rmtree(rootfs)


def make_rootfs(directory: str) -> None:
    """A root file system of nothing but busybox."""
    for name in ("bin", "proc", "sys", "dev", "tmp", "etc"):
        os.makedirs(os.path.join(directory, name))
    shutil.copy(PACKAGES["busybox-static"], os.path.join(directory, "bin/busybox"))
    for applet in APPLETS:
        os.symlink("busybox", os.path.join(directory, "bin", applet))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
