"""Imports go down only, and other rules of the house that a program can check."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

MAX_LINES = 300

LAYERS = (
    ("stationd.tap",),
    ("stationd.service",),
    (
        *("stationd.web.site", "stationd.web.resource", "stationd.cli", "stationd.listeners"),
        *("stationd.endpoints", "stationd.signals", "stationd.source_plugins"),
    ),
    ("stationd.unix_listener",),
    ("stationd.web", "stationd.container_lookup", "stationd.journal_service"),
    ("stationd.supervisor", "stationd.recorder", "stationd.waits"),
    ("stationd.pending_wait", "stationd.source_queries"),
    ("stationd.deduplicator",),
    ("stationd.restore",),
    ("stationd.feed", "stationd.registry", "stationd.record_builder"),
    ("stationd.event_codec",),
    ("stationd.journal", "stationd.config", "stationd.testing"),
    ("stationd.interfaces",),
    ("stationd.records",),
    ("stationd.errors",),
    ("stationd.messages",),
    ("stationd",),
)
"""From the top: a module imports from its own row and those below."""

_VALUES = {"stationd.messages", "stationd.errors", "stationd.interfaces", "stationd.records"}

FOR_PLUGINS = {*_VALUES, "stationd.testing"}

FOR_JOURNAL = {*_VALUES, "stationd.journal"}


def layer(module: str) -> int:
    """The row of a module: that of the longest name it begins with."""
    rows = {name: row for row, names in enumerate(LAYERS) for name in names}
    while module not in rows:
        module = module.rpartition(".")[0]
    return rows[module]


def imports(source: str) -> Iterator[str]:
    """The modules that some source imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, packages: set[str]) -> bool:
    """Whether an imported name is one of some packages or in one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def wrong(module: str, source: str) -> list[str]:
    """What a module imports that it must not."""
    found: list[str] = []
    for name in imports(source):
        ours = within(name, {"stationd"})
        if module.startswith("stationd_plugins"):
            bad = ours and not within(name, FOR_PLUGINS)
        else:
            bad = within(name, {"stationd_plugins"})
            bad = bad or (ours and layer(name) < layer(module))
            if within(module, {"stationd.journal"}):
                bad = bad or (ours and not within(name, FOR_JOURNAL))
        if within(name, {"twisted.internet.reactor"}) and module != "stationd.tap":
            bad = True
        if within(module, {"stationd.cli"}) and within(name, {"twisted"}):
            bad = True
        if bad:
            found.append(f"{module} imports {name}")
    return found


def modules() -> Iterator[tuple[str, str, str]]:
    """Name, path and source of every module that is shipped."""
    for root in ("daemon", "plugins"):
        top = os.path.join(ROOT, root)
        for directory, _, names in os.walk(top):
            for name in sorted(names):
                if name.endswith(".py"):
                    path = os.path.join(directory, name)
                    module = os.path.relpath(path, top)[:-3].replace(os.sep, ".")
                    with open(path, encoding="utf-8") as file:
                        yield module.removesuffix(".__init__"), path, file.read()


class LayersTests(SynchronousTestCase):
    """The tree as it is."""

    def test_imports_go_down_only(self) -> None:
        found = [line for module, _, source in modules() for line in wrong(module, source)]
        self.assertEqual(found, [])

    def test_each_module_says_what_it_is_for_and_is_short(self) -> None:
        found: list[str] = []
        for _, path, source in modules():
            tree = ast.parse(source)
            lines = len(source.splitlines())
            if not ast.get_docstring(tree):
                found.append(f"{path} has no docstring")
            if lines > MAX_LINES:
                found.append(f"{path} has {lines} lines, more than {MAX_LINES}")
            if path.endswith("__init__.py") and len(tree.body) > 2:
                found.append(f"{path} holds more than a docstring")
        self.assertEqual(found, [])

    def test_there_are_modules(self) -> None:
        self.assertGreater(len(list(modules())), 40)


class CheckerTests(SynchronousTestCase):
    """The checker finds what it is for."""

    def test_it_finds_each_kind_of_wrong_import(self) -> None:
        for module, source in (
            ("stationd.messages.message", "from stationd.errors import InvalidValue"),
            ("stationd.records", "from stationd.interfaces import IJournal"),
            ("stationd.recorder", "def f():\n    import stationd.web.request_context"),
            ("stationd.journal.store", "from stationd.config import load_settings"),
            ("stationd.service", "import stationd_plugins.docker.source"),
            ("stationd_plugins.lxc.source", "from stationd.recorder import Recorder"),
            ("stationd.waits", "from twisted.internet import reactor"),
            ("stationd.cli.main", "from twisted.logger import Logger"),
        ):
            self.assertEqual(len(wrong(module, source)), 1, module)

    def test_it_lets_the_right_ones_pass(self) -> None:
        for module, source in (
            ("stationd.tap", "from twisted.internet import reactor"),
            ("stationd.web.request_context", "from stationd.interfaces import IJournal"),
            ("stationd_plugins.lxc.source", "from stationd.errors import SourceLost"),
        ):
            self.assertEqual(wrong(module, source), [], module)
