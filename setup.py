"""How stationd is packaged: two source roots and one twistd plugin."""

from __future__ import annotations

import pathlib

from setuptools import Command, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

HERE = pathlib.Path(__file__).parent.resolve()


class PathFile:
    """An editable install as a plain list of directories. setuptools' own way
    (an import hook) hides ``twisted/plugins`` from Twisted's plugin system,
    which looks for directories on C{sys.path}."""

    def __init__(self, dist: object, name: str) -> None:
        self._name = name

    def __call__(self, wheel: object, files: object, mapping: object) -> None:
        roots = [HERE, HERE / "daemon", HERE / "plugins"]
        text = "".join(f"{root}\n" for root in roots)
        wheel.writestr(f"__editable__.{self._name}.pth", text)  # type: ignore[attr-defined]

    def __enter__(self) -> PathFile:
        return self

    def __exit__(self, *failure: object) -> None:
        return None


class EditableWheel(editable_wheel):
    """C{pip install --editable} that Twisted's plugin system can see."""

    def _select_strategy(self, name: str, tag: str, build_lib: object) -> PathFile:
        return PathFile(self.distribution, name)


commands: dict[str, type[Command]] = {"editable_wheel": EditableWheel, "build_py": build_py}

setup(
    name="stationd",
    version="0.1.0",
    description="A flight recorder for Docker and LXC containers",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    package_dir={
        "stationd": "daemon/stationd",
        "stationd_plugins": "plugins/stationd_plugins",
        "twisted.plugins": "twisted/plugins",
    },
    packages=[
        "stationd",
        "stationd.cli",
        "stationd.journal",
        "stationd.messages",
        "stationd.web",
        "stationd_plugins",
        "stationd_plugins.docker",
        "stationd_plugins.host",
        "stationd_plugins.lxc",
        "stationd_plugins.nftables",
        "twisted.plugins",
    ],
    package_data={"stationd": ["py.typed"], "stationd_plugins": ["py.typed"]},
    install_requires=[
        "attrs>=23.1",
        "docker>=7",
        "inotify_simple>=1.3",
        "numpy>=1.26",
        "pyroute2>=0.7",
        "twisted>=23.10",
        "zstandard>=0.22",
        "zope.interface>=6",
    ],
    extras_require={
        "test": ["hypothesis>=6", "treq>=23"],
        "lint": ["mypy>=1.11", "mypy-zope>=1.0.8", "ruff>=0.6", "towncrier>=23"],
    },
    entry_points={"console_scripts": ["stationctl = stationd.cli.main:main"]},
    cmdclass=commands,
)
