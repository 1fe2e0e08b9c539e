"""Each functional test is in the line that it belongs to."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from tests.run import DOCKER, HERE, LXC, functional_tests, modules

USES = {
    "docker": ("from tests.functional.engine import", "self.docker(", ".docker_url()"),
    "lxc": ("from tests.functional.lxc import", "need_lxc()"),
}
"""By what it is seen that a test uses something."""


def uses(module: str, kind: str) -> bool:
    """Whether a module uses Docker or LXC."""
    path = os.path.join(HERE, "functional", f"{module.rpartition('.')[2]}.py")
    with open(path, encoding="utf-8") as file:
        source = file.read()
    return any(sign in source for sign in USES[kind])


class LinesTests(SynchronousTestCase):
    """The lists of C{tests/run.py}."""

    def test_each_module_is_in_one_line(self) -> None:
        found = [one for kind in ("docker", "lxc", "daemon") for one in functional_tests(kind)]
        self.assertEqual(
            sorted(found), [f"tests.functional.{one}" for one in modules("functional")]
        )

    def test_what_uses_docker_or_lxc_is_in_its_line(self) -> None:
        for one in functional_tests("daemon"):
            self.assertFalse(uses(one, "docker") or uses(one, "lxc"), one)
        for one in functional_tests("lxc"):
            self.assertFalse(uses(one, "docker"), one)
            self.assertTrue(uses(one, "lxc"), one)
        for one in functional_tests("docker"):
            self.assertTrue(uses(one, "docker"), one)

    def test_each_entry_has_modules(self) -> None:
        for name in (*DOCKER, *LXC):
            self.assertTrue(
                [one for one in modules("functional") if one.startswith(f"test_{name}")]
            )
