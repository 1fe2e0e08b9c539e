"""What we use of the Docker SDK, each in a thread of its own: one reads the event
stream and does nothing but queue, others ask the engine questions."""

from __future__ import annotations

import collections
import email.utils
import json
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, TimeoutError, fail, succeed
from twisted.logger import Logger

from stationd.errors import SourceAbsent, SourceLost
from stationd.interfaces import IHostReactor
from stationd.messages import reason_messages

QUEUE_LIMIT = 10_000
"""Events that are read and not yet taken. An engine whose reader is slow blocks
everybody who uses it (moby/moby#36928), so we read on and, beyond this, begin again
from the last recorded position."""

TIMEOUT = 10.0
"""Seconds for an answer of the engine."""

PING_TIMEOUT = 2.0
"""Seconds in which an engine that is not about to stop says that it is there; it takes a
millisecond."""

STOP_TIMEOUT = 0.5
"""Seconds that a stop waits for a thread that waits for the engine. The threads are
daemons: one that hangs with its engine does not keep the process."""

T = TypeVar("T")


class Questions:
    """A thread that asks the engine, one question after the other.

    @param url: where the engine listens.
    """

    def __init__(self, url: str, reactor: IHostReactor, name: str) -> None:
        self._url = url
        self._reactor = reactor
        self._name = name
        self._asked: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._client: Any = None
        self._thread: threading.Thread | None = None
        self._ended: Deferred[None] = Deferred()
        self._closed = False

    def ask(self, question: Callable[[Any], T]) -> Deferred[T]:
        """Call a function with the SDK's low-level client. If the Deferred is cancelled before its
        turn, it is not called.

        @raise SourceAbsent: (Deferred) there is no engine.
        @raise SourceLost: (Deferred) L{close} has been called.
        @raise Exception: (Deferred) whatever the SDK raises.
        """
        if self._closed:
            return fail(SourceLost(reason_messages.SOURCE_QUERIES_STOPPED.text))
        done: Deferred[T] = Deferred()

        def run() -> None:
            if done.called:
                return
            try:
                if self._client is None:
                    self._client = connect(self._url)
                answer = question(self._client)
            except Exception as error:  # noqa: BLE001 - it goes to whoever asked
                # The next engine may speak another version of the API.
                self._hang_up()
                self._reactor.callFromThread(_errback, done, error)
            else:
                self._reactor.callFromThread(_callback, done, answer)

        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._asked.put(run)
        return done

    def close(self) -> Deferred[None]:
        """End the thread when it has answered what it was asked; one that hangs with its
        engine is left behind."""
        self._closed = True
        if self._thread is None:
            return succeed(None)
        self._asked.put(None)
        ended = self._ended.addTimeout(STOP_TIMEOUT, self._reactor)
        return ended.addErrback(lambda failure: failure.trap(TimeoutError) and None)

    def _run(self) -> None:
        while (run := self._asked.get()) is not None:
            run()
        self._hang_up()
        self._reactor.callFromThread(_callback, self._ended, None)

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


class Stream:
    """A thread that reads the engine's events.

    @param wake: called in the reactor's thread when there is something to L{take}.
    @ivar opened: fires when the engine has accepted the subscription, or fails with
        L{SourceAbsent}.
    @ivar ended: fires with a reason when it is over and the thread is, too.
    """

    _log = Logger()

    def __init__(self, url: str, reactor: IHostReactor, wake: Callable[[], None]) -> None:
        self._url = url
        self._reactor = reactor
        self._wake = wake
        self._events: collections.deque[object] = collections.deque()
        self._told = False
        self._closing = False
        self._stream: Any = None
        self.opened: Deferred[None] = Deferred()
        self.ended: Deferred[str] = Deferred()
        self._thread = threading.Thread(target=self._run, name="docker-events", daemon=True)
        self._thread.start()

    def take(self, limit: int) -> list[object]:
        """What was read and not taken yet, the oldest first.

        @param limit: how many at most. Call it until there is nothing: only then is
            C{wake} sure to be called again.
        """
        self._told = False
        return [self._events.popleft() for _ in range(min(limit, len(self._events)))]

    def close(self) -> None:
        """End it; L{ended} fires soon after."""
        self._closing = True
        if not self.ended.called:
            # From another thread: the reader wakes up.
            self._shut_down()

    def _shut_down(self) -> None:
        if self._stream is not None:
            try:
                self._stream.close()
            except Exception as error:  # noqa: BLE001 - its innards may be gone already
                self._log.debug("closing the stream: {error}", error=error)

    def _run(self) -> None:
        reason = reason_messages.ENGINE_CLOSED_STREAM.text
        client = None
        try:
            client = connect(self._url)
            # With what the engine remembers: that it does without a gap. It answers before it
            # has subscribed us. The SDK sets no time limit: a stream may be silent for days.
            self._stream = client.events(since="0", decode=True)
            self._reactor.callFromThread(_callback, self.opened, None)
            if self._closing:
                self._shut_down()
            for event in self._stream:
                self._events.append(event)
                if len(self._events) > QUEUE_LIMIT:
                    reason = reason_messages.TOO_MANY_EVENTS.render(limit=QUEUE_LIMIT)
                    break
                if not self._told:
                    self._told = True
                    self._reactor.callFromThread(self._wake)
        except SourceAbsent as error:
            self._reactor.callFromThread(_errback, self.opened, error)
        except Exception as error:  # noqa: BLE001 - the SDK raises whatever requests does
            reason = reason_messages.ENGINE_STREAM_FAILED.render(error=error)
            self._reactor.callFromThread(_errback, self.opened, SourceLost(reason))
        finally:
            # An engine whose reader does not read blocks everybody.
            self._shut_down()
            if client is not None:
                client.close()
            self._reactor.callFromThread(self._finish, reason)

    def _finish(self, reason: str) -> None:
        self._thread.join()
        self.ended.callback(reason)


def remembered(client: Any) -> list[object]:
    """The events that the engine still knows, up to now. It ends the answer itself, as its
    clock says that all of them are over. What its clock dates later, because it was set back,
    only a L{Stream} has.

    @raise Exception: whatever the SDK raises.
    """
    # The SDK's own events() has no time limit, and an engine may hang.
    date = client.get(f"{client.base_url}/_ping", timeout=TIMEOUT).headers.get("Date", "")
    answer = client.get(
        f"{client.base_url}/v{client.api_version}/events",
        params={"since": "0", "until": f"{engine_time(date, time.time()):.6f}"},
        timeout=TIMEOUT,
    )
    answer.raise_for_status()
    return [json.loads(line) for line in answer.content.splitlines() if line]


def engine_time(date: str, ours: float) -> float:
    """What an engine's clock says that has just sent an HTTP date, which has whole seconds:
    as ours if the two agree, never later."""
    try:
        whole = email.utils.parsedate_to_datetime(date).timestamp()
    except ValueError:
        return ours
    return ours if 0 <= ours - whole < 1 else whole


def inspect(client: Any, key: str) -> object:
    """What the engine says of a container, C{None} if there is none.

    @raise Exception: whatever the SDK raises.
    """
    import docker.errors

    try:
        return client.inspect_container(key)
    except docker.errors.NotFound:
        return None


def answers(client: Any, url: str) -> bool:
    """Whether an engine takes new connections. One that is being stopped does not, long
    before it ends its streams: first it stops its containers. Where systemd holds its
    socket, nobody answers.

    @param client: one that is connected to it.
    """
    import docker.errors
    import requests.exceptions

    other = docker.APIClient(base_url=url, version=client.api_version, timeout=PING_TIMEOUT)
    try:
        return bool(other.ping())
    except (docker.errors.DockerException, requests.exceptions.RequestException):
        return False
    finally:
        other.close()


def is_about_one(error: Exception) -> bool:
    """Whether an engine is there and cannot answer one question, as about a container that
    is broken or held."""
    import docker.errors
    import requests.exceptions

    return isinstance(error, (docker.errors.APIError, requests.exceptions.Timeout))


def connect(url: str) -> Any:
    """The SDK's low-level client, its API version agreed with the engine.

    @raise SourceAbsent: there is no engine.
    """
    import docker.errors
    import requests.exceptions

    try:
        return docker.APIClient(base_url=url, version="auto", timeout=TIMEOUT)
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        absent = reason_messages.ENGINE_ABSENT.render(url=url, cause=_cause(error))
        raise SourceAbsent(absent) from error


def _cause(error: BaseException) -> str:
    """The operating system's word at the bottom of the SDK's wrappings."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, OSError) and at.strerror:
            return at.strerror
        args = [arg for arg in at.args if isinstance(arg, BaseException)]
        at = at.__cause__ or at.__context__ or (args[0] if args else None)
    return str(error)


def _callback(done: Deferred[T], result: T) -> None:
    if not done.called:
        done.callback(result)


def _errback(done: Deferred[T], error: Exception) -> None:
    if not done.called:
        done.errback(error)
