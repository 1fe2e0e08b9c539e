"""The map and the glossary name the modules that there are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from tests.test_layers import ROOT, modules

MODULE = re.compile(r"[\w/]+\.py\b")

ANY = re.compile(r"\b(\w+)_\*\.py")
"""C{routes_*.py}: all of them."""


def page(name: str) -> str:
    """A page of the documentation."""
    with open(os.path.join(ROOT, "docs", name), encoding="utf-8") as file:
        return file.read()


def code_map(text: str) -> str:
    """The part of the map that lists what is shipped."""
    return text[text.index("    daemon/stationd/\n") : text.index("    twisted/plugins/")]


def unlisted(listing: str, shipped: Iterator[str]) -> list[str]:
    """Which of some paths a listing does not name, by their last part."""
    names = {os.path.basename(name) for name in MODULE.findall(listing)}
    families = tuple(ANY.findall(listing))
    return [
        path
        for path in shipped
        if os.path.basename(path) not in names
        and not os.path.basename(path).startswith(tuple(f"{one}_" for one in families))
        and not os.path.basename(path).startswith("__")
        and not path.startswith("daemon/stationd/messages/")
    ]


def shipped() -> Iterator[str]:
    """The paths of all modules, from the top of the tree."""
    return (os.path.relpath(path, ROOT) for _, path, _ in modules())


class MapTests(SynchronousTestCase):
    """C{docs/architecture.md}."""

    def test_each_module_is_on_the_map(self) -> None:
        self.assertEqual(unlisted(code_map(page("architecture.md")), shipped()), [])

    def test_each_module_on_the_map_exists(self) -> None:
        names = {os.path.basename(path) for path in shipped()}
        listed = set(MODULE.findall(code_map(page("architecture.md"))))
        self.assertEqual(listed - names, set())

    def test_one_that_is_not_listed_is_found(self) -> None:
        listing = "a.py: this; b_*.py: those"
        paths = ["daemon/stationd/a.py", "daemon/stationd/b_c.py", "daemon/stationd/d.py"]
        self.assertEqual(unlisted(listing, iter(paths)), ["daemon/stationd/d.py"])


class GlossaryTests(SynchronousTestCase):
    """C{docs/glossary.md}."""

    def test_each_term_is_one_line_with_modules_that_exist(self) -> None:
        paths = set(shipped())
        rows = [line for line in page("glossary.md").splitlines() if line.startswith("| ")]
        terms = [row for row in rows if not row.startswith(("| term ", "| ---", "|---"))]
        self.assertGreater(len(terms), 50)
        for row in terms:
            places = MODULE.findall(row.split("|")[3])
            self.assertTrue(places, row)
            for place in places:
                roots = ("daemon/stationd", "plugins/stationd_plugins")
                self.assertTrue({f"{root}/{place}" for root in roots} & paths, row)

    def test_each_class_in_it_exists(self) -> None:
        sources = "".join(source for _, _, source in modules())
        for name in re.findall(r"`([A-Z]\w+)", page("glossary.md")):
            self.assertRegex(sources, rf"(?m)^(class {name}\b|{name} = )", name)
