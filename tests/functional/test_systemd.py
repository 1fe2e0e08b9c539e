"""A socket that systemd made, in the way systemd passes it on."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess

from twisted.trial.unittest import TestCase

from tests.functional.daemon import TWISTD, Daemon, eventually


class AdoptedSocketTests(TestCase):
    """The socket outlives the daemon."""

    timeout = 60

    def test_it_serves_over_two_starts(self) -> None:
        daemon = Daemon()
        self.addCleanup(daemon.close)
        with open(daemon.configuration, encoding="utf-8") as file:
            text = file.read()
        adopted = 'endpoints = ["systemd:domain=UNIX:name=stationd.socket"]'
        with open(daemon.configuration, "w", encoding="utf-8") as file:
            file.write(re.sub(r"endpoints = .*", adopted, text))
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(daemon.socket)
            os.chmod(daemon.socket, 0o640)
            listening.listen()
            for _ in range(2):
                # What systemd does: descriptor 3, and the process told so by its id.
                script = "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=stationd.socket; "
                script += 'exec "$0" --nodaemon --pidfile= stationd --config "$1" 3<&{}'
                script = script.replace("{}", str(listening.fileno()))
                with open(daemon.log, "ab") as log:
                    daemon.process = subprocess.Popen(
                        ["bash", "-c", script, TWISTD, daemon.configuration],
                        pass_fds=[listening.fileno()],
                        stdout=log,
                        stderr=log,
                        cwd=daemon.directory,
                    )
                self.assertTrue(eventually(lambda: "listening on systemd" in daemon.said()))
                self.assertEqual(daemon.curl("/healthz"), "ok\n", daemon.said())
                self.assertEqual(stat.S_IMODE(os.stat(daemon.socket).st_mode), 0o640)
                self.assertNotIn("\0", daemon.said())
                daemon.stop()
                self.assertTrue(os.path.exists(daemon.socket), daemon.said())
                os.unlink(daemon.log)
