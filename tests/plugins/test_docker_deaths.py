"""Why containers died."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from stationd.record_builder import build_records
from stationd.records import Level, Observation
from stationd_plugins.docker.deaths import ASKED_US, BACKOFF_US, LOOP_US, OOM_US, SOON_US, Deaths
from stationd_plugins.docker.origins import origin_of
from tests.test_record_builder import ID

S = 1_000_000


def happened(action: str, at_us: int, **details: object) -> Observation:
    return Observation(
        time_us=at_us,
        type="docker",
        subject="container",
        action=action,
        id=ID,
        name="one",
        details=details,
        origin=origin_of(at_us * 1000, "container", action, ID),
    )


def deaths(*origins: str) -> Deaths:
    """From the beginning."""
    found = Deaths()
    found.resume(origins)
    return found


class DeathTests(SynchronousTestCase):
    """What came before an exit, and what is said of it."""

    def setUp(self) -> None:
        self.deaths = deaths()

    def said(self, *observations: Observation) -> list[tuple[Level, str]]:
        """The sentences for them, without the container."""
        found: list[tuple[Level, str]] = []
        for one in observations:
            for draft in build_records(self.deaths.explain(one)).log:
                found.append((draft.level, draft.text.partition(" (docker")[0]))
        return found

    def last(self, *observations: Observation) -> tuple[Level, str]:
        return self.said(happened("start", 1 * S), *observations)[-1]

    def test_by_itself(self) -> None:
        for code, expected in (
            (0, (Level.INFO, "Container exited by itself with code 0")),
            (1, (Level.WARN, "Container exited by itself with code 1")),
            (139, (Level.WARN, "Container was ended by SIGSEGV, code 139")),
            (255, (Level.WARN, "Container exited by itself with code 255")),
        ):
            self.deaths = deaths()
            self.assertEqual(self.last(happened("die", 2 * S, exitCode=code)), expected)

    def test_as_asked(self) -> None:
        kill = happened("kill", 2 * S, signal="SIGTERM")
        asked = (Level.INFO, "Container exited as asked with code 143")
        self.assertEqual(self.last(kill, happened("die", 3 * S, exitCode=143)), asked)

    def test_long_after_a_signal_or_a_harmless_one(self) -> None:
        itself = (Level.WARN, "Container exited by itself with code 1")
        for signal, at_us in (("SIGTERM", 2 * S + ASKED_US), ("SIGHUP", 2 * S + SOON_US)):
            self.deaths = deaths()
            kill = happened("kill", 2 * S, signal=signal)
            self.assertEqual(self.last(kill, happened("die", at_us, exitCode=1)), itself)

    def test_a_signal_to_the_run_before_does_not_count(self) -> None:
        self.said(happened("kill", 0, signal="SIGKILL"), happened("die", 1, exitCode=137))
        died = happened("die", 2 * S, exitCode=137)
        self.assertEqual(self.last(died), (Level.WARN, "Container was ended by SIGKILL, code 137"))

    def test_a_signal_that_is_recorded_already(self) -> None:
        # Which it was is not known any more.
        for after_us, words in (
            (1 * S, "Container exited as asked with code 137"),
            (SOON_US, "Container was ended by SIGKILL, code 137"),
        ):
            self.deaths = deaths(origin_of(2 * S * 1000, "container", "kill", ID), "lxc:x", "")
            died = happened("die", 2 * S + after_us, exitCode=137)
            self.assertEqual(self.said(died)[0][1], words)

    def test_out_of_memory(self) -> None:
        oom = happened("oom", 2 * S)
        died = self.deaths.explain(happened("start", 1 * S))
        self.deaths.explain(oom)
        died = self.deaths.explain(happened("die", 3 * S, exitCode=137))
        self.assertEqual(died.details["oom"], True)
        words = "Container was killed by the kernel, out of memory"
        (draft,) = build_records(died).log
        self.assertEqual((draft.level, draft.text.partition(" (")[0]), (Level.ERROR, words))
        # A child was killed, and the container ended well.
        died = self.deaths.explain(happened("die", 4 * S, exitCode=0))
        self.assertEqual(died.details["oom"], False)

    def test_memory_that_ran_out_long_ago_or_before_somebody_killed_it(self) -> None:
        oom = happened("oom", 2 * S)
        for before, at_us in (
            ([], 2 * S + OOM_US),
            ([happened("kill", 3 * S, signal="SIGKILL")], 4 * S),
        ):
            self.deaths = deaths()
            self.said(happened("start", 1 * S), oom, *before)
            died = self.deaths.explain(happened("die", at_us, exitCode=137))
            self.assertEqual(died.details["oom"], False)

    def test_images_that_stop_by_a_signal_that_is_harmless_elsewhere(self) -> None:
        for signal in ("SIGWINCH", "SIGUSR1"):
            kill = happened("kill", 2 * S, signal=signal)
            said = self.last(kill, happened("die", 3 * S, exitCode=1))
            self.assertEqual(said[1], "Container exited as asked with code 1")

    def test_it_goes_on_from_one_subscription_to_the_next(self) -> None:
        for n in range(6):
            self.said(happened("start", n * S), happened("die", n * S + 1, exitCode=1))
        self.deaths.resume([])
        died = self.deaths.explain(happened("die", 9 * S, exitCode=1))
        self.assertEqual(died.details["exits"], 7)

    def test_a_harmless_signal_is_not_what_another_did(self) -> None:
        for signal, code, expected in (
            ("SIGHUP", 137, "Container was ended by SIGKILL, code 137"),
            ("SIGHUP", 1, "Container exited by itself with code 1"),
            ("SIGHUP", 129, "Container exited as asked with code 129"),
            ("SIGHUP", 0, "Container exited as asked with code 0"),
            ("SIGUSR1", 143, "Container was ended by SIGTERM, code 143"),
            ("SIGUSR1", 138, "Container exited as asked with code 138"),
        ):
            self.deaths = deaths()
            kill = happened("kill", 2 * S, signal=signal)
            said = self.last(kill, happened("die", 3 * S, exitCode=code))
            self.assertEqual(said[1], expected, signal)

    def test_a_loop_for_want_of_memory(self) -> None:
        said: list[tuple[Level, str]] = []
        for n in range(1, 11):
            start, oom = happened("start", n * 20 * S), happened("oom", n * 20 * S + 1)
            said += self.said(start, oom, happened("die", n * 20 * S + 2, exitCode=137))
        whole = ["Start container", "Container ran out of memory"]
        killed = "Container was killed by the kernel, out of memory"
        words = "Container keeps ending: {} exits, each soon after the last, this one killed by"
        self.assertEqual(
            [text for _, text in said],
            [
                *[*whole, killed] * 3,
                *whole,
                *(f"{words.format(n)} the kernel, out of memory" for n in (4, 10)),
            ],
        )
        self.assertEqual(said[-1][0], Level.ERROR)

    def test_an_engine_that_comes_back_ends_what_it_finds(self) -> None:
        def ended(kill_us: int) -> object:
            self.said(happened("start", 1 * S), happened("kill", kill_us, signal="SIGKILL"))
            return self.deaths.explain(happened("die", 20 * S, exitCode=137)).details

        def away(lost_us: int, *times_us: int) -> None:
            self.deaths = deaths()
            self.deaths.lost(lost_us)
            for time_us in times_us:
                self.deaths.away(time_us)
            self.deaths.resume([])

        asked = {"exitCode": 137, "signal": "SIGKILL", "oom": False, "asked": True}
        away(10 * S, 12 * S, 15 * S)
        self.assertEqual(ended(11 * S), asked | {"engineStarts": True})
        for kill_us in (9 * S, 16 * S):
            away(10 * S, 12 * S, 15 * S)
            self.assertEqual(ended(kill_us), asked)
        # Only the connection was cut.
        away(10 * S)
        self.assertEqual(ended(11 * S), asked)

    def test_what_could_not_be_recorded_is_counted_once(self) -> None:
        exits = [happened("die", n * S, exitCode=1) for n in range(1, 4)]
        for _ in range(3):
            self.deaths.resume([])
            for one in exits:
                self.assertNotIn("exits", self.deaths.explain(one).details)

    def test_a_signal_of_before_the_clock_was_set_back(self) -> None:
        kill = happened("kill", 7200 * S, signal="SIGHUP")
        said = self.said(kill, happened("die", 5400 * S, exitCode=1))
        self.assertEqual(said[-1][1], "Container exited by itself with code 1")

    def test_a_harmless_signal_takes_nothing_back(self) -> None:
        kills = [
            happened("kill", 2 * S, signal="SIGTERM"),
            happened("kill", 3 * S, signal="SIGHUP"),
        ]
        said = self.last(*kills, happened("die", 3 * S + SOON_US, exitCode=143))
        self.assertEqual(said[1], "Container exited as asked with code 143")

    def test_a_start_that_is_not_the_engine_s_is_said(self) -> None:
        for n in range(6):
            self.said(happened("start", n * S), happened("die", n * S + 1, exitCode=1))
        later = 5 * S + 1 + BACKOFF_US
        self.assertEqual(self.said(happened("start", later)), [(Level.INFO, "Start container")])

    def test_the_memory_of_the_host_and_an_engine_that_stops(self) -> None:
        died = happened("die", 1, exitCode=137, oom=True, asked=False, hostMemory=True)
        words = "Container was killed by the kernel, the host was out of memory ("
        self.assertIn(words, build_records(died).log[0].text)
        died = happened("die", 1, exitCode=0, asked=True, engineStops=True)
        words = "Container exited as its engine was stopped with code 0 ("
        self.assertIn(words, build_records(died).log[0].text)

    def test_the_limit_is_said(self) -> None:
        for limit, said in ((16 << 20, "16 MiB"), (3 << 29, "1.5 GiB"), (500, "500 bytes")):
            died = happened("die", 1, exitCode=137, oom=True, asked=False, limit=limit)
            self.assertIn(f"out of memory, limit {said} (", build_records(died).log[0].text)

    def test_a_loop_is_said_at_round_numbers(self) -> None:
        said: list[str] = []
        for n in range(1, 1200):
            life = (happened("start", n * 20 * S), happened("die", n * 20 * S + S, exitCode=1))
            said += [text for _, text in self.said(*life)]
        plain = ["Start container", "Container exited by itself with code 1"]
        self.assertEqual(said[:7], [*plain * 3, "Start container"])
        self.assertEqual(
            said[7:],
            [
                f"Container keeps ending: {n} exits, each soon after the last, this one with code 1"
                for n in (4, 10, 100, 1000)
            ],
        )

    def test_a_loop_ends(self) -> None:
        def loop(at_us: int) -> None:
            for n in range(10):
                self.said(happened("start", at_us + n * S), happened("die", at_us + n * S + 1))

        itself = "Container exited by itself with code 1"
        for end in (
            [],
            [happened("start", 20 * S), happened("die", 21 * S, exitCode=0)],
            [happened("start", 20 * S), happened("kill", 21 * S), happened("die", 22 * S)],
        ):
            self.deaths = deaths()
            loop(0)
            self.said(*end)
            later = 30 * S if end else 9 * S + LOOP_US + 1
            said = self.said(happened("start", later), happened("die", later + 1, exitCode=1))
            self.assertEqual([text for _, text in said], ["Start container", itself])

    def test_a_replay_counts_nothing_twice(self) -> None:
        exits = [happened("die", n * S, exitCode=1) for n in range(1, 6)]
        self.deaths = deaths(*(one.origin for one in exits))
        for one in exits:
            self.assertNotIn("exits", self.deaths.explain(one).details)

    def test_a_clock_that_is_set_back(self) -> None:
        hour = 3600 * S
        self.said(happened("start", 2 * hour))
        kill = happened("kill", hour, signal="SIGTERM")
        said = self.said(kill, happened("die", hour + S, exitCode=143))
        self.assertEqual(said[-1][1], "Container exited as asked with code 143")
        said = self.said(happened("start", hour + 2 * S), happened("die", hour + 3 * S, exitCode=1))
        self.assertEqual(said[-1][1], "Container exited by itself with code 1")

    def test_of_what_is_inferred_nobody_knows_who_asked(self) -> None:
        died = attrs.evolve(happened("die", 2 * S, exitCode=1), inferred=True)
        self.assertEqual(
            self.last(died), (Level.WARN, "Container exited with code 1, noticed later")
        )
        died = attrs.evolve(happened("die", 3 * S, exitCode=137), inferred=True)
        found = self.deaths.explain(died).details
        self.assertEqual(found, {"exitCode": 137, "signal": "SIGKILL"})
        self.said(happened("start", 4 * S), happened("oom", 5 * S))
        found = self.deaths.explain(attrs.evolve(died, time_us=6 * S)).details
        self.assertEqual(found["oom"], True)
