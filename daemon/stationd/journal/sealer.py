"""The sealer: seals one segment at a time, in a thread of its own."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Collection

from twisted.logger import Logger

from stationd.journal.block import BlockUnreadable
from stationd.journal.disk import IDisk
from stationd.journal.row_segment import RowSegment
from stationd.journal.seal import seal_segment
from stationd.journal.seal_verification import verify_sealed_file
from stationd.journal.worker_thread import IWorker
from stationd.messages import journal_log_messages as log_messages

PAUSE_SECONDS = 0.001
"""Seconds of rest after each piece of work, so that the reactor's thread, which is
refused the interpreter while this one computes, waits for a piece and not for all."""


class _Stopped(Exception):
    """The daemon is going; the segment will be sealed another day."""


class Sealer:
    """Seals what the writer is done with.

    @param sealable: the oldest segment to be sealed that is not among some others.
    @param adopt: told of a segment whose sealed form is at a path, and whom to tell
        when it has been put in its place (C{True}) or could not be (C{False}).
    """

    _log = Logger()

    def __init__(
        self,
        disk: IDisk,
        sealable: Callable[[Collection[RowSegment]], RowSegment | None],
        adopt: Callable[[RowSegment, str, Callable[[bool], None]], None],
        worker: Callable[[Callable[[], None]], IWorker],
    ) -> None:
        self._disk = disk
        self._next_to_seal = sealable
        self._install = adopt
        self._stopping = False
        self._busy = False
        self._retry = False
        # Weak: retention may remove what was given up.
        self._given_up: weakref.WeakSet[RowSegment] = weakref.WeakSet()
        self._worker = worker(self._run)

    def wake(self) -> None:
        """Look for something to seal."""
        self._worker.wake()

    def stop(self) -> None:
        """Leave off, and release the thread before returning."""
        self._stopping = True
        self._worker.stop()

    def _run(self) -> None:
        self._retry = self._busy
        segment = None if self._stopping or self._busy else self._next_to_seal(self._given_up)
        if segment is None:
            return
        try:
            path = seal_segment(self._disk, segment, self._pause)
            verify_sealed_file(self._disk, segment, path, self._pause)
        except _Stopped:
            return
        except (OSError, BlockUnreadable) as error:
            # Nothing is lost: the segment stays as it is. The next one that is
            # finished gives another occasion.
            log_messages.SEGMENT_SEAL_FAILED.emit(self._log, path=segment.path, error=error)
            return
        except Exception:  # noqa: BLE001 - the outermost edge of this thread
            self._given_up.add(segment)
            log_messages.SEALER_FAILED.emit(self._log, path=segment.path)
            self.wake()
            return
        self._busy = True
        self._install(segment, path, self._completed)

    def _pause(self) -> None:
        if self._stopping:
            raise _Stopped()
        time.sleep(PAUSE_SECONDS)

    def _completed(self, adopted: bool) -> None:
        self._busy = False
        if adopted or self._retry:
            self.wake()
