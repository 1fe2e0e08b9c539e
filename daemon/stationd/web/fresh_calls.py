"""Coalesced blocking calls in threads: of each kind one at a time, however many ask."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

T = TypeVar("T")

InThread = Callable[[Callable[[], Any]], Deferred[Any]]
"""Calls a function in a thread; what it returns or raises is in the Deferred."""


@attrs.define
class _Calls:
    """Those of one kind.

    @ivar function: what is called next.
    @ivar served: who is given the result of the call under way.
    @ivar waiting: who came after that had begun.
    """

    function: Callable[[], Any]
    served: dict[Deferred[Any], None] = attrs.field(factory=dict)
    waiting: dict[Deferred[Any], None] = attrs.field(factory=dict)


class FreshCalls:
    """What is asked of the disk or of a name service, which may take long.

    Whoever asks is given the result of a call that began after that. A call that hangs
    holds one thread, and only those who ask for the same.

    @param in_thread: how a function is called.
    """

    def __init__(self, in_thread: InThread) -> None:
        self._in_thread = in_thread
        self._kinds: dict[Hashable, _Calls] = {}

    def call(self, kind: Hashable, function: Callable[[], T]) -> Deferred[T]:
        """Call a function.

        @param kind: what is equal for functions that do the same.
        @return: what it gives. Cancelling this ends the waiting, not the call.
        """
        done: Deferred[T] = Deferred(lambda done: self._discard(kind, done))
        calls = self._kinds.get(kind)
        if calls is not None:
            calls.function = function
            calls.waiting[done] = None
            return done
        self._kinds[kind] = calls = _Calls(function, waiting={done: None})
        self._begin(kind, calls)
        return done

    def _begin(self, kind: Hashable, calls: _Calls) -> None:
        calls.served, calls.waiting = calls.waiting, {}
        maybeDeferred(self._in_thread, calls.function).addBoth(self._ended, kind, calls)

    def _ended(self, result: object | Failure, kind: Hashable, calls: _Calls) -> None:
        served, calls.served = calls.served, {}
        if calls.waiting:
            self._begin(kind, calls)
        else:
            del self._kinds[kind]
        for done in served:
            done.callback(result)

    def _discard(self, kind: Hashable, done: Deferred[Any]) -> None:
        if calls := self._kinds.get(kind):
            calls.served.pop(done, None)
            calls.waiting.pop(done, None)
