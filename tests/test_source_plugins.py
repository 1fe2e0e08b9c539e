"""Plugins of others, and what is wrong with them in one line."""

from __future__ import annotations

import os
import sys
from typing import cast

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from stationd.config import Settings, SourceSettings
from stationd.errors import InvalidConfiguration
from stationd.interfaces import IHostReactor
from stationd.source_plugins import make_sources

DOCKER, LXC = "stationd_plugins.docker.source", "stationd_plugins.lxc.source"

BROKEN = {
    "raises": (
        "1 / 0",
        r"importing it failed: ZeroDivisionError: division by zero \(\w+.py, line 1",
    ),
    "syntax": ("def", r"importing it failed: SyntaxError: "),
    "interrupts": ("raise KeyboardInterrupt", "importing it failed: KeyboardInterrupt: "),
    "hides": (
        "def __getattr__(name): raise RuntimeError(name)",
        "importing it failed: RuntimeError: ",
    ),
    "mumbles": (
        "class Mumbled(Exception):\n    def __str__(self): return 1 / 0\nraise Mumbled",
        "importing it failed: Mumbled: an error that cannot be shown",
    ),
    "leaves": (
        "def make_source(settings, reactor): raise GeneratorExit",
        "make_source failed: GeneratorExit: ",
    ),
    "untyped": (
        "from zope.interface import implementer\nfrom stationd.interfaces import ISource\n"
        "@implementer(ISource)\nclass Source:\n"
        "    def __getattr__(self, name): raise RuntimeError(name)\n"
        "def make_source(*_): return Source()",
        "looking at its source failed: RuntimeError: ",
    ),
    "exits": ("raise SystemExit('a\\nb')", r"importing it failed: SystemExit: a b"),
    "needs": ("import nowhere.at_all", r"importing it failed: ModuleNotFoundError: .*'nowhere'"),
    "empty": ("", "it has no function make_source"),
    "value": ("make_source = 5", "it has no function make_source"),
    "fails": (
        "def make_source(settings, reactor): raise KeyError('x')",
        r"make_source failed: KeyError: 'x' \(\w+.py, line 1\)",
    ),
    "arguments": ("def make_source(): pass", "make_source failed: TypeError: make_source"),
    "none": ("def make_source(*_): return None", "make_source has to return an ISource: "),
    "half": (
        "from zope.interface import implementer\nfrom stationd.interfaces import ISource\n"
        "@implementer(ISource)\nclass Half:\n    type = 'half'\n    def follow(self): pass\n"
        "def make_source(*_): return Half()",
        "make_source has to return an ISource: .*find",
    ),
}


class SourcePluginsTests(SynchronousTestCase):
    """Configurations."""

    def make(self, **plugins: str) -> list[str]:
        sources = tuple(
            SourceSettings(name=name, plugin=plugin, settings={})
            for name, plugin in plugins.items()
        )
        settings = Settings(file="f.toml", sources=sources)
        made = make_sources(settings, cast(IHostReactor, MemoryReactorClock()))
        for source in made:
            self.addCleanup(source.close)
        return [source.type for source in made]

    def refusal(self, **plugins: str) -> str:
        error = str(self.assertRaises(InvalidConfiguration, self.make, **plugins))
        self.assertEqual(len(error.splitlines()), 1)
        return error

    def test_the_sources_that_come_with_it(self) -> None:
        self.assertEqual(self.make(docker=DOCKER, lxc=LXC), ["docker", "lxc"])

    def test_two_of_a_type(self) -> None:
        self.assertEqual(
            self.refusal(docker=DOCKER, lxc=LXC, mine=DOCKER),
            "f.toml: sources.docker and sources.mine are both of type docker; "
            "there can be one of a type",
        )

    def test_names_that_are_no_module(self) -> None:
        for name in ("", ".", ".relative", "a..b", "nowhere.at_all", "a b", "\0", "stationd.tap.x"):
            self.assertIn(
                f"f.toml: sources.mine.plugin: {name!r} is not allowed; importing it failed: ",
                self.refusal(mine=name),
            )

    def test_modules_that_are_no_plugin(self) -> None:
        directory = os.path.abspath(self.mktemp())
        os.mkdir(directory)
        sys.path.insert(0, directory)
        self.addCleanup(sys.path.remove, directory)
        for name, (text, expected) in BROKEN.items():
            module = f"stationd_broken_{name}"
            with open(os.path.join(directory, f"{module}.py"), "w", encoding="ascii") as file:
                file.write(text)
            self.addCleanup(sys.modules.pop, module, None)
            self.assertRegex(
                self.refusal(mine=module),
                f"^f.toml: sources.mine.plugin: '{module}' is not allowed; {expected}",
            )

    def test_a_setting_that_the_plugin_refuses(self) -> None:
        wanted = SourceSettings(name="docker", plugin=DOCKER, settings={"url": 5})
        settings = Settings(file="f.toml", sources=(wanted,))
        error = self.assertRaises(
            InvalidConfiguration, make_sources, settings, cast(IHostReactor, MemoryReactorClock())
        )
        self.assertRegex(str(error), "^f.toml: sources.docker.url: 5 is not allowed; a string")
