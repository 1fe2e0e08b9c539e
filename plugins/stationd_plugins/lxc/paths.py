"""LXC paths: which containers are in them, and which of them cannot be looked at. Blocking,
for a worker's thread."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence

import attrs
from twisted.logger import Logger

from stationd.errors import SourceLost
from stationd.messages import reason_messages
from stationd.messages import source_log_messages as log_messages
from stationd.messages.log_message import LogMessage
from stationd_plugins.host import cgroups
from stationd_plugins.host.process import RESOURCE_EXHAUSTED
from stationd_plugins.lxc.scan import Seen, Silent, look

MAX_NAME_LENGTH = 252
"""Characters: with C{lxc/} before it, what a record can hold."""

MAX_LISTINGS = 3
"""Of a path in one scan: while we look others are made, and names are passed on."""


@attrs.frozen
class Scan:
    """What was found at one moment.

    @ivar containers: by name.
    @ivar directories: all there are: one that is no container may become one.
    @ivar away: paths that could not be looked at: what is in them is not known.
    @ivar seconds: what it took of CPU time.
    """

    containers: Mapping[str, Seen]
    directories: list[str]
    away: frozenset[str] = frozenset()
    seconds: float = 0.0


class Paths:
    """Some LXC paths, and what is remembered of them from scan to scan.

    @param paths: these.
    @ivar layout: the cgroups.
    """

    _log = Logger()

    def __init__(self, paths: tuple[str, ...], layout: cgroups.Layout) -> None:
        self._paths = paths
        self.layout = layout
        self._silent: Silent = {}
        self._away: dict[str, str] = {}
        self._passed_over: dict[str, LogMessage] = {}

    def scan(self, homes: Mapping[str, str]) -> Scan:
        """All containers. Of those of one name in several paths, one.

        @param homes: the paths of those that are known, by name.
        @raise FileNotFoundError: none of the paths exists.
        @raise OSError: none can be looked at; or we have no more descriptors or memory.
        """
        found: dict[str, Seen] = {}
        directories: list[str] = []
        away: dict[str, OSError] = {}
        passed_over: dict[str, LogMessage] = {}
        for path in self._paths:
            try:
                names, there = self._look(path)
            except OSError as error:
                if error.errno in RESOURCE_EXHAUSTED:
                    raise
                away[path] = error
                continue
            usable = [name for name in names if _is_usable(name)]
            directories += [os.path.join(path, name) for name in usable]
            passed_over |= {
                os.path.join(path, name): log_messages.LXC_NAME_INVALID
                for name in {*names} - {*usable}
            }
            for name, seen in there.items():
                better, worse = _choose(found.get(name), seen, homes.get(name))
                found[name] = better
                if worse is not None and not (_is_same(better, worse) or worse.is_bare):
                    passed_over[os.path.join(worse.path, name)] = log_messages.LXC_NAME_DUPLICATE
        if len(away) == len(self._paths):
            raise _worst([*away.values()])
        for directory in {*list(self._silent)} - {*directories}:
            self._silent.pop(directory, None)
        self._say(away, passed_over)
        return Scan(found, directories, frozenset(away))

    def _look(self, path: str) -> tuple[list[str], dict[str, Seen]]:
        """The directories of a path, and the containers among them."""
        which = _which(path)
        names = _directories(path)
        found: dict[str, Seen | None] = {}
        for _ in range(MAX_LISTINGS):
            usable = filter(_is_usable, names)
            found = {name: look(path, name, self.layout, self._silent) for name in usable}
            # One that got another name meanwhile has neither gone nor come.
            before, names = names, _directories(path)
            if before == names:
                break
        if _which(path) != which:
            # It went while we looked, so that we saw nothing in it.
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        there = ((name, found.get(name)) for name in names)
        return names, {name: seen for name, seen in there if seen is not None}

    def find(self, name: str, home: str | None) -> Seen | None:
        """One container; C{None} if there is none.

        @param home: the path of the one that is known by that name.
        @raise SourceLost: a path cannot be read; or the container's monitor does not answer,
            or it is on its way to another state: how it is is not known.
        """
        if not _is_usable(name) or "/" in name or name in ("", ".", ".."):
            return None
        found: Seen | None = None
        for path in self._paths:
            try:
                seen = look(path, name, self.layout, self._silent)
            except OSError as error:
                unreadable = reason_messages.LXC_PATH_UNREADABLE
                reason = unreadable.render(path=path, error=error.strerror)
                raise SourceLost(reason) from error
            if seen is not None and (not seen.is_bare or seen.is_silent or seen.unsettled):
                found, _ = _choose(found, seen, home)
        if found is not None and found.is_silent:
            silent = reason_messages.LXC_MONITOR_TIMEOUT
            raise SourceLost(silent.render(path=found.path, name=name))
        if found is not None and found.unsettled and not found.init_pid:
            unsettled = reason_messages.LXC_CONTAINER_IN_TRANSITION
            raise SourceLost(unsettled.render(path=found.path, name=name))
        return found

    def _say(self, away: Mapping[str, OSError], passed_over: dict[str, LogMessage]) -> None:
        """What an operator has to know, once."""
        reasons = {path: error.strerror or str(error) for path, error in away.items()}
        for path, reason in reasons.items():
            if self._away.get(path) != reason:
                log_messages.LXC_PATH_UNAVAILABLE.emit(self._log, path=path, reason=reason)
        for path in self._away.keys() - reasons.keys():
            log_messages.LXC_PATH_AVAILABLE.emit(self._log, path=path)
        for path in passed_over.keys() - self._passed_over.keys():
            passed_over[path].emit(self._log, path=repr(path))
        self._away, self._passed_over = reasons, passed_over


def is_absent(path: str) -> bool:
    """Whether there is no such path. One that cannot be looked at may be there."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _choose(before: Seen | None, seen: Seen, home: str | None) -> tuple[Seen, Seen | None]:
    """Which of two of one name to take, and the other."""
    if before is None:
        return seen, None
    if _is_same(before, seen):
        # Two spellings of one path: a monitor has the address of the one it was started by.
        acts = [one.init_pid or one.unsettled or one.is_silent for one in (before, seen)]
        is_better = bool(acts[1] and not acts[0])
    else:
        is_better = (seen.path == home, not seen.is_bare) > (
            before.path == home,
            not before.is_bare,
        )
    return (seen, before) if is_better else (before, seen)


def _is_same(one: Seen, other: Seen) -> bool:
    return bool(one.identity) and one.identity == other.identity


def _worst(errors: Sequence[OSError]) -> OSError:
    """What to say if no path can be looked at: that they are not there is the least."""
    return min(errors, key=lambda error: isinstance(error, FileNotFoundError))


def _which(path: str) -> tuple[int, int]:
    """What tells a directory from another."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _directories(path: str) -> list[str]:
    """The names of those in a path, in order.

    @raise OSError: it is not there, or cannot be read.
    """
    names: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            try:
                if entry.is_dir():
                    names.append(entry.name)
            except OSError as error:
                # A link to itself. Of anything else a look will say why.
                if error.errno != errno.ELOOP:
                    names.append(entry.name)
    return sorted(names)


def _is_usable(name: str) -> bool:
    """Whether the journal can hold a name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name.isprintable() and len(name) <= MAX_NAME_LENGTH
