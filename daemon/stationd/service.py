"""The composition root: settings in, a service tree out."""

from __future__ import annotations

import functools
import os
import platform
import secrets
import time
from collections.abc import Callable

import attrs
from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from stationd import __version__
from stationd.config import Settings, changed_settings, load_settings
from stationd.container_lookup import ContainerLookup
from stationd.endpoints import listen, validate_endpoints
from stationd.errors import StationdError
from stationd.feed import Feed
from stationd.interfaces import IHostReactor, JournalStatus
from stationd.journal.commit_clock import boot_time_us
from stationd.journal_service import JournalService
from stationd.listeners import Listeners
from stationd.messages import log_messages
from stationd.messages import system_record_messages as said
from stationd.recorder import Recorder
from stationd.records import Level
from stationd.registry import Registry
from stationd.signals import Signals
from stationd.source_plugins import make_sources
from stationd.source_queries import SourceQueries
from stationd.supervisor import Sources, Supervisor
from stationd.waits import Waits
from stationd.web.account_store import AccountStore
from stationd.web.fresh_calls import FreshCalls
from stationd.web.password_verifier import HashingThreads, PasswordVerifier
from stationd.web.request_context import ApiServices
from stationd.web.sessions import Sessions
from stationd.web.site import make_site
from stationd.web.system_accounts import SystemAccounts


class DaemonService(MultiService):
    """The whole daemon.

    @param give_up: called when no endpoint can be opened and that is known only after the
        start: ends the process with an error.

    Nothing is opened before L{startService}: twistd forks between making a service
    and starting it, and neither threads nor locks survive that. Parts start in the
    order in which they are added, and stop in the other, each when the one before
    has stopped, so that nothing is asked of what is gone.
    """

    _log = Logger()

    def __init__(
        self,
        settings: Settings,
        reactor: IHostReactor,
        give_up: Callable[[StationdError], object],
    ) -> None:
        super().__init__()
        self._settings = settings
        self._reactor = reactor
        self._give_up = give_up

    def startService(self) -> None:
        """Open, listen, start.

        @raise stationd.errors.StationdError: it cannot be: a journal is locked, a
            source's settings are wrong, no endpoint can be opened. No thread of the
            reactor's has begun then, nor one of a source.
        """
        settings, reactor = self._settings, self._reactor
        self._started = reactor.seconds()
        made = make_sources(settings, reactor)
        self._journal_service = JournalService(settings, reactor, now_us, boot_time_us)
        log, event = self._journal_service.log, self._journal_service.event
        containers = Registry()
        feed = Feed(event.status().last)
        self._sources = Sources()
        is_live = self._sources.is_live
        questions = SourceQueries(reactor, self._sources.find, is_live)
        waits = Waits(reactor, containers, questions, is_live, now_us)

        def live(type: str) -> None:
            self._sources.live(type)
            waits.live(type)

        recorder = Recorder(
            log,
            event,
            containers,
            feed,
            now_us,
            waits.changed,
            live,
            self._sources.connected,
        )
        self._journal_service.removed = lambda sentence: recorder.note(Level.INFO, sentence)
        for source in made:
            self._sources.add(source, Supervisor(reactor, source, recorder, recorder.note))
        hashing = PasswordVerifier(HashingThreads(reactor))
        calls = FreshCalls(functools.partial(deferToThreadPool, reactor, reactor.getThreadPool()))
        api = ApiServices(
            log=log,
            event=event,
            recorder=recorder,
            containers=ContainerLookup(containers, self._sources),
            waits=waits,
            feed=feed,
            accounts=AccountStore(settings.users, hashing, calls),
            system_accounts=SystemAccounts(reactor, calls),
            sessions=Sessions(reactor, secrets.token_bytes),
            system=self.system,
            clock=reactor,
            now_us=now_us,
        )
        self._recorder = recorder
        site = make_site(api, reactor)
        self._listeners = Listeners(
            reactor, settings.endpoints, lambda description: listen(reactor, description, site)
        )
        self._listeners.open(self._give_up)
        for part in (
            Signals(reactor, self.reload),
            self._journal_service,
            self._sources,
            hashing,
            LongPolls(waits, feed),
            self._listeners,
        ):
            part.setServiceParent(self)
        super().startService()
        directory = os.path.abspath(settings.directory)
        log_messages.STARTUP_COMPLETE.emit(self._log, version=__version__, directory=directory)
        for status in (log.status(), event.status()):
            for sentence in status.damage:
                recorder.note(Level.ERROR, said.JOURNAL_DAMAGED_RECORD.render(sentence=sentence))
        recorder.note(Level.INFO, said.DAEMON_STARTED.render(version=__version__))

    def stopService(self) -> Deferred[None]:
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for part in reversed(list(self)):
            if part is self._journal_service:
                stopped = said.DAEMON_STOPPED.render(version=__version__)
                await self._recorder.note(Level.INFO, stopped)
            await maybeDeferred(part.stopService)
        log_messages.SHUTDOWN_COMPLETE.emit(self._log)

    def reload(self) -> None:
        """Read the configuration again, and do what it says as far as that needs no restart.
        One that is wrong changes nothing."""
        now, file = self._settings, self._settings.file
        if not os.path.isfile(file):
            # Whoever opened a pipe here would wait in the reactor.
            log_messages.CONFIGURATION_MISSING.emit(self._log, file=file)
            return
        try:
            new = validate_endpoints(load_settings(file))
        except StationdError as error:
            log_messages.CONFIGURATION_REJECTED.emit(self._log, error=error)
            return
        self._journal_service.set_retention(new.retain_days, new.retain_bytes)
        self._settings = attrs.evolve(
            now, retain_days=new.retain_days, retain_bytes=new.retain_bytes
        )
        done, restart = changed_settings(now, self._settings), changed_settings(self._settings, new)
        needs_restart = log_messages.RESTART_REQUIRED.render(keys=", ".join(restart))
        log_messages.CONFIGURATION_RELOADED.emit(
            self._log,
            file=file,
            done=", ".join(done) or log_messages.CONFIGURATION_UNCHANGED.text,
            restart=needs_restart if restart else "",
        )

    def system(self) -> dict[str, object]:
        """What C{GET /api/v1/system} answers."""
        return {
            "version": __version__,
            "python": platform.python_version(),
            "host": platform.node(),
            "kernel": platform.release(),
            "uptime": round(self._reactor.seconds() - self._started, 3),
            "endpoints": self._listeners.states(),
            "sources": self._sources.states(),
            "journal": {
                "directory": os.path.abspath(self._settings.directory),
                "log": _journal_summary(self._journal_service.log.status()),
                "event": _journal_summary(self._journal_service.event.status()),
            },
        }


class LongPolls(Service):
    """Answers whoever still waits when the daemon stops."""

    def __init__(self, waits: Waits, feed: Feed) -> None:
        self._waits = waits
        self._feed = feed

    def stopService(self) -> None:
        super().stopService()
        self._waits.close()
        self._feed.close()


def now_us() -> int:
    """The time, for records."""
    return time.time_ns() // 1000


def _journal_summary(status: JournalStatus) -> dict[str, object]:
    return {
        "first": status.first,
        "last": status.last,
        "records": status.records,
        "bytes": status.size_bytes,
        "segments": status.segments,
        "oldest": None if status.oldest_us is None else status.oldest_us / 1e6,
        "newest": None if status.newest_us is None else status.newest_us / 1e6,
        "damage": list(status.damage),
    }
