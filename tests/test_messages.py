"""The tables of messages, and that no text that belongs into one is anywhere else."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import string
import uuid
from collections.abc import Iterator
from types import ModuleType

import attrs
from twisted.logger import LogEvent, Logger, LogLevel
from twisted.trial.unittest import SynchronousTestCase

import stationd.messages
from stationd import errors
from stationd.messages.log_message import FailureMessage, warn
from stationd.messages.message import Message, Phrase
from stationd.messages.reference import KINDS, WORDS, page
from tests.test_layers import ROOT, modules, within

LEVELS = {"info", "warn", "error", "critical", "failure"}

ERRORS = {name for name, value in vars(errors).items() if isinstance(value, type)} | {"Malformed"}

PHRASES = [one for table in KINDS.values() for one in table]


def shipped() -> Iterator[tuple[str, str]]:
    """Name and source of every module that tells something: not the tables, and not
    C{stationctl}, whose texts are its own."""
    for module, _, source in modules():
        if not within(module, {"stationd.messages", "stationd.cli"}):
            yield module, source


def tables() -> dict[str, ModuleType]:
    """The modules that are tables, by the last part of their names."""
    names = [module.name for module in pkgutil.iter_modules(stationd.messages.__path__)]
    found = {name: importlib.import_module(f"stationd.messages.{name}") for name in names}
    return {name: module for name, module in found.items() if "ALL" in vars(module)}


def texts() -> dict[tuple[str, str], str]:
    """All texts, by the last part of their modules' names and their constants."""
    return {
        (name, constant): value.text if isinstance(value, Phrase) else value
        for name, module in tables().items()
        for constant, value in vars(module).items()
        if constant.isupper() and isinstance(value, Phrase | str)
    }


def is_text(node: ast.expr) -> bool:
    """Whether an expression is a text that stands there; one within a call is that call's."""
    match node:
        case ast.Constant(value=value):
            return isinstance(value, str)
        case ast.JoinedStr():
            return True
        case ast.BinOp(left=left, right=right):
            return is_text(left) or is_text(right)
        case ast.IfExp(body=body, orelse=orelse):
            return is_text(body) or is_text(orelse)
        case ast.BoolOp(values=values):
            return any(map(is_text, values))
    return False


def has_words(node: ast.expr) -> bool:
    """Whether an expression is a text of several words: a name has no spaces."""
    texts = (one.value for one in ast.walk(node) if isinstance(one, ast.Constant))
    return is_text(node) and any(isinstance(text, str) and " " in text for text in texts)


def stray(source: str) -> list[str]:
    """The calls in some source that tell a text that is in no table."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name, of = _name(node.func), ""
        if isinstance(node.func, ast.Attribute):
            of = _name(node.func.value)
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        if name in LEVELS and of == "_log":
            bad = True
        elif name in {"note", "_note", "report_damage"} or (name == "append" and of == "damage"):
            bad = any(map(is_text, given))
        else:
            bad = name in ERRORS and any(map(has_words, given))
        if bad:
            found.append(ast.unparse(node))
    return found


def told(source: str) -> Iterator[tuple[str, str, ast.AST]]:
    """The texts that some source uses: the table's module, the constant, and where; of one that is
    rendered, formatted or emitted the call."""
    tree = ast.parse(source)
    modules: dict[str, str] = {}
    constants: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "stationd.messages":
            modules |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and within(node.module or "", {"stationd.messages"}):
            table = str(node.module).removeprefix("stationd.messages.")
            constants |= {alias.name: table for alias in node.names}
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    around = {
        id(node.value): calls.get(id(node), node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _name(node.value) in modules:
            yield modules[_name(node.value)], node.attr, around.get(id(node), node)
        elif isinstance(node, ast.Name) and node.id in constants:
            yield constants[node.id], node.id, around.get(id(node), node)


def fields_of(text: str) -> set[str]:
    """The names of a text's fields."""
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


def lacking(text: str, use: ast.AST) -> set[str]:
    """The fields of a text that are not given where it is used, as far as that is to be seen."""
    fields = fields_of(text)
    if isinstance(use, ast.Attribute) and use.attr == "text":
        return fields
    if isinstance(use, ast.Call) and all(keyword.arg for keyword in use.keywords):
        return fields - {str(keyword.arg) for keyword in use.keywords}
    return set()


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


class TablesTests(SynchronousTestCase):
    """What is in the tables."""

    def test_ids_are_random_and_unique(self) -> None:
        ids = [one.id for one in PHRASES if isinstance(one, Message)]
        self.assertGreater(len(ids), 100)
        self.assertEqual(len(set(ids)), len(ids))
        for id in ids:
            self.assertEqual((id, 4), (uuid.UUID(id).hex, uuid.UUID(id).version))

    def test_names_are_unique_and_for_people(self) -> None:
        names = [one.name for one in PHRASES]
        self.assertEqual(len(set(names)), len(names))
        for name in names:
            self.assertRegex(name, r"^[a-z0-9]+(-[a-z0-9]+)*$")

    def test_each_has_a_text_and_says_what_it_means(self) -> None:
        for one in PHRASES:
            self.assertTrue(one.text, one.name)
            self.assertRegex(one.meaning, r"^[^\s|][^\n|]*[.?]$", one.name)

    def test_each_field_has_a_name(self) -> None:
        for text in texts().values():
            for _, field, _, _ in string.Formatter().parse(text):
                self.assertTrue(field is None or field.isidentifier(), text)

    def test_each_is_told(self) -> None:
        used = {use[:2] for _, source in shipped() for use in told(source)}
        self.assertEqual({*texts()} - used, set())

    def test_each_is_given_its_fields(self) -> None:
        there = texts()
        found = [
            f"{module}: {constant} lacks {lacks}"
            for module, source in shipped()
            for table, constant, use in told(source)
            if (lacks := lacking(there.get((table, constant), ""), use))
        ]
        self.assertEqual(found, [])

    def test_none_is_forgotten(self) -> None:
        known = [*map(id, KINDS.values()), *map(id, WORDS.values())]
        found = [id(vars(module)["ALL"]) for module in tables().values()]
        self.assertEqual(set(found), set(known))

    def test_the_page_shows_them(self) -> None:
        with open(os.path.join(ROOT, "docs", "messages.md"), encoding="utf-8") as file:
            self.assertEqual(file.read(), page(), "python -m stationd.messages > docs/messages.md")


class StrayTests(SynchronousTestCase):
    """No text is told that is in no table."""

    def test_there_is_none(self) -> None:
        found = [f"{module}: {call}" for module, source in shipped() for call in stray(source)]
        self.assertEqual(found, [])

    def test_it_finds_each_kind(self) -> None:
        for source in (
            "self._log.warn('{path} is away', path=path)",
            "_log.info(text)",
            "Door._log.failure('a bug', failure=f)",
            "recorder.note(Level.INFO, f'Started {version}')",
            "self._note(Level.WARN, 'Lost ' + type)",
            "raise SourceLost('it does not answer')",
            "raise InvalidValue(name, value, allowed=f'at most {limit} bytes')",
            "raise InvalidConfiguration(path, '' if good else 'not TOML: no')",
            "self.damage.append(f'{path}: damaged')",
            "self.report_damage(part, 'gone bad')",
        ):
            self.assertEqual(len(stray(source)), 1, source)

    def test_it_lets_the_right_ones_pass(self) -> None:
        for source in (
            "log_messages.SOURCE_LOST.emit(self._log, type=type, reason=reason)",
            "self._log.debug('closing the stream: {error}', error=error)",
            "recorder.note(Level.INFO, said.FOUND.render(type='docker'))",
            "raise InvalidValue('journal.directory', value, allowed_values.PATH)",
            "raise SourceLost(reason_messages.ENGINE_SILENT.render(error=error))",
            "names.append('a name of something')",
        ):
            self.assertEqual(stray(source), [], source)


class ErrorsTests(SynchronousTestCase):
    """The messages of errors."""

    def test_each_error_has_its_own(self) -> None:
        found = [value for value in vars(errors).values() if isinstance(value, type)]
        kinds = [kind for kind in found if issubclass(kind, errors.StationdError)]
        bases = {base for kind in kinds for base in kind.__bases__}
        messages: list[str] = []
        for kind in set(kinds) - bases:
            assert kind.message is not None, kind
            messages.append(kind.message.id)
            carried = {field.name for field in attrs.fields(kind)} if attrs.has(kind) else set()
            # Who has a lock is made of what the error carries.
            self.assertEqual(fields_of(kind.message.text) - carried - {"who"}, set(), kind)
        self.assertEqual(len(set(messages)), len(messages))

    def test_it_says_what_the_error_carries(self) -> None:
        for error, said in (
            (
                errors.InvalidValue("limit", "x" * 99, "1 to 9"),
                f"limit: '{'x' * 76}... is not allowed; 1 to 9",
            ),
            (errors.JournalLocked("/j", "12"), "/j is open for writing in process 12"),
            (errors.JournalLocked("/j", ""), "/j is open for writing in another process"),
            (
                errors.MethodNotAllowed("PUT", ("GET", "HEAD")),
                "PUT is not possible here; GET, HEAD is",
            ),
            (errors.ContainerNotFound("lxc", "a{b}"), "there is no lxc container 'a{b}'"),
            (errors.SourceLost("it ended"), "it ended"),
            (errors.StationdError("another's"), "another's"),
        ):
            self.assertEqual(str(error), said)


class BrokenTests(SynchronousTestCase):
    """What is told wrongly is told."""

    def test_a_field_that_was_not_given_stays(self) -> None:
        phrase = Phrase(name="a", text="{a} {b:.0f} {c!r} {{z}}", meaning="It.")
        self.assertEqual(phrase.render(a="{q}", c="y"), "{q} {b} 'y' {z}")
        self.assertEqual(phrase.render(b=1.2), "{a} 1 {c} {z}")

    def test_an_error_of_a_plugin_with_a_message_of_its_own(self) -> None:
        class Mine(errors.SourceError):
            def __init__(self) -> None:
                super().__init__("gone")
                self.message = "another thing"  # type: ignore[assignment,misc]

        self.assertEqual(str(Mine()), "gone")


class UseTests(SynchronousTestCase):
    """The checker of uses finds what it is for."""

    def test_it_finds_a_text_by_module_and_by_constant(self) -> None:
        for source in (
            "from stationd.messages import a_table\na_table.LOST.render(type='lxc')",
            "from stationd.messages import a_table as said\nsaid.LOST.render(type='lxc')",
            "from stationd.messages.a_table import LOST\nLOST.render(type='lxc')",
        ):
            ((table, constant, use),) = told(source)
            self.assertEqual((table, constant), ("a_table", "LOST"))
            self.assertEqual(lacking("lost {type}: {reason}", use), {"reason"})
            self.assertEqual(lacking("lost {type}", use), set())

    def test_a_text_as_it_is_has_no_fields(self) -> None:
        ((_, _, use),) = told("from stationd.messages.a_table import LOST\nsay(LOST.text)")
        self.assertEqual(lacking("lost {type}", use), {"type"})
        self.assertEqual(lacking("lost", use), set())


class LogMessageTests(SynchronousTestCase):
    """The events of messages for the log."""

    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        self.log = Logger(namespace="there", observer=self.events.append)  # type: ignore[arg-type]

    def test_it_is_logged_as_before_with_its_identifiers(self) -> None:
        message = warn(id="0" * 32, name="lost", text="lost {type}", meaning="It is lost.")
        self.log.warn("lost {type}", type="docker")
        message.emit(self.log, type="docker")
        before, event = self.events
        self.assertEqual(event.pop("message_id"), "0" * 32)
        self.assertEqual(event.pop("message_name"), "lost")
        self.assertEqual({**event, "log_time": 0}, {**before, "log_time": 0})
        self.assertEqual(event["log_level"], LogLevel.warn)

    def test_a_failure_has_its_traceback(self) -> None:
        message = FailureMessage(id="0" * 32, name="bug", text="{it} failed", meaning="A bug.")
        try:
            raise ValueError("why")
        except ValueError:
            message.emit(self.log, it="this")
        (event,) = self.events
        self.assertEqual(event["log_level"], LogLevel.critical)
        self.assertEqual((event["log_format"], event["it"]), ("{it} failed", "this"))
        self.assertEqual((event["message_id"], event["message_name"]), ("0" * 32, "bug"))
        self.assertIn("why", str(event["log_failure"]))
