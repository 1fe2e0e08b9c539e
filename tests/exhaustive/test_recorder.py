"""As much as a recorder remembers."""

from __future__ import annotations

from stationd.restore import MAX_RESTORED
from tests import test_recorder
from tests.test_record_builder import happened


class RememberedTests(test_recorder.RecorderCase):
    """More of one type than is remembered."""

    def test_a_type_does_not_push_another_out(self) -> None:
        self.successResultOf(self.recorder.observe([happened("start", origin="docker:1")]))
        other = [
            happened("start", type="lxc", id=f"n{n}", origin=f"lxc:{n}")
            for n in range(2 * MAX_RESTORED + 1)
        ]
        self.successResultOf(self.recorder.observe(other))
        for _ in range(2):
            self.assertEqual(list(self.recorder.origins("docker")), ["docker:1"])
            self.assertEqual(len(self.recorder.known("docker").containers), 1)
            self.restart()
