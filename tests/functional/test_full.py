"""A disk that is full, for real: a small tmpfs. Producers are told, readers are served,
and it goes on by itself when there is room."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from twisted.trial.unittest import TestCase

from tests.functional.daemon import Daemon, eventually
from tests.functional.lab import need_root

TEXT = "x" * 1000


class FullDiskTests(TestCase):
    """A daemon with 2 MiB for its state, of which something else has half."""

    timeout = 120

    def setUp(self) -> None:
        need_root()
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.state = os.path.join(self.daemon.directory, "state")
        os.makedirs(self.state)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", self.state], check=True)
        self.addCleanup(subprocess.run, ["umount", self.state], check=True)
        self.addCleanup(self.daemon.stop)
        self.ballast = os.path.join(self.state, "ballast")
        with open(self.ballast, "wb") as file:
            file.write(bytes(1 << 20))

    def post(self, texts: list[str]) -> tuple[int, dict[str, object]]:
        """The status, and what is said."""
        body = json.dumps([{"category": "test", "message": text} for text in texts])
        said = self.daemon.curl(
            "/api/v1/log", "--data-binary", body, "--write-out", "\n%{http_code}"
        )
        answer, _, status = said.rpartition("\n")
        return int(status), json.loads(answer)

    def fill(self) -> list[str]:
        """Post until it is refused; the texts that were taken."""
        taken: list[str] = []
        for number in range(3000):
            texts = [f"{number} {TEXT}" for _ in range(3)]
            status, said = self.post(texts)
            if status == 201:
                taken += texts
                continue
            self.assertEqual(status, 507)
            self.assertEqual(said["status"], 507)
            self.assertIn("No space left on device", str(said["detail"]))
            return taken
        raise AssertionError("it never gets full")

    def texts(self) -> list[str]:
        """All that is in the log of what was posted, oldest first."""
        lines = self.daemon.curl("/api/v1/log/export?format=jsonl&category=test").splitlines()
        return [json.loads(line)["message"] for line in lines]

    def test_it_refuses_serves_and_goes_on(self) -> None:
        self.daemon.start()
        taken = self.fill()
        self.assertGreater(len(taken), 300)
        self.assertEqual(self.texts(), taken)
        self.assertEqual(self.post(["again"])[0], 507)
        os.unlink(self.ballast)
        # No restart: the next post finds room.
        self.assertEqual(self.post(["there is room"])[0], 201)
        taken.append("there is room")
        taken += self.fill()
        self.assertEqual(self.texts(), taken)
        self.assertEqual(self.daemon.get("/api/v1/system")["journal"]["log"]["damage"], [])

    def take_the_rest(self) -> None:
        """Leave not even the last page."""
        with open(os.path.join(self.state, "rest"), "wb") as file:
            try:
                while True:
                    os.write(file.fileno(), bytes(4096))
            except OSError:
                pass

    def test_clearing_makes_room(self) -> None:
        self.daemon.start()
        self.fill()
        self.take_the_rest()
        self.assertEqual(self.post(["no" * 20_000])[0], 507)
        said = self.daemon.curl("/api/v1/log", "-X", "DELETE", "--write-out", "\n%{http_code}")
        self.assertEqual(said.rpartition("\n")[2], "200", said)
        self.assertEqual(self.texts(), [])
        self.assertEqual(self.post(["there is room"])[0], 201)
        self.assertEqual(self.texts(), ["there is room"])

    def test_it_starts_on_a_full_disk(self) -> None:
        self.daemon.start()
        taken = self.fill()
        self.daemon.kill()
        self.take_the_rest()
        self.daemon.start()
        self.assertEqual(self.texts(), taken)
        self.assertEqual(self.post(["no" * 20_000])[0], 507)
        os.unlink(self.ballast)
        self.assertTrue(eventually(lambda: self.post(["yes"])[0] == 201))
        self.assertEqual(self.texts()[-1], "yes")

    def test_a_write_that_is_cut_short(self) -> None:
        # The kernel writes up to the limit, and refuses the rest.
        code = (
            "import json, resource, signal, sys\n"
            "from stationd.errors import JournalUnwritable\n"
            "from stationd.journal.disk import Disk\n"
            "from stationd.journal.read_only_journal import ReadOnlyJournal\n"
            "from stationd.journal.store import Store\n"
            "from stationd.interfaces import Query\n"
            "from tests.contracts.journal import draft\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))\n"
            "store = Store(sys.argv[1], 1 << 20, Disk(), lambda: 5, iter(range(99)).__next__)\n"
            "kept = []\n"
            "refused = 0\n"
            "for n in range(60):\n"
            "    try:\n"
            "        store.commit([draft(f'{n} ' + 'x' * 1000)])\n"
            "        kept.append(n)\n"
            "    except JournalUnwritable as error:\n"
            "        refused += 1\n"
            "        assert 'File too large' in str(error), error\n"
            "reader = ReadOnlyJournal(sys.argv[1])\n"
            "found = reader.select(Query(oldest_first=True))\n"
            "found = [int(r.text.split()[0]) for some in found for r in some]\n"
            "assert found == kept, (found, kept)\n"
            "print(json.dumps([refused, len(kept), reader.status().damage]))\n"
        )
        directory = os.path.join(self.state, "limited")
        done = subprocess.run(
            [sys.executable, "-c", code, directory], capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        refused, kept, damage = json.loads(done.stdout)
        self.assertGreater(refused, 0)
        self.assertEqual(refused + kept, 60)
        self.assertEqual(damage, [])
