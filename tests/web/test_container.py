"""C{/api/v1/container}, waits, the account and the rest."""

from __future__ import annotations

import os

from stationd.errors import JournalUnwritable
from stationd.records import State
from stationd.waits import GRACE_SECONDS
from stationd.web.sessions import COOKIE_NAME, IDLE_SECONDS, MAX_AGE_SECONDS
from stationd.web.users_file import Account, hash_password, write_users
from tests.test_record_builder import ID
from tests.web.station import StationCase


class ContainerTests(StationCase):
    """What containers are."""

    RUNNING = {  # noqa: RUF012
        "cpu": 0.25,
        "id": ID,
        "image": "bb:latest",
        "ipaddress": ["10.0.3.62"],
        "memory": 4096,
        "name": "DockerTestAPI",
        "rx": 180,
        "state": "running",
        "tx": 7,
        "type": "docker",
    }

    def test_a_running_one(self) -> None:
        self.happen("create", "start", image="bb:latest")
        for key in (ID, ID[:12], "DockerTestAPI"):
            self.assertEqual(self.get(f"/api/v1/container/docker/{key}"), self.RUNNING)
        self.assertEqual(self.get("/api/v1/container"), [self.RUNNING])
        self.assertEqual(list(self.get("/api/v1/container")[0]), sorted(self.RUNNING))

    def test_one_whose_source_is_away(self) -> None:
        self.happen("create", "start", image="bb:latest")
        self.sources.lives = False
        self.assertEqual(self.get("/api/v1/container"), [self.RUNNING | {"stale": True}])

    def test_a_stopped_one(self) -> None:
        self.happen("create", image="bb:latest")
        stopped = {"id": ID, "image": "bb:latest", "name": "DockerTestAPI"}
        stopped |= {"state": "stopped", "type": "docker"}
        self.assertEqual(self.get("/api/v1/container"), [stopped])
        self.happen("start")
        self.happen("die", details={"exitCode": 3})
        more = {"exitCode": 3, "finishedAt": "2015-05-19 08:05:11.000000"}
        self.assertEqual(self.get("/api/v1/container"), [stopped | more])

    def test_unknown_ones_and_types(self) -> None:
        self.problem(404, self.call("GET", "/api/v1/container/docker/x"), "no docker container 'x'")
        problem = self.problem(400, self.call("GET", "/api/v1/container/podman/x"))
        self.assertEqual(problem["parameter"], "type")
        self.happen("create", "destroy")
        self.problem(404, self.call("GET", f"/api/v1/container/docker/{ID}"))

    def test_odd_names_can_be_asked_for(self) -> None:
        self.happen("create", type="lxc", id="a b/ü", name="a b/ü")
        self.assertEqual(self.get("/api/v1/container/lxc/a%20b%2F%C3%BC")["name"], "a b/ü")
        self.problem(400, self.call("GET", "/api/v1/container/lxc/%ff"))


class WaitTests(StationCase):
    """C{/api/v1/event/wait}; the waits themselves have their own tests."""

    def path(self, state: str, query: str = "", key: str = ID) -> str:
        return f"/api/v1/event/wait/docker/{key}/{state}{query}"

    def test_an_answer_when_it_is_so(self) -> None:
        self.happen("create", "start")
        asked = self.ask("GET", self.path("stopped"))
        self.clock.advance(1.5)
        self.assertNoResult(asked)
        self.happen("die", details={"exitCode": 9})
        shown = self.answer(asked).json
        self.assertEqual(shown["state"], "stopped")
        self.assertEqual((shown["exitCode"], shown["waited"]), (9, 1.5))

    def test_an_answer_when_the_time_is_up(self) -> None:
        self.happen("create", "start")
        for query, seconds in (("", 60), ("?duration=5", 5), ("?duration=0.25", 0.25)):
            asked = self.ask("GET", self.path("stopped", query))
            self.clock.advance(seconds - 0.01)
            self.assertNoResult(asked)
            self.clock.advance(0.01)
            shown = self.answer(asked).json
            self.assertEqual((shown["state"], shown["cpu"]), ("running", 0.25))

    def test_an_answer_while_its_source_is_away(self) -> None:
        self.happen("create", "start")
        asked = self.ask("GET", self.path("stopped", "?duration=5"))
        self.sources.lives = False
        self.clock.advance(5)
        self.assertTrue(self.answer(asked).json["stale"])
        asked = self.ask("GET", self.path("removed"))
        self.happen("die", "destroy")
        self.settle()
        self.assertNoResult(asked)
        self.sources.lives = True
        self.waits.live("docker")
        self.assertNotIn("stale", self.answer(asked).json, "that will not change")

    def test_what_is_not_confirmed_is_shown_as_stale(self) -> None:
        self.happen("create", "start")
        self.sources.lives = False
        asked = self.ask("GET", self.path("running", "?duration=0"))
        shown = self.answer(asked).json
        self.assertEqual((shown["state"], shown["stale"]), ("running", True))
        self.happen("die", "destroy")
        shown = self.answer(self.ask("GET", self.path("stopped", "?duration=0"))).json
        self.assertEqual((shown["removed"], shown["stale"]), (True, True))

    def test_durations_that_programs_compute(self) -> None:
        self.happen("create", "start")
        self.sources.found = self.containers.get(f"docker/{ID}")
        for duration in (
            "0.75330420399996",
            "5e-05",
            "1.0000000000000000000001",
            ".5",
            "0." + "3" * 999,
        ):
            asked = self.ask("GET", self.path("stopped", f"?duration={duration}"))
            self.clock.advance(float(duration))
            self.assertEqual(self.answer(asked).json["state"], "running")

    def test_bad_values(self) -> None:
        for path, parameter in (
            (self.path("dead"), "state"),
            (self.path("running", "?duration=3601"), "duration"),
            (self.path("running", "?duration=-1"), "duration"),
            (self.path("running", "?duration=1e400"), "duration"),
            (self.path("running", "?duration=nan"), "duration"),
            (self.path("running", "?duration=3600.00000000001"), "duration"),
            ("/api/v1/event/wait/podman/x/running", "type"),
        ):
            answered = self.call("GET", path)
            self.assertEqual(self.problem(400, answered)["parameter"], parameter)

    def test_an_unknown_container(self) -> None:
        asked = self.ask("GET", self.path("running"))
        self.clock.advance(GRACE_SECONDS)
        self.problem(404, self.answer(asked))


class AccountTests(StationCase):
    """Logging in."""

    def setUp(self) -> None:
        super().setUp()
        self.token = ""
        write_users(
            self.users, [Account("admin", "admin", hash_password("secret", os.urandom(16)))]
        )

    def login_as(self, body: bytes, **headers: str) -> str:
        answered = self.call("POST", "/api/v1/login", body, **headers)
        self.assertEqual(
            answered.json,
            {
                "anonymous": False,
                "isAdmin": True,
                "logintime": "2015-05-19 08:05:43",
                "username": "admin",
            },
        )
        cookie = answered.headers["set-cookie"]
        self.assertTrue(cookie.startswith(f"{COOKIE_NAME}="))
        self.assertTrue(cookie.endswith("; Path=/; HttpOnly; SameSite=Strict"))
        return cookie.partition("=")[2].partition(";")[0]

    def test_a_form_and_a_json(self) -> None:
        form = "application/x-www-form-urlencoded"
        token = self.login_as(b"username=admin&password=secret", Content_Type=form)
        other = self.login_as(
            b'{"username": "admin", "password": "secret"}', Content_Type="application/json"
        )
        self.assertNotEqual(token, other)
        self.problem(401, self.call("GET", "/api/v1/login_refresh"), "log in first")
        self.token = token
        self.assertEqual(self.get("/api/v1/login_refresh")["username"], "admin")
        self.assertEqual(self.call("PUT", "/api/v1/logout").json, {"username": "admin"})
        self.problem(401, self.call("GET", "/api/v1/log"))
        self.token = other
        self.get("/api/v1/log")

    def test_wrong_ones(self) -> None:
        for body in (
            b"username=admin&password=wrong",
            b"username=nobody&password=secret",
            b"username=admin&password=" + b"x" * 5000,
        ):
            answered = self.call("POST", "/api/v1/login", body)
            self.problem(401, answered, "wrong username or password")
            self.assertNotIn("set-cookie", answered.headers)
        problem = self.problem(400, self.call("POST", "/api/v1/login", b"username=admin"))
        self.assertEqual(problem["parameter"], "password")
        self.assertEqual(len(self.sessions), 1)

    def test_a_session_ends(self) -> None:
        self.token = self.login_as(b"username=admin&password=secret")
        self.clock.advance(IDLE_SECONDS)
        self.get("/api/v1/log")
        self.clock.advance(IDLE_SECONDS + 1)
        self.problem(401, self.call("GET", "/api/v1/log"))
        self.token = self.login_as(b"username=admin&password=secret")
        for _ in range(int(MAX_AGE_SECONDS / IDLE_SECONDS)):
            self.clock.advance(IDLE_SECONDS)
            self.get("/api/v1/log")
        self.clock.advance(1)
        self.problem(401, self.call("GET", "/api/v1/log"))

    def test_another_password_or_no_account_ends_it(self) -> None:
        for accounts in ([Account("admin", "admin", hash_password("new", b"x" * 16))], []):
            self.token = self.login_as(b"username=admin&password=secret")
            before = self.users
            write_users(self.users, accounts)
            self.problem(401, self.call("GET", "/api/v1/log"))
            write_users(
                before, [Account("admin", "admin", hash_password("secret", os.urandom(16)))]
            )


class OtherTests(StationCase):
    """The rest, and what is no route."""

    def test_everything_but_the_open_routes_needs_a_login(self) -> None:
        self.token = ""
        for method, path in (
            ("GET", "/api/v1/log"),
            ("GET", "/api/v1/log/export"),
            ("DELETE", "/api/v1/log"),
            ("POST", "/api/v1/log"),
            ("GET", "/api/v1/event"),
            ("GET", "/api/v1/container"),
            ("GET", "/api/v1/event/wait/lxc/a/running"),
            ("GET", "/api/v1/system"),
            ("GET", "/metrics"),
        ):
            answered = self.call(method, path)
            self.problem(401, answered)
            self.assertIn("www-authenticate", answered.headers)
        self.assertEqual(self.call("GET", "/healthz").body, b"ok\n")

    def test_no_route(self) -> None:
        for path in ("/", "/api", "/api/v2/log", "/api/v1/container/docker", "/api/v1/event/wait"):
            self.problem(404, self.call("GET", path))
        answered = self.call("PUT", "/api/v1/log", b"")
        self.problem(405, answered, "PUT is not possible here")
        self.assertEqual(answered.headers["allow"], "GET, HEAD, POST, DELETE")

    def test_metrics(self) -> None:
        self.happen("create")
        text = self.call("GET", "/metrics").body.decode()
        self.assertIn('stationd_journal_records{journal="event"} 1\n', text)
        self.assertIn('stationd_source_live{source="docker"} 1\n', text)
        self.assertIn("stationd_waits_open 0\n", text)

    def test_system(self) -> None:
        self.assertEqual(self.get("/api/v1/system")["sources"], {"docker": {"state": "live"}})

    def test_a_disk_that_refuses(self) -> None:
        for full, status in ((True, 507), (False, 503)):
            error = JournalUnwritable("No space left on device", full)
            self.patch(self.recorder, "post_log", lambda drafts, error=error: _raise(error))
            body = {"category": "a", "message": "x"}
            self.problem(status, self.call("POST", "/api/v1/log", body), "No space left")

    def test_a_bug_has_an_incident_and_no_traceback(self) -> None:
        self.patch(self.recorder, "post_log", lambda drafts: _raise(ZeroDivisionError("secret")))
        answered = self.call("POST", "/api/v1/log", {"category": "a", "message": "x"})
        problem = self.problem(500, answered, "a bug; the daemon's log has it as incident")
        self.assertNotIn(b"secret", answered.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(problem["incident"]), 8)

    def test_a_stopped_state_is_what_the_docs_say(self) -> None:
        self.assertEqual({s.value for s in State}, {"running", "stopped", "paused"})


def _raise(error: Exception) -> None:
    raise error


del StationCase
