"""C{stationctl journal export} and C{import}."""

from __future__ import annotations

import io
import itertools
import json
import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from stationd.cli.main import main
from stationd.cli.record_import import BATCH_RECORDS, Import
from stationd.errors import JournalUnwritable
from stationd.interfaces import Query
from stationd.journal.disk import Disk, IDisk
from stationd.journal.read_only_journal import ReadOnlyJournal
from stationd.journal.store import Store
from stationd.records import Draft, Level, Record
from tests.contracts.journal import draft
from tests.journal.backup_case import QuickDisk
from tests.journal.faulty_disk import FaultyDisk


class TransferCase(SynchronousTestCase):
    """A directory with a log and an event journal."""

    def setUp(self) -> None:
        self.directory, self.file = self.mktemp(), self.mktemp()
        self.salts = itertools.count(77)
        os.makedirs(self.directory)
        self.out, self.err = io.BytesIO(), io.StringIO()
        self.patch(sys, "stdout", io.TextIOWrapper(self.out, encoding="utf-8"))
        self.patch(sys, "stderr", self.err)

    def store(self, name: str, disk: IDisk | None = None, segment_bytes: int = 300) -> Store:
        path = os.path.join(self.directory, name)
        disk = disk or QuickDisk()
        return Store(path, segment_bytes, disk, lambda: 5, self.salts.__next__)

    def write(self, *drafts: Draft, name: str = "log") -> None:
        store = self.store(name)
        for one in drafts:
            store.commit([one])
        store.close()

    def records(self, name: str = "log", directory: str = "") -> list[Record]:
        journal = ReadOnlyJournal(os.path.join(directory or self.directory, name))
        return [r for some in journal.select(Query(oldest_first=True)) for r in some]

    def ctl(self, *arguments: str) -> int:
        return main(["journal", *arguments, "--directory", self.directory])

    def said(self) -> str:
        """What was printed since this was called last."""
        sys.stdout.flush()
        text: str = self.out.getvalue().decode()
        self.out.seek(0)
        self.out.truncate()
        return text

    def export(self, *arguments: str) -> list[dict[str, object]]:
        self.assertEqual(self.ctl("export", *arguments), 0)
        return [json.loads(line) for line in self.said().split("\n") if line]

    def lines(self, *lines: str) -> str:
        """A file with some lines."""
        with open(self.file, "w", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in lines)
        return str(self.file)


class ExportTests(TransferCase):
    """What is written."""

    def setUp(self) -> None:
        super().setUp()
        self.write(
            draft("one", time_us=1_000_000, container="lxc/web", origin="lxc:1"),
            draft("two", time_us=2_500_000, level=Level.WARN, category="backup", user="ann"),
            draft("drei \u2028\nü\0", time_us=3_000_000, container="docker/" + "a" * 64),
        )
        self.write(draft("{}"), name="event")

    def test_each_field_of_each_record_in_order(self) -> None:
        found = self.export()
        self.assertEqual([one["number"] for one in found], [1, 2, 3])
        self.assertEqual(
            found[0],
            {
                "number": 1,
                "time_us": 1_000_000,
                "level": "INFO",
                "category": "container",
                "user": "all",
                "container": "lxc/web",
                "text": "one",
                "origin": "lxc:1",
            },
        )
        self.assertEqual(found[2]["text"], "drei \u2028\nü\0")
        self.assertEqual([one["text"] for one in self.export("--journal", "event")], ["{}"])

    def test_filters_mean_what_they_mean_in_the_api(self) -> None:
        for arguments, expected in (
            (("--after", "1", "--before", "3"), [2]),
            (("--time-start", "2.5"), [2, 3]),
            (("--time-end", "2"), [1, 2]),
            (("--level", "WARN,ERROR"), [2]),
            (("--category", "backup"), [2]),
            (("--user", "ann"), [2]),
            (("--container", "web"), [1]),
            (("--container", "lxc/web"), [1]),
            (("--container", "docker/" + "a" * 12), [3]),
            (("--container", "a" * 12), [3]),
            (("--text", "DREI"), [3]),
        ):
            found = [one["number"] for one in self.export(*arguments)]
            self.assertEqual(found, expected, arguments)

    def test_what_is_wrong_is_said(self) -> None:
        for arguments, said in (
            (("--after", "x"), "after: 'x' is not allowed; a whole number"),
            (("--level", "INFO,LOUD"), "level: 'LOUD' is not allowed"),
            (("--time-start", "5", "--time-end", "4"), "time_end: '4' is not allowed"),
        ):
            self.assertEqual(self.ctl("export", *arguments), 1)
            self.assertIn(f"stationctl: {said}", self.err.getvalue())
        self.assertEqual(main(["journal", "export", "--directory", self.mktemp()]), 1)
        self.assertIn("No such file or directory", self.err.getvalue())

    def test_to_a_file_whole_or_not_at_all(self) -> None:
        self.assertEqual(self.ctl("export", "--output", self.file), 0)
        with open(self.file, encoding="utf-8") as file:
            self.assertEqual(len(file.read().split("\n")), 4)
        self.assertEqual(self.said(), "")
        nowhere = os.path.join(self.mktemp(), "file")
        self.assertEqual(self.ctl("export", "--output", nowhere), 1)

    def test_beside_the_writer(self) -> None:
        store = self.store("log")
        self.addCleanup(store.close)
        store.commit([draft("four")])
        self.assertEqual([one["number"] for one in self.export("--after", "2")], [3, 4])

    def test_what_cannot_be_read_is_told(self) -> None:
        log = os.path.join(self.directory, "log")
        name = min(name for name in os.listdir(log) if name.endswith(".rows"))
        with open(os.path.join(log, name), "r+b") as file:
            file.seek(60)
            file.write(b"\xff\xff")
        self.assertEqual(self.ctl("export"), 1)
        self.assertEqual(len(self.said().splitlines()), 3)
        damage, error = self.err.getvalue().splitlines()
        self.assertRegex(damage, f"^damage: .*{name}, byte 48: ")
        self.assertRegex(error, "^stationctl: damaged: .*log; what cannot be read was left out$")

    def test_a_pipe_that_is_closed_is_no_error(self) -> None:
        self.write(*[draft("x" * 60_000) for _ in range(20)])
        code = "import sys; from stationd.cli.main import main; sys.exit(main())"
        command = [sys.executable, "-c", code, "journal", "export", "--directory", self.directory]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as export:
            assert export.stdout is not None and export.stderr is not None
            self.assertTrue(export.stdout.readline())
            export.stdout.close()
            self.assertEqual(export.stderr.read(), b"")
            self.assertEqual(export.wait(), 141)


class ImportTests(TransferCase):
    """What is stored."""

    def test_what_was_exported_comes_back(self) -> None:
        drafts = [
            draft("one", origin="docker:1", container="lxc/web"),
            draft("two", origin="docker:1", level=Level.ERROR),
            draft("twice"),
            draft("twice"),
            draft("\u2028\n\0ü", time_us=0, category="backup", user="ann"),
        ]
        self.write(*drafts)
        exported = self.records()
        self.assertEqual(self.ctl("export", "--output", self.file), 0)
        self.directory = self.mktemp()
        os.makedirs(self.directory)
        self.assertEqual(self.ctl("import", self.file, "--journal", "log"), 0)
        self.assertEqual(self.records(), exported)
        self.assertEqual(
            self.said(),
            f"{self.directory}/log: 5 records stored, 0 were there already; last number 5\n",
        )
        self.assertEqual(self.ctl("import", self.file, "--journal", "log"), 0)
        self.assertEqual(self.records(), exported)
        self.assertIn("0 records stored, 5 were there already; last number 5", self.said())

    def test_only_what_is_new_is_stored_and_gets_new_numbers(self) -> None:
        self.write(draft("own"), draft("a", origin="o:1", time_us=9), draft("b", time_us=8))
        self.lines(
            '{"number": 77, "time_us": 5, "level": "INFO", "category": "c", "user": "u", '
            '"text": "told otherwise", "origin": "o:1"}',
            '{"number": 78, "time_us": 5, "level": "WARN", "category": "c", "user": "u", '
            '"text": "new", "origin": "o:2"}',
            '{"number": 79, "time_us": 8, "level": "INFO", "category": "container", '
            '"user": "all", "text": "b"}',
            '{"number": 80, "time_us": 8, "level": "INFO", "category": "container", '
            '"user": "all", "text": "b"}',
        )
        self.assertEqual(self.ctl("import", self.file, "--journal", "log"), 0)
        self.assertIn("2 records stored, 2 were there already; last number 5", self.said())
        new = self.records()[3:]
        self.assertEqual(
            [(one.number, one.time_us, one.level, one.text, one.origin) for one in new],
            [(4, 5, Level.WARN, "new", "o:2"), (5, 8, Level.INFO, "b", "")],
        )

    def test_a_line_that_is_wrong_stores_nothing(self) -> None:
        good = (
            '{"time_us": 5, "level": "INFO", "category": "c", "user": "u", "text": "t", '
            '"origin": "o:%d"}'
        )
        lines = [good % number for number in range(3 * BATCH_RECORDS)]
        lines[-1] = lines[-1].replace("INFO", "LOUD")
        self.lines(*lines)
        self.assertEqual(self.ctl("import", self.file, "--journal", "log"), 1)
        self.assertEqual(
            self.err.getvalue(),
            f"stationctl: {self.file}: line {len(lines)}: level: 'LOUD' is not allowed; one of "
            "DEBUG, INFO, WARN, ERROR; nothing is stored\n",
        )
        self.assertEqual(self.records(), [])

    def test_an_event_is_json(self) -> None:
        line = '{"time_us": 5, "level": "INFO", "category": "c", "user": "u", "text": "Started"}'
        self.lines(line)
        self.assertEqual(self.ctl("import", self.file, "--journal", "event"), 1)
        self.assertIn("line 1: text: 'Started' is not allowed; the JSON of", self.err.getvalue())
        self.lines(line.replace("Started", "{}"))
        self.assertEqual(self.ctl("import", self.file, "--journal", "event"), 0)
        self.assertEqual([one.text for one in self.records("event")], ["{}"])

    def test_the_daemon_has_to_be_stopped(self) -> None:
        store = self.store("log")
        self.addCleanup(store.close)
        self.assertEqual(self.ctl("import", self.lines(), "--journal", "log"), 1)
        self.assertIn(f"is open for writing in process {os.getpid()}", self.err.getvalue())

    def test_a_directory_that_is_not_there(self) -> None:
        self.directory = self.mktemp()
        self.assertEqual(self.ctl("import", self.lines(), "--journal", "log"), 1)
        self.assertIn(f"{self.directory} is no directory", self.err.getvalue())
        self.assertFalse(os.path.exists(self.directory))

    def test_from_a_pipe(self) -> None:
        line = b'{"time_us": 5, "level": "INFO", "category": "c", "user": "u", "text": "t"}\n'
        code = "import sys; from stationd.cli.main import main; sys.exit(main())"
        command = [sys.executable, "-c", code, "journal", "import", "-", "--journal", "log"]
        done = subprocess.run(
            [*command, "--directory", self.directory],
            input=2 * line,
            capture_output=True,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual([one.text for one in self.records()], ["t", "t"])

    def test_the_disk_refuses_and_it_is_begun_again(self) -> None:
        lines = [
            json.dumps(
                {
                    "time_us": 5,
                    "level": "INFO",
                    "category": "c",
                    "user": "u",
                    # Three records of each happening.
                    "text": f"{number}",
                    "origin": f"o:{number // 3}" if number % 7 else "",
                }
            )
            for number in range(5 * BATCH_RECORDS)
        ]
        self.lines(*lines)
        stored = 0
        refused = 0
        for at in itertools.count(20, 15):
            store = self.store("log", FaultyDisk(QuickDisk(), "EIO of a change", at, 5), 2000)
            importing = Import(store, self.file, False)
            try:
                with open(self.file, "rb") as file:
                    importing.run(file, lambda done, of: None)
                break
            except JournalUnwritable:
                refused += 1
                stored += importing.stored
            finally:
                store.close()
            self.assertEqual(len(self.records()), stored)
        self.assertGreater(refused, 1)
        self.assertEqual([one.text for one in self.records()], [*map(str, range(len(lines)))])

    def test_it_is_said_how_much_is_stored_if_the_disk_is_full(self) -> None:
        self.lines(
            *(
                '{"time_us": 5, "level": "INFO", "category": "c", "user": "u", '
                f'"text": "{number:0100}"}}'
                for number in range(5 * BATCH_RECORDS)
            )
        )
        code = (
            "import resource, sys; from stationd.cli.main import main; "
            "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); sys.exit(main())"
        )
        command = [sys.executable, "-c", code, "journal", "import", self.file, "--journal", "log"]
        done = subprocess.run(
            [*command, "--directory", self.directory], capture_output=True, check=False
        )
        self.assertEqual(done.returncode, 1)
        self.assertRegex(
            done.stderr.decode(),
            r"^stationctl: the journal cannot be written: \S+\.rows: File too large; "
            r"2,000 records are stored; import again for the rest\n$",
        )
        self.assertEqual(self.ctl("import", self.file, "--journal", "log"), 0)
        self.assertIn("3,000 records stored, 2,000 were there already", self.said())
        self.assertEqual([int(one.text) for one in self.records()], [*range(5 * BATCH_RECORDS)])

    def test_what_is_full_is_sealed(self) -> None:
        store = Store(
            os.path.join(self.directory, "log"), 2000, Disk(), lambda: 5, self.salts.__next__
        )
        line = '{"time_us": 5, "level": "INFO", "category": "c", "user": "u", "text": "t"}'
        self.lines(*[line] * (3 * BATCH_RECORDS))
        with open(self.file, "rb") as file:
            Import(store, self.file, False).run(file, lambda done, of: None)
        store.close()
        suffixes = [
            os.path.splitext(name)[1] for name in os.listdir(os.path.join(self.directory, "log"))
        ]
        self.assertEqual(suffixes.count(".sealed"), 2)
        self.assertEqual(len(self.records()), 3 * BATCH_RECORDS)
