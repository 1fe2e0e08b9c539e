"""A private systemd-journald and journalctl, which are processes: each question is one
run of journalctl, as it is for whoever asks them. journald has its records durable
five minutes later; what it acknowledges is their arrival.

Everything is in a mount namespace of its own, so that the host's journal, if it has
one, does not notice.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time

from benchmarks.corpus import CATEGORIES, NOWHERE, USERS, WORD, containers, lines
from benchmarks.timing import Result, Stopwatch, batched, tree_bytes, warm_ms
from stationd.records import Level

JOURNALD = "/lib/systemd/systemd-journald"

MACHINE = "5a17d0d0000000000000000000000001"

CONFIGURATION = """[Journal]
Storage=persistent
RateLimitIntervalSec=0
RateLimitBurst=0
ReadKMsg=no
Audit=no
SystemMaxUse=16G
SystemKeepFree=1M
"""

PRIORITY = {Level.DEBUG: 7, Level.INFO: 6, Level.WARN: 4, Level.ERROR: 3}

NAMESPACE = """set -e
mount --make-rprivate /
mkdir -p /var/log/journal /run/systemd /run/log
mount --bind "$1/log" /var/log/journal
mount -t tmpfs none /run/systemd
mount -t tmpfs none /run/log
mount -t tmpfs none /etc/systemd
cp "$1/journald.conf" /etc/systemd/journald.conf
test -e /etc/machine-id || touch /etc/machine-id
mount --bind "$1/machine-id" /etc/machine-id
mkdir -p /run/systemd/journal
touch /run/systemd/journal/flushed
exec "$2" -m benchmarks.journald "$3" "$1" inside
"""


def missing() -> str:
    """Why it cannot be measured here, C{""} if it can."""
    if not os.path.exists(JOURNALD) or not shutil.which("journalctl"):
        return "systemd-journald is not installed"
    if os.geteuid() != 0:
        return "a mount namespace for it needs root"
    if not shutil.which("unshare"):
        return "there is no unshare"
    return ""


def outside(count: int, directory: str) -> Result:
    """Make the namespace, and measure in it."""
    os.makedirs(os.path.join(directory, "log", MACHINE), exist_ok=True)
    for name, text in (("journald.conf", CONFIGURATION), ("machine-id", f"{MACHINE}\n")):
        with open(os.path.join(directory, name), "w", encoding="ascii") as file:
            file.write(text)
    command = ["unshare", "-m", "sh", "-c", NAMESPACE, "sh"]
    done = subprocess.run(
        [*command, os.path.abspath(directory), sys.executable, str(count)],
        stdout=subprocess.PIPE,
        check=True,
    )
    found: Result = json.loads(done.stdout.splitlines()[-1])
    return found


def inside(count: int, directory: str) -> Result:
    """Start journald, write, ask."""
    daemon = subprocess.Popen([JOURNALD], stderr=subprocess.DEVNULL)
    try:
        return _measured(count, directory)
    finally:
        daemon.terminate()
        daemon.wait()


def _measured(count: int, directory: str) -> Result:
    sending = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    deadline = time.monotonic() + 10
    while True:
        try:
            sending.connect("/run/systemd/journal/socket")
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    appending = Stopwatch()
    for batch in batched(lines(count), 10_000):
        messages = [
            f"MESSAGE={line.text}\nPRIORITY={PRIORITY[line.level]}\nCATEGORY={line.category}\n"
            f"FOR_USER={line.user}\nCONTAINER={line.container}\nAT={line.time_us}\n".encode()
            for line in batch
        ]
        with appending:
            for message in messages:
                sending.send(message)
    with appending:
        _journalctl("--sync")
    stored = int(subprocess.check_output("journalctl -o cat -q | wc -l", shell=True))
    if stored < count:
        raise RuntimeError(f"journald has {stored} of {count} records")

    def ask(*arguments: str) -> float:
        return warm_ms(lambda: _journalctl("-q", "-o", "json", *arguments))

    reference, _ = containers()[50]
    category, user = f"CATEGORY={CATEGORIES[4]}", f"FOR_USER={USERS[6]}"
    two = [f"CATEGORY={CATEGORIES[0]}", f"FOR_USER={USERS[1]}"]
    export = Stopwatch()
    with export:
        _journalctl("-q", "-o", "json")
    return {
        "append": count / appending.seconds,
        "socket": count / appending.seconds,
        "bytes": tree_bytes(os.path.join(directory, "log")) / count,
        "newest": ask("-n20"),
        "newest category": ask("-n20", category),
        "newest user": ask("-n20", user),
        "newest container": ask("-n20", f"CONTAINER={reference}"),
        "newest level": ask("-n20", "PRIORITY=3"),
        "newest text": ask("-n20", f"--grep={WORD.lower()}"),
        "newest three": ask("-n20", *two, "PRIORITY=3"),
        "newest rare": ask("-n20", *two, f"--grep={WORD.lower()}"),
        "container": ask(f"CONTAINER={reference}"),
        "nowhere": ask(f"--grep={NOWHERE}"),
        "word": ask(f"--grep={WORD.lower()}"),
        "export": export.seconds / count * 1e6,
    }


def _journalctl(*arguments: str) -> None:
    # It ends with 1 if it finds nothing.
    subprocess.run(["journalctl", *arguments], stdout=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    measure = inside if sys.argv[3:] == ["inside"] else outside
    print(json.dumps(measure(int(sys.argv[1]), sys.argv[2])))
