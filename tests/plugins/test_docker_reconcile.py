"""What must have happened while nobody looked: scenarios of what an engine tells and
what it forgets, and the same at random."""

from __future__ import annotations

import random

import attrs
from twisted.trial.unittest import SynchronousTestCase

from stationd.records import Container, Observation, State
from stationd.registry import Registry
from stationd_plugins.docker.decode import Inspected
from stationd_plugins.docker.gap import since_ns
from stationd_plugins.docker.origins import origin_of, time_ns_of
from stationd_plugins.docker.reconcile import Listing, reconcile
from tests.plugins.test_docker_deaths import happened
from tests.test_record_builder import ID

S = 10**9
"""A second."""

SINCE, NOW = 100 * S, 1000 * S


def origin(action: str, at: int, id: str = ID) -> str:
    """The origin of an event that the engine told a millisecond after it happened."""
    return origin_of(at * S + S // 1000, "container", action, id)


def told(action: str, at: int) -> Observation:
    """What such an event tells."""
    return happened(action, at * 10**6 + 1000)


def container(**fields: object) -> Container:
    values: dict[str, object] = {"type": "docker", "id": ID, "name": "one"}
    return Container(**(values | fields))  # type: ignore[arg-type]


def seen(state: State, created: int, started: int, finished: int, **fields: object) -> Inspected:
    """A container as the engine shows it; times in seconds, 0 for never."""
    stopped = state is State.STOPPED and finished
    return Inspected(
        container=container(state=state, exit_code=fields.pop("code", 0) if stopped else None),
        pid=0,
        created_ns=created * S or None,
        started_ns=started * S or None,
        finished_ns=finished * S or None,
        **fields,  # type: ignore[arg-type]
    )


RUNNING, STOPPED, PAUSED = State.RUNNING, State.STOPPED, State.PAUSED


class ScenarioTests(SynchronousTestCase):
    """One container, what of it is recorded, and what it is found to be."""

    def work_out(
        self, recorded: list[tuple[str, int]], found: Inspected | None, **known: object
    ) -> list[tuple[str, int]]:
        origins = [origin(action, at) for action, at in recorded]
        listing = Listing(frozenset([ID] if found else []), [found] if found else [])
        existing = [container(**known)] if recorded else []
        self.told = reconcile(listing, existing, origins, SINCE, NOW)
        self.assertTrue(all(one.inferred for one in self.told))
        self.assertEqual(len({one.origin for one in self.told}), len(self.told))
        return [(one.action, one.time_us // 10**6) for one in self.told]

    def test_one_that_was_recorded_as_removed_is_found_again(self) -> None:
        life = [("create", 90), ("start", 91), ("die", 95), ("destroy", 110)]
        for state in (STOPPED, RUNNING, PAUSED):
            found = seen(state, 90, 91, 95)
            origins = [origin(action, at) for action, at in life]
            listing = Listing(frozenset([ID]), [found])
            for news, now in (
                ([], state),
                ([told("start", 999)], STOPPED),
                ([told("kill", 998), told("die", 999)], RUNNING),
                ([told("unpause", 999)], PAUSED),
                ([told("destroy", 999)], STOPPED),
            ):
                (again,) = reconcile(listing, [], origins, SINCE, NOW, news, complete=True)
                self.assertEqual((again.action, again.inferred), ("found", False))
                self.assertEqual(again.details, {"now": now.value})
                # It is before what was told since.
                self.assertLess(
                    time_ns_of(again.origin), news[0].time_us * 1000 if news else NOW + 1
                )
            # Now it is known, and nothing before that counts.
            recorded = [*life, ("found", 200)]
            self.assertEqual(self.work_out(recorded, found, state=state), [])
            gone = [("die", 1000)] if state is not STOPPED else []
            self.assertEqual(self.work_out(recorded, None, state=state), [*gone, ("destroy", 1000)])
            # Twice, too.
            recorded += [("destroy", 300), ("found", 400)]
            self.assertEqual(self.work_out(recorded, found, state=state), [])

    def test_what_happened_since_it_was_found_again(self) -> None:
        recorded = [("create", 90), ("destroy", 110), ("found", 200)]
        ran = seen(STOPPED, 90, 300, 310)
        runs = seen(RUNNING, 90, 300, 95)
        self.assertEqual(self.work_out(recorded, ran), [("start", 300), ("die", 310)])
        self.assertEqual(self.work_out(recorded, runs), [("start", 300)])

    def test_nothing_was_missed(self) -> None:
        for recorded, found in (
            ([("create", 90), ("start", 91)], seen(RUNNING, 90, 91, 0)),
            ([("create", 110), ("start", 111), ("die", 112)], seen(STOPPED, 110, 111, 112)),
            ([("create", 110)], seen(STOPPED, 110, 0, 0)),
            # It was there before us, and nothing has happened since.
            ([], seen(RUNNING, 50, 60, 0)),
        ):
            self.assertEqual(self.work_out(recorded, found), [])

    def test_a_container_that_came_and_runs(self) -> None:
        self.assertEqual(
            self.work_out([], seen(RUNNING, 200, 201, 0)), [("create", 200), ("start", 201)]
        )

    def test_a_container_that_came_and_ended(self) -> None:
        found = seen(STOPPED, 200, 201, 202, code=137, oom_killed=True)
        self.assertEqual(
            self.work_out([], found),
            [("create", 200), ("start", 201), ("oom", 202), ("die", 202)],
        )
        self.assertEqual(self.told[-1].details, {"exitCode": 137})

    def test_it_ended(self) -> None:
        recorded = [("create", 90), ("start", 91)]
        found = seen(STOPPED, 90, 91, 200, code=3)
        self.assertEqual(self.work_out(recorded, found, state=RUNNING), [("die", 200)])
        self.assertEqual(self.told[0].details, {"exitCode": 3})

    def test_it_ended_and_runs_again(self) -> None:
        recorded = [("create", 90), ("start", 91)]
        found = seen(RUNNING, 90, 201, 200)
        self.assertEqual(
            self.work_out(recorded, found, state=RUNNING), [("die", 200), ("start", 201)]
        )
        self.assertEqual(self.told[0].details, {}, "the engine does not know that code any more")

    def test_it_was_started_again_and_again(self) -> None:
        recorded = [("create", 90), ("start", 91), ("die", 92)]
        found = seen(RUNNING, 90, 301, 300)
        self.assertEqual(
            self.work_out(recorded, found), [("start", 299), ("die", 300), ("start", 301)]
        )
        found = seen(STOPPED, 90, 301, 302)
        self.assertEqual(self.work_out(recorded, found), [("start", 301), ("die", 302)])

    def test_one_that_was_made_long_before_it_was_told_of(self) -> None:
        # An engine that was killed while it made it.
        listing = Listing(frozenset([ID]), [seen(STOPPED, 50, 200, 201)])
        for complete, expected in ((True, ["create", "start", "die"]), (False, ["start", "die"])):
            told = reconcile(listing, [], [], SINCE, NOW, complete=complete)
            self.assertEqual([one.action for one in told], expected)
        told = reconcile(listing, [container()], [], SINCE, NOW, complete=True)
        self.assertEqual([one.action for one in told], ["start", "die"], "it is known")

    def test_how_often_it_was_started_again_is_said(self) -> None:
        found = seen(RUNNING, 90, 301, 300, restarts=7)
        self.work_out([("create", 90), ("start", 91), ("die", 92)], found)
        self.assertEqual([one.details for one in self.told], [{}, {}, {"restarts": 7}])

    def test_a_start_that_was_told_after_the_end(self) -> None:
        # The engine's event of the start is a millisecond later than the end.
        recorded = [("create", 200), ("start", 201)]
        found = seen(STOPPED, 200, 201, 201)
        self.assertEqual(self.work_out(recorded, found, state=RUNNING), [("die", 201)])
        origins = [origin(action, at) for action, at in recorded] + [self.told[0].origin]
        self.assertGreater(self.told[0].origin, origins[1].replace("start", "die"))
        listing = Listing(frozenset([ID]), [seen(RUNNING, 200, 300, 201)])
        told = reconcile(listing, [container()], origins, SINCE, NOW)
        self.assertEqual([one.action for one in told], ["start"])

    def test_an_end_that_has_the_earlier_time(self) -> None:
        ms = S // 1000
        quick = attrs.evolve(seen(STOPPED, 200, 201, 201), started_ns=201 * S + 2 * ms)
        self.assertEqual(self.work_out([], quick), [("create", 200), ("start", 201), ("die", 201)])
        start, die = self.told[1:]
        self.assertLess(time_ns_of(start.origin), time_ns_of(die.origin))
        # The end was told, 1 ms after it happened.
        recorded = [("create", 200), ("die", 201)]
        self.assertEqual(self.work_out(recorded, quick), [("start", 201)])
        self.assertEqual(time_ns_of(self.told[0].origin), 201 * S + ms - 1)
        origins = [origin(*one) for one in recorded] + [self.told[0].origin]
        listing = Listing(frozenset([ID]), [quick])
        self.assertEqual(reconcile(listing, [container()], origins, SINCE, NOW), [])

    def test_a_start_right_after_an_exit_is_another_if_that_run_was_told(self) -> None:
        # An engine that came back told of the exit, started it again and was killed.
        again = attrs.evolve(seen(STOPPED, 200, 205, 205), started_ns=205 * S + 5 * S // 1000)
        recorded = [("create", 200), ("start", 201), ("die", 205)]
        found = self.work_out(recorded, again)
        self.assertEqual([action for action, _ in found], ["start", "die"])
        self.assertEqual(time_ns_of(self.told[0].origin), again.started_ns)

    def test_a_clock_that_was_set_back(self) -> None:
        # Now is 1,000: what is dated 4,000 was recorded before.
        recorded = [("create", 4000), ("start", 4001)]
        self.assertEqual(self.work_out(recorded, seen(RUNNING, 4000, 4001, 0)), [])
        ended = seen(STOPPED, 4000, 4001, 900)
        self.assertEqual(self.work_out(recorded, ended, state=RUNNING), [("die", 900)])
        again = seen(RUNNING, 4000, 901, 900)
        told = self.work_out(recorded, again, state=RUNNING)
        self.assertEqual(told, [("die", 900), ("start", 901)])
        later = [*recorded, ("die", 900)]
        self.assertEqual(self.work_out(later, ended), [])
        self.assertEqual(self.work_out(later, seen(RUNNING, 4000, 950, 900)), [("start", 950)])
        # Started and ended by the clock as it was: that it is another than it was is sure.
        self.assertEqual(self.work_out(later, seen(RUNNING, 4000, 4500, 900)), [("start", 1000)])
        self.assertEqual(
            self.work_out(recorded, seen(STOPPED, 4000, 4001, 4600), state=RUNNING), [("die", 1000)]
        )

    def test_what_was_told_since_the_listing(self) -> None:
        news = [told("start", 200), told("die", 201)]
        listing = Listing(frozenset([ID]), [seen(RUNNING, 50, 200, 0)])
        known = [container(state=RUNNING)]
        self.assertEqual(reconcile(listing, known, [], SINCE, NOW, news), [])
        origins = [one.origin for one in news]
        (start,) = reconcile(listing, known, origins, SINCE, NOW)
        self.assertEqual(start.action, "start", "who has told of nothing since is what it is")

    def test_an_exit_before_a_start_that_was_told_since(self) -> None:
        listing = Listing(frozenset([ID]), [seen(RUNNING, 110, 300, 200)])
        news = [told("start", 300)]
        recorded = [("create", 110), ("start", 120)]
        for known, before, expected in (
            # Whoever kills the engine hides the exit, and what it starts again it tells of.
            (RUNNING, recorded, [("die", 200)]),
            (STOPPED, recorded[:1], [("start", 199), ("die", 200)]),
            # A listing had found that it runs.
            (RUNNING, recorded[:1], [("die", 200)]),
        ):
            origins = [origin(action, at) for action, at in before]
            missed = reconcile(listing, [container(state=known)], origins, SINCE, NOW, news)
            happened = [(one.action, one.time_us // 10**6) for one in missed]
            self.assertEqual(happened, expected)
        # It lived for milliseconds, so its start has the later time.
        quick = [origin("create", 110), origin("start", 200)]
        (died,) = reconcile(listing, [container(state=RUNNING)], quick, SINCE, NOW, news)
        self.assertEqual(time_ns_of(died.origin), time_ns_of(quick[1]) + 1)

    def test_a_creation_before_the_clock_was_set_back(self) -> None:
        for created in (5000, 990):
            found = seen(STOPPED, created, 300, 310)
            listing = Listing(frozenset([ID]), [found])
            for complete in (True, False):
                told = reconcile(listing, [], [], SINCE, NOW, complete=complete)
                actions = [one.action for one in told]
                first = ["create"] if complete or created == 990 else []
                self.assertEqual(actions, [*first, "start", "die"])
            recorded = [("create", 100)]
            self.assertEqual(self.work_out(recorded, found), [("start", 300), ("die", 310)])

    def test_what_an_engine_tells_late(self) -> None:
        # It waits for the output of a container before it tells that it has exited.
        for state, recorded, late in (
            (STOPPED, [("create", 110), ("start", 120)], told("die", 230)),
            (RUNNING, [("create", 110)], told("start", 230)),
        ):
            started, finished = (120, 200) if state is STOPPED else (200, 0)
            listing = Listing(frozenset([ID]), [seen(state, 110, started, finished)])
            was = [container(state=RUNNING if state is STOPPED else STOPPED)]
            origins = [origin(action, at) for action, at in recorded]
            self.assertEqual(reconcile(listing, was, origins, SINCE, NOW, [late]), [])

    def test_one_that_was_found_is_not_made(self) -> None:
        found = seen(STOPPED, 500, 90, 300)
        was = [container(state=RUNNING)]
        listing = Listing(frozenset([ID]), [found])
        (died,) = reconcile(listing, was, [origin("start", 90)], SINCE, NOW, complete=True)
        self.assertEqual(died.action, "die")

    def test_a_run_before_the_one_that_is_recorded(self) -> None:
        recorded = [("create", 110), ("start", 300)]
        found = seen(RUNNING, 110, 300, 200)
        self.assertEqual(self.work_out(recorded, found, state=RUNNING), [])

    def test_an_exit_after_a_start_that_nobody_told_of(self) -> None:
        # It had run before, and that it had ended then, nobody has told either.
        recorded = [("create", 110), ("start", 120), ("die", 310)]
        self.assertEqual(self.work_out(recorded, seen(STOPPED, 110, 300, 310)), [])

    def test_what_happened_before_a_creation_that_was_worked_out(self) -> None:
        recorded = [("create", 400)]
        found = seen(STOPPED, 110, 300, 310)
        self.assertEqual(self.work_out(recorded, found), [("start", 400), ("die", 400)])

    def test_a_run_that_was_told_of_since(self) -> None:
        # Not the one that was listed, as that had ended long before it began.
        listing = Listing(frozenset([ID]), [seen(STOPPED, 110, 199, 200)])
        recorded = [origin("create", 110), origin("start", 120)]
        news = [told("start", 201), told("die", 201)]
        missed = reconcile(listing, [container(state=RUNNING)], recorded, SINCE, NOW, news)
        happened = [(one.action, one.time_us // 10**6) for one in missed]
        self.assertEqual(happened, [("die", 198), ("start", 199), ("die", 200)])

    def test_one_that_was_found(self) -> None:
        for state, found, expected in (
            (RUNNING, seen(RUNNING, 50, 60, 0), []),
            (STOPPED, seen(STOPPED, 50, 60, 70), []),
            (PAUSED, seen(PAUSED, 50, 60, 0), []),
            (RUNNING, seen(STOPPED, 50, 60, 200), [("die", 200)]),
            (STOPPED, seen(RUNNING, 50, 200, 70), [("start", 200)]),
            (RUNNING, seen(RUNNING, 50, 201, 200), [("die", 200), ("start", 201)]),
            (RUNNING, seen(PAUSED, 50, 60, 0), [("pause", 1000)]),
            (PAUSED, seen(RUNNING, 50, 60, 0), [("unpause", 1000)]),
        ):
            told = reconcile(
                Listing(frozenset([ID]), [found]), [container(state=state)], [], SINCE, NOW
            )
            happened = [(one.action, one.time_us // 10**6) for one in told]
            self.assertEqual(happened, expected, (state, found))

    def test_since_when_something_may_be_missing(self) -> None:
        now = 1000 * S
        self.assertEqual(since_ns([], now), 0)
        self.assertEqual(since_ns([origin("start", 900)], now), 898 * S + S // 1000)
        both = [origin("start", 4000), origin("die", 900), origin("start", 4001)]
        self.assertEqual(since_ns(both, now), 898 * S + S // 1000)
        self.assertEqual(since_ns([origin("start", 4000)], now), 998 * S)

    def test_pause_and_unpause(self) -> None:
        recorded = [("create", 90), ("start", 91)]
        self.assertEqual(
            self.work_out(recorded, seen(PAUSED, 90, 91, 0), state=RUNNING), [("pause", 1000)]
        )
        recorded.append(("pause", 95))
        self.assertEqual(self.work_out(recorded, seen(PAUSED, 90, 91, 0), state=PAUSED), [])
        self.assertEqual(
            self.work_out(recorded, seen(RUNNING, 90, 91, 0), state=PAUSED), [("unpause", 1000)]
        )

    def test_it_has_another_name(self) -> None:
        recorded = [("create", 90), ("start", 91)]
        self.assertEqual(
            self.work_out(recorded, seen(RUNNING, 90, 91, 0), name="old"), [("rename", 1000)]
        )
        self.assertEqual(self.told[0].details, {"old": "old"})

    def test_it_is_gone(self) -> None:
        recorded = [("create", 90), ("start", 91)]
        self.assertEqual(
            self.work_out(recorded, None, state=RUNNING), [("die", 1000), ("destroy", 1000)]
        )
        recorded.append(("die", 95))
        self.assertEqual(self.work_out(recorded, None), [("destroy", 1000)])
        # Its removal was told between the listing and now.
        self.assertEqual(self.work_out([*recorded, ("destroy", 990)], None), [])

    def test_one_that_did_not_answer_is_not_gone(self) -> None:
        listing = Listing(frozenset([ID]), [])
        self.assertEqual(reconcile(listing, [container(state=RUNNING)], [], SINCE, NOW), [])


@attrs.define
class World:
    """A container that lives at random, and an engine that shows what it is."""

    at: int = SINCE // S
    state: str = "none"
    created: int = 0
    started: int = 0
    finished: int = 0
    told: list[tuple[str, int]] = attrs.Factory(list)

    def step(self, rng: random.Random) -> None:
        """Something that is possible happens."""
        self.at += rng.randrange(1, 5)
        possible = {
            "none": ["create"],
            "stopped": ["start", "destroy"],
            "running": ["die", "pause"],
            "paused": ["unpause"],
        }[self.state]
        action = rng.choice(possible)
        self.told.append((action, self.at))
        self.state = {
            "create": "stopped",
            "start": "running",
            "die": "stopped",
            "pause": "paused",
            "unpause": "running",
            "destroy": "gone",
        }[action]
        if action == "create":
            self.created = self.at
        elif action == "start":
            self.started = self.at
        elif action == "die":
            self.finished = self.at

    def seen(self) -> Inspected:
        """What the engine shows."""
        state = {"running": RUNNING, "paused": PAUSED}.get(self.state, STOPPED)
        return seen(state, self.created, self.started, self.finished)


class RandomTests(SynchronousTestCase):
    """Any part of a life is not told; afterwards the registry is right and the whole
    sequence could have happened.

    @cvar seeds: of the lives.
    """

    seeds = range(50)

    AFTER = {  # noqa: RUF012
        "": {"create"},
        "create": {"start", "destroy"},
        "start": {"die", "pause"},
        "pause": {"unpause", "die"},
        "unpause": {"die", "pause"},
        "die": {"start", "destroy"},
        "destroy": set(),
    }

    def test_any_gap(self) -> None:
        worked_out = 0
        for seed in self.seeds:
            rng = random.Random(seed)
            world = World()
            for _ in range(rng.randrange(1, 14)):
                if world.state == "gone":
                    break
                world.step(rng)
            begin = rng.randrange(len(world.told) + 1)
            # A replay tells the last of it: nothing, or all after the gap.
            recorded = world.told[:begin]
            registry = Registry()
            for action, at in recorded:
                registry.apply(told(action, at))
            exists = world.state != "gone"
            listing = Listing(frozenset([ID] if exists else []), [world.seen()] if exists else [])
            origins = [origin(action, at) for action, at in recorded]
            missed = reconcile(listing, registry.all(), origins, SINCE, NOW)
            worked_out += len(missed)
            sequence = [action for action, _ in recorded] + [one.action for one in missed]
            for before, after in zip(["", *sequence], sequence, strict=False):
                self.assertIn(after, self.AFTER[before], (seed, sequence))
            for one in missed:
                registry.apply(one)
            states = [one.state for one in registry.all()]
            if not exists:
                self.assertEqual(states, [], seed)
            else:
                self.assertEqual(states, [world.seen().container.state], (seed, sequence))
            # Once more: all of it is recorded now.
            origins += [one.origin for one in missed]
            self.assertEqual(reconcile(listing, registry.all(), origins, SINCE, NOW), [], seed)
        self.assertGreater(worked_out, len(self.seeds) * 2 // 3)
