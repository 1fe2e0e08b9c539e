"""A private systemd-journald and journalctl, which are processes: each question is one
run of journalctl, as it is for whoever asks them. journald has its records durable
five minutes later; what it acknowledges is their arrival.

The daemon is in a mount namespace of its own, so that the host's journal, if it has
one, does not notice.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from functools import partial

from benchmarks.corpus import groups, records
from benchmarks.questions import QUESTIONS, Question
from benchmarks.timing import Ready, Result, Stopwatch, asked, batched, resident_mb, tree_bytes
from stationd.records import Draft, Level

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
    """Write in the namespace, and ask when journald has ended."""
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
    return found | _asked(count, os.path.join(directory, "log", MACHINE))


def inside(count: int, directory: str) -> Result:
    """Start journald, and write."""
    daemon = subprocess.Popen([JOURNALD], stderr=subprocess.DEVNULL)
    try:
        return _written(count, directory, daemon.pid)
    finally:
        daemon.terminate()
        daemon.wait()


def _written(count: int, directory: str, pid: int) -> Result:
    sending = _connected()
    appending, written = Stopwatch(lambda: time.process_time() + _cpu_seconds(pid)), 0
    for batch in batched(groups(count), 100):
        messages = [_message(*one) for group in batch for one in records(group)]
        written += len(messages)
        with appending:
            for message in messages:
                sending.send(message)
    with appending:
        _journalctl("--sync")
    stored = int(subprocess.check_output("journalctl -o cat -q | wc -l", shell=True))
    if stored < count:
        raise RuntimeError(f"journald has {stored} of {count} records of the log")
    return {
        "append wall": appending.seconds / written * 1e6,
        "append cpu": appending.cpu_seconds / written * 1e6,
        "socket": written / appending.seconds,
        "bytes": tree_bytes(os.path.join(directory, "log")) / written,
        "idle memory": resident_mb(pid),
    }


def _connected() -> socket.socket:
    sending = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    for _ in range(200):
        with contextlib.suppress(OSError):
            sending.connect("/run/systemd/journal/socket")
            return sending
        time.sleep(0.05)
    raise RuntimeError("journald does not listen")


def _message(journal: str, draft: Draft) -> bytes:
    """A record; events under names of their own, so that questions about the log pass over
    them."""
    mine, text = ("", "MESSAGE") if journal == "log" else ("EVENT_", "EVENT_TEXT")
    return (
        f"{text}={draft.text}\n{mine}PRIORITY={PRIORITY[draft.level]}\n"
        f"{mine}CATEGORY={draft.category}\n{mine}FOR_USER={draft.user}\n"
        f"{mine}CONTAINER={draft.container}\nAT={draft.time_us}\nORIGIN={draft.origin}\n"
    ).encode()


def _cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _asked(count: int, path: str) -> Result:
    options = ("-D", path, "-q", "-o", "json")
    questions: dict[str, Ready] = {}
    for question in QUESTIONS:
        if not question.hour:  # Its times are those of arrival.
            arguments = [*options, *_arguments(question)]
            # There is nothing to open: each time it is asked is one run.
            questions[question.key] = partial(partial, _journalctl, *arguments)
    result = asked(path, questions)
    export = Stopwatch()
    with export:
        # As stationd's, of the log only.
        _journalctl(*options, *(f"PRIORITY={n}" for n in PRIORITY.values()))
    return result | {"export": export.seconds / count * 1e6}


def _arguments(question: Question) -> list[str]:
    names = {"category": "CATEGORY", "user": "FOR_USER", "container": "CONTAINER"}
    found = [f"-n{question.limit}"] if question.limit else []
    for name, value in question.fields.items():
        if isinstance(value, Level):
            found.append(f"PRIORITY={PRIORITY[value]}")
        else:
            found.append(f"{names[name]}={value}")
    return found if question.text is None else [*found, f"--grep={question.text}"]


def _journalctl(*arguments: str) -> None:
    # It ends with 1 if it finds nothing.
    subprocess.run(["journalctl", *arguments], stdout=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    measure = inside if sys.argv[3:] == ["inside"] else outside
    print(json.dumps(measure(int(sys.argv[1]), sys.argv[2])))
