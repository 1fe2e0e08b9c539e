"""The files in C{etc/} are what the code understands."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import tomllib

import attrs
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from stationd.config import Settings, load_settings
from stationd_plugins.docker import source as docker
from stationd_plugins.lxc import source as lxc
from tests.test_layers import ROOT

ETC = os.path.join(ROOT, "etc")


class SampleTests(SynchronousTestCase):
    """The sample configuration."""

    def test_it_says_the_defaults(self) -> None:
        path = os.path.join(ETC, "stationd.toml")
        settings = load_settings(path)
        self.assertEqual(
            attrs.evolve(settings, sources=()), Settings(file=path, sources=()), "not the defaults"
        )

    def test_it_has_every_key_of_the_sources(self) -> None:
        with open(os.path.join(ETC, "stationd.toml"), "rb") as file:
            sources = tomllib.load(file)["sources"]
        self.assertEqual(set(sources["docker"]), {"url", "exec_events", "cgroup"})
        self.assertEqual(set(sources["lxc"]), {"path", "cgroup"})
        reactor = MemoryReactorClock()
        for module, name in ((docker, "docker"), (lxc, "lxc")):
            source = module.make_source(sources[name], reactor)
            self.successResultOf(source.close())


class UnitTests(SynchronousTestCase):
    """The systemd units."""

    def read(self, name: str) -> configparser.ConfigParser:
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read(os.path.join(ETC, name))
        return parser

    def test_the_service_runs_the_plugin(self) -> None:
        service = self.read("stationd.service")
        command = service["Service"]["ExecStart"].split()
        self.assertEqual(
            command[1:],
            ["--nodaemon", "--pidfile=", "stationd", "--config", "/etc/stationd/stationd.toml"],
        )

    def test_the_service_stays(self) -> None:
        service = self.read("stationd.service")["Service"]
        self.assertEqual(service["Restart"], "always")
        self.assertEqual(service["RuntimeDirectoryPreserve"], "yes")
        self.assertEqual(service["ExecReload"], "/bin/sh -c 'kill -HUP $$MAINPID'")

    def test_the_socket_is_the_one_the_sample_names(self) -> None:
        socket = self.read("stationd.socket")["Socket"]
        self.assertEqual(socket["ListenStream"], "/run/stationd/api.sock")
        self.assertEqual(socket["SocketMode"], "0660")

    def test_systemd_understands_them(self) -> None:
        analyze = shutil.which("systemd-analyze")
        if analyze is None:
            # Nothing to ask on a host without systemd; the tests above stand alone.
            return
        command = [analyze, "verify", "--man=no", os.path.join(ETC, "stationd.socket")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertNotIn("Unknown", done.stderr)
