"""A process that reads a journal during thousands of commits of another."""

from __future__ import annotations

import subprocess
import sys

from stationd.interfaces import Retention
from stationd.journal.seal import seal_segment
from tests.contracts.journal import draft
from tests.journal import test_recovery


class OtherProcessTests(test_recovery.RecoveryCase):
    """Reading beside a writer, without its lock."""

    def test_a_process_that_reads_while_another_writes_seals_and_vacuums(self) -> None:
        code = (
            "import sys\n"
            "from stationd.journal.read_only_journal import ReadOnlyJournal\n"
            "from stationd.interfaces import Query\n"
            "looks = last = 0\n"
            "while last < 3000:\n"
            "    reader = ReadOnlyJournal(sys.argv[1])\n"
            "    status = reader.status()\n"
            "    assert status.damage == (), status.damage\n"
            "    assert status.last >= last, (status.last, last)\n"
            "    last = status.last\n"
            "    found = [r for f in reader.select(Query(oldest_first=True)) for r in f]\n"
            "    numbers = [r.number for r in found]\n"
            "    assert numbers == list(range(last - len(numbers) + 1, last + 1)), numbers\n"
            "    assert all(r.text == f'text {r.number}' for r in found)\n"
            "    assert reader.status().damage == (), reader.status().damage\n"
            "    looks += 1\n"
            "print(looks)\n"
        )
        store = self.open(segment_bytes=2000)
        command = [sys.executable, "-c", code, self.directory]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reading:
            removed = sealed = 0
            for number in range(1, 3001):
                store.commit([draft(f"text {number}")])
                if segment := store.next_to_seal():
                    store.install_sealed(segment, seal_segment(store.disk, segment, lambda: None))
                    sealed += 1
                if number % 100 == 0:
                    removed += store.vacuum(Retention(max_age_us=None, max_bytes=20_000))
            said, errors = reading.communicate(timeout=60)
        self.assertEqual(errors.decode(), "")
        self.assertGreater(int(said), 20)
        self.assertGreater(sealed, 50)
        self.assertGreater(removed, 1000)
