"""Endpoint descriptions: which are refused in the configuration, which when they are opened."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from twisted.internet.defer import maybeDeferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from stationd.config import Settings
from stationd.endpoints import failure_reason, listen, validate_endpoints
from stationd.errors import InvalidConfiguration

OTHERS = (
    "tcp:0",
    "tcp:9170:interface=127.0.0.1",
    "tcp6:9170:interface=\\:\\:1",
    "unix:/run/a.sock:mode=660",
    "systemd:domain=UNIX:name=absent",
    "systemd:domain=INET:index=7",
    "ssl:443:privateKey=/nowhere/key.pem",
    "haproxy:tcp:80",
)


class CheckTests(SynchronousTestCase):
    """What no waiting makes right is refused at once."""

    def test_mistakes(self) -> None:
        for description, expected in (
            ("tcp", "missing 1 required positional argument: 'port'"),
            ("tcp:http", "invalid literal for int"),
            ("tcp:99999", "a port is 0 to 65535"),
            ("tcp:-1", "a port is 0 to 65535"),
            ("tcp:80:80:80:80", "positional arguments"),
            ("tcp:80:interfaec=127.0.0.1", "unexpected keyword argument 'interfaec'"),
            ("tcp:80:backlog=x", "invalid literal for int"),
            ("haproxy:tcp:99999", "a port is 0 to 65535"),
            ("tpc:80", "Unknown endpoint type: 'tpc'"),
            ("9170", "Unknown endpoint type: '9170'"),
            ("stdio:", "clients cannot connect to stdio"),
            ("unix:", "1 to 107 bytes"),
            ("unix:/" + "x" * 107, "1 to 107 bytes"),
            ("unix:/a:mode=888", "invalid literal for int"),
            ("unix:/a:mode=1777", "mode is 0 to 777"),
            ("unix:/a:lockfile=0", "lockfile=0 is not possible"),
            ("unix:\0a", "printable characters"),
            ("tcp:80\nERROR", "printable characters"),
            ("systemd:domain=UNIX", "Specify exactly one of descriptor index or name"),
        ):
            settings = Settings(file="f.toml", endpoints=("tcp:0", description))
            error = self.assertRaises(InvalidConfiguration, validate_endpoints, settings)
            self.assertRegex(
                str(error), f"^f.toml: http.endpoints: .* is not allowed; .*{expected}"
            )
            self.assertEqual(len(str(error).splitlines()), 1)

    def test_one_that_stands_twice(self) -> None:
        for first, second in (
            ("tcp:9170", "tcp:9170"),
            ("unix:/run/a.sock:mode=660", "unix:/run/a.sock:mode=660"),
            ("systemd:domain=INET:index=0", "systemd:index=0:domain=INET"),
            ("systemd:domain=INET:index=0", "systemd:domain=UNIX:index=0"),
        ):
            settings = Settings(file="f.toml", endpoints=(first, "tcp:0", second))
            error = self.assertRaises(InvalidConfiguration, validate_endpoints, settings)
            self.assertRegex(str(error), f"'{second}' is not allowed; it stands there twice")
        settings = Settings(file="f.toml", endpoints=("tcp:1", "tcp:2", "tcp6:1"))
        self.assertIs(validate_endpoints(settings), settings)

    def test_what_may_become_right_is_not_refused(self) -> None:
        settings = Settings(file="f.toml", endpoints=OTHERS)
        self.assertIs(validate_endpoints(settings), settings)


class ListenTests(SynchronousTestCase):
    """Opening, with the words for what goes wrong."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.site = Site(Resource())

    def refusal(self, description: str) -> str:
        return failure_reason(
            self.failureResultOf(maybeDeferred(listen, self.reactor, description, self.site))
        )

    def test_others_are_left_to_the_reactor(self) -> None:
        self.successResultOf(listen(self.reactor, "tcp:80:interface=127.0.0.1", self.site))
        (listening,) = self.reactor.tcpServers
        self.assertEqual((listening[0], listening[3]), (80, "127.0.0.1"))

    def test_reasons(self) -> None:
        directory = os.path.abspath(self.mktemp())
        for description, expected in (
            (f"unix:{directory}/a", f"No such file or directory: {directory}/a.lock"),
            ("systemd:domain=UNIX:name=absent", "systemd has passed no such socket"),
            ("systemd:domain=UNIX:index=3", "systemd has passed no such socket"),
            ("ssl:0:privateKey=/nowhere", "No such file or directory: /nowhere"),
        ):
            self.assertEqual(self.refusal(description), expected)

    def test_a_file_in_the_way(self) -> None:
        path = os.path.abspath(self.mktemp())
        with open(path, "w", encoding="ascii"):
            pass
        self.assertEqual(self.refusal(f"unix:{path}"), f"{path} exists and is not a socket")
        self.assertTrue(os.path.exists(path))

    def test_tls_without_pyopenssl_is_one_line(self) -> None:
        program = (
            "import sys; sys.modules['OpenSSL'] = None\n"
            "from twisted.internet.defer import maybeDeferred\n"
            "from stationd.endpoints import validate_endpoints, listen, failure_reason\n"
            "from stationd.config import Settings\n"
            "validate_endpoints(Settings(file='f', endpoints=('ssl:443',)))\n"
            "d = maybeDeferred(listen, None, 'ssl:443', None)\n"
            "d.addErrback(lambda f: print(failure_reason(f)))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        self.assertRegex(done.stdout, r"^[^\n]*OpenSSL[^\n]*; ssl: endpoints need pyOpenSSL\n$")


class AdoptionTests(SynchronousTestCase):
    """Descriptors that systemd passes; the process is the one that they are for."""

    def adopt(self, passed: socket.socket, domain: str) -> str:
        """What comes of it in a process of its own: C{"listening"} or a reason."""
        program = (
            "import os, sys; os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1',"
            " LISTEN_FDNAMES='ours'); os.dup2(int(sys.argv[2]), 3)\n"
            "from twisted.internet import reactor\n"
            "from twisted.internet.defer import maybeDeferred\n"
            "from twisted.internet.protocol import Factory\n"
            "from stationd.endpoints import listen, failure_reason\n"
            "endpoint = f'systemd:domain={sys.argv[1]}:name=ours'\n"
            "d = maybeDeferred(listen, reactor, endpoint, Factory())\n"
            "d.addCallbacks(lambda port: print('listening', repr(port), port.getHost()) or "
            "port.stopListening(), lambda f: print(failure_reason(f)))\n"
            "reactor.callWhenRunning(d.addBoth, lambda _: reactor.stop())\n"
            "reactor.run()\n"
        )
        command = [sys.executable, "-c", program, domain, str(passed.fileno())]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            pass_fds=[passed.fileno()],
            timeout=60,
        )
        self.assertEqual(done.stderr, "")
        self.assertNotIn("\0", done.stdout)
        return done.stdout.strip()

    def test_abstract_and_tcp_sockets(self) -> None:
        for family, address, domain in (
            (socket.AF_UNIX, f"\0stationd-test-{os.getpid()}", "UNIX"),
            (socket.AF_INET, ("127.0.0.1", 0), "INET"),
        ):
            with socket.socket(family) as passed:
                passed.bind(address)
                passed.listen()
                self.assertRegex(self.adopt(passed, domain), "^listening ")
                with socket.socket(family) as client:
                    # It still listens, for the next start.
                    client.connect(passed.getsockname())

    def test_sockets_of_another_kind_are_refused(self) -> None:
        with socket.socket(socket.AF_INET) as passed:
            passed.bind(("127.0.0.1", 0))
            passed.listen()
            self.assertEqual(self.adopt(passed, "UNIX"), "the socket passed has domain=INET")
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.assertIn("does not listen", self.adopt(ours, "UNIX"))
