"""The real process: signals, endpoints that cannot be opened, locks of sockets."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess

from twisted.trial.unittest import TestCase

from tests.functional.daemon import TWISTD, Daemon, eventually

LATE = """
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamServerEndpoint, IStreamServerEndpointStringParser
from twisted.plugin import IPlugin
from zope.interface import implementer

@implementer(IStreamServerEndpoint)
class Late:
    def __init__(self, reactor):
        self.reactor = reactor

    def listen(self, factory):
        listening = Deferred()
        self.reactor.callLater(0.1, listening.errback, OSError(5, "not today"))
        return listening

@implementer(IPlugin, IStreamServerEndpointStringParser)
class Parser:
    prefix = "late"

    def parseStreamServer(self, reactor, *args, **kwargs):
        return Late(reactor)

parser = Parser()
"""
"""An endpoint of another package's, which fails when the reactor runs."""


class ServiceTests(TestCase):
    """Sources are configured that connect to an engine that hangs: their threads have begun."""

    timeout = 120

    def setUp(self) -> None:
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        engine = socket.socket(socket.AF_UNIX)
        self.addCleanup(engine.close)
        engine.bind(f"{self.daemon.directory}/engine.sock")
        engine.listen()
        os.mkdir(f"{self.daemon.directory}/lxc")
        self.configure(r'url = ".*"', f'url = "unix://{self.daemon.directory}/engine.sock"')
        self.configure(r'^path = ".*"', f'path = "{self.daemon.directory}/lxc"')

    def configure(self, pattern: str, replacement: str) -> None:
        with open(self.daemon.configuration, encoding="utf-8") as file:
            text = re.sub(pattern, lambda _: replacement, file.read(), flags=re.MULTILINE)
        with open(self.daemon.configuration, "w", encoding="utf-8") as file:
            file.write(text)

    def endpoints(self, *descriptions: str) -> None:
        listed = ", ".join(f'"{description}"' for description in descriptions)
        self.configure(r"^endpoints = .*", f"endpoints = [{listed}]")

    def says(self, text: str, times: int = 1) -> None:
        found = eventually(lambda: self.daemon.said().count(text) >= times)
        self.assertTrue(found, self.daemon.said())

    def refusal(self) -> str:
        """What a start that fails says on stderr; it ends with 1, soon."""
        command = [TWISTD, "--nodaemon", "--pidfile=", "stationd", "--config"]
        command.append(self.daemon.configuration)
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.daemon.directory,
            env=os.environ | {"PYTHONPATH": self.daemon.directory},
        )
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertNotIn("Traceback", done.stdout + done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        return done.stderr

    def test_signals_do_not_end_it(self) -> None:
        self.daemon.start()
        process = self.daemon.process
        assert process is not None
        for name in ("HUP", "USR1", "USR2", "ALRM", "PIPE"):
            for _ in range(20):
                process.send_signal(signal.Signals[f"SIG{name}"])
        self.says("no change; users are read whenever their file changes")
        self.configure(r"^retain_bytes = .*", "retain_days = 3")
        self.endpoints("tcp:0")
        process.send_signal(signal.SIGHUP)
        self.says("journal.retain_days from 0 to 3; only a restart changes http.endpoints from")
        self.configure(r"^retain_days = 3", "retain_days = -3")
        process.send_signal(signal.SIGHUP)
        self.says("not reread, nothing has changed: ")
        # Whoever opens a pipe waits for what is written to it.
        os.unlink(self.daemon.configuration)
        os.mkfifo(self.daemon.configuration)
        process.send_signal(signal.SIGHUP)
        self.says("not reread, nothing has changed: ", times=2)
        self.assertEqual(self.daemon.curl("/healthz"), "ok\n")
        self.assertNotIn("Traceback", self.daemon.said())

    def test_signals_before_it_has_started(self) -> None:
        configuration = self.daemon.configuration
        os.rename(configuration, f"{configuration}.file")
        os.mkfifo(configuration)
        command = [TWISTD, "--nodaemon", "--pidfile=", "stationd", "--config", configuration]
        with open(self.daemon.log, "ab") as log:
            self.daemon.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.daemon.directory
            )
        with open(configuration, "wb") as pipe, open(f"{configuration}.file", "rb") as file:
            # It waits for the configuration.
            for name in ("HUP", "USR1", "USR2", "ALRM"):
                self.daemon.process.send_signal(signal.Signals[f"SIG{name}"])
            pipe.write(file.read())
            os.rename(f"{configuration}.file", configuration)
        self.says(f"reread {configuration}: no change")
        self.says("ignored SIGUSR2")
        self.assertEqual(self.daemon.curl("/healthz"), "ok\n")

    def test_many_ends_are_one(self) -> None:
        for name in ("TERM", "INT", "QUIT"):
            self.daemon.start()
            process = self.daemon.process
            assert process is not None
            for _ in range(5):
                process.send_signal(signal.Signals[f"SIG{name}"])
            process.wait(30)
            self.assertIn("everything is on disk", self.daemon.said())
            self.assertNotIn("Traceback", self.daemon.said())

    def test_one_endpoint_of_two_is_enough(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            endpoint = f"tcp:{port}:interface=127.0.0.1"
            self.endpoints(f"unix:{self.daemon.socket}:mode=660", endpoint)
            self.daemon.start()
            self.assertEqual(self.daemon.curl("/healthz"), "ok\n")
            said = self.daemon.said()
            self.assertIn(f"cannot listen on {endpoint}: Address already in use", said)
            self.assertEqual(
                self.daemon.get("/api/v1/system")["endpoints"],
                {
                    f"unix:{self.daemon.socket}:mode=660": "open",
                    endpoint: "Address already in use",
                },
            )
        self.assertTrue(
            eventually(lambda: f"listening on {endpoint}" in self.daemon.said(), 60),
            self.daemon.said(),
        )
        with socket.create_connection(("127.0.0.1", port)):
            pass
        self.assertNotIn("Traceback", self.daemon.said())

    def test_none_is_an_end(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            self.endpoints(
                f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1",
                "unix:/nowhere/at/all.sock",
                "systemd:domain=UNIX:name=absent",
                "tcp:0:interface=192.0.2.1",
            )
            self.assertRegex(self.refusal(), r"^stationd: cannot listen on tcp:\d+:")

    def test_none_as_turns_out_later(self) -> None:
        plugins = f"{self.daemon.directory}/twisted/plugins"
        os.makedirs(plugins)
        with open(f"{plugins}/late.py", "w", encoding="ascii") as file:
            file.write(LATE)
        self.endpoints("unix:/nowhere/at/all.sock", "late:")
        self.assertEqual(
            self.refusal(),
            "stationd: cannot listen on unix:/nowhere/at/all.sock: "
            "No such file or directory: /nowhere/at/all.sock.lock\n",
        )

    def test_mistakes_of_a_description_are_one_line(self) -> None:
        self.endpoints(f"unix:{self.daemon.socket}", "tpc:80")
        self.assertIn("http.endpoints: 'tpc:80' is not allowed; ", self.refusal())

    def test_mistakes_of_a_plugin_are_one_line(self) -> None:
        with open(self.daemon.configuration, "a", encoding="utf-8") as file:
            file.write('\n[sources.mine]\nplugin = "stationd_plugins.docker.source"\n')
        self.assertIn("sources.docker and sources.mine are both of type docker", self.refusal())

    def test_the_lock_of_another_life(self) -> None:
        os.symlink("1", f"{self.daemon.socket}.lock")
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(self.daemon.socket)
        self.daemon.start()
        self.assertEqual(stat.S_IMODE(os.stat(self.daemon.socket).st_mode), 0o660)
        self.daemon.kill()
        self.daemon.start()
        self.configure(r"^directory = .*", f'directory = "{self.daemon.directory}/other"')
        self.endpoints(f"unix:{self.daemon.socket}:mode=660")
        self.assertIn(f"{self.daemon.socket} is in use by another stationd", self.refusal())
        self.assertEqual(self.daemon.curl("/healthz"), "ok\n")
