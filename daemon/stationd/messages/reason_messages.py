"""The reasons for which something is refused or failed: C{reason} of errors and log lines. Those
that an error shows by itself are messages."""

from __future__ import annotations

from stationd.messages.message import Message, Phrase, table

# Who is asking.

LOGIN_REQUIRED = Message(
    id="05897e26cebd4a5f874df8b8178ad76d",
    name="login-required",
    text="log in first: POST /api/v1/login with username and password",
    meaning="This route needs a session.",
)
INVALID_CREDENTIALS = Message(
    id="b7103a014acc43518b4abe25ff63e039",
    name="invalid-credentials",
    text="wrong username or password",
    meaning="Nobody is told which of the two it is.",
)
ADMINISTRATOR_REQUIRED = Message(
    id="d93ddc9c0fc5493da6a1744f5fade766",
    name="administrator-required",
    text="{method} {path} requires administrator rights",
    meaning="Log in as an administrator.",
)
ADMINISTRATOR_REQUIRED_FOR_USER = Message(
    id="4783bc9088694264b8a91fed4a325b4e",
    name="administrator-required-for-user",
    text="{where}user: writing as another user takes an administrator",
    meaning="Leave the user out, or log in as an administrator.",
)

# Sources.

SOURCE_NOT_CONFIGURED = Message(
    id="47a4019924c944019b9d8f6030e749fa",
    name="source-not-configured",
    text="no source of type {type} is configured",
    meaning="Nothing watches these containers; see [sources] of the configuration.",
)
SOURCE_ENDED = Message(
    id="b2db6c3402ef47ee913c8361309940c3",
    name="source-ended",
    text="it ended",
    meaning="A source said nothing of why: a bug of the source's. It is tried again.",
)
SOURCE_FIND_ERROR = Message(
    id="ef8e2f3c45714e8290e2f0f50d3fd0c8",
    name="source-find-error",
    text="it failed: {error}",
    meaning="A bug of the source's; the log has the traceback.",
)
SOURCE_CATCHING_UP = Message(
    id="5506120c1b8c4f0d9a44d3b03a32c641",
    name="source-catching-up",
    text="{type} is catching up",
    meaning="What it has not told yet is not known; ask again in a few seconds.",
)
SOURCE_TIMEOUT = Message(
    id="8b8f9119c2b8443f99fe7b82c594336e",
    name="source-timeout",
    text="{type} does not answer",
    meaning="How the container is is not known; ask again.",
)
OBSERVATION_NOT_RECORDED = Message(
    id="10a5d0601ad740db8371e1ce248c2a68",
    name="observation-not-recorded",
    text="what it tells cannot be recorded: {error}",
    meaning="The journal refuses records; look at the disk. It is tried again.",
)

# Docker.

ENGINE_ABSENT = Message(
    id="c1a9dd0e4fd34c09992f1dce7482d5b8",
    name="engine-absent",
    text="no Docker engine answers at {url}: {cause}",
    meaning="Is Docker running, and is the url of [sources.docker] its socket?",
)
ENGINE_NOT_RESPONDING = Message(
    id="b9fb0bad849a4bb29477a7b545da6835",
    name="engine-not-responding",
    text="the engine did not answer: {error}",
    meaning="Look at the engine. It is tried again.",
)
ENGINE_TIMEOUT = Message(
    id="70c0f0cf257f45cea6681d99b2b9ef46",
    name="engine-timeout",
    text="the engine did not answer within {seconds:.0f} seconds",
    meaning="The engine hangs, or its host is overloaded. It is tried again.",
)
ENGINE_CLOSED_STREAM = Message(
    id="d740792cb8264c5cac952f841a274994",
    name="engine-closed-stream",
    text="the engine closed the event stream",
    meaning="It was stopped or restarted. It is tried again.",
)
ENGINE_STREAM_FAILED = Message(
    id="1f8d892cf7414d3dad4ff5f62379d072",
    name="engine-stream-failed",
    text="the event stream failed: {error}",
    meaning="The connection to the engine broke. It is tried again.",
)
TOO_MANY_EVENTS = Message(
    id="a82f5d4dd0664d6e99bae4b34cf65bdd",
    name="too-many-events",
    text="more than {limit} events waited to be recorded",
    meaning="The disk is slower than the events come; they are asked for again.",
)
SOURCE_QUERIES_STOPPED = Message(
    id="ebac786f94e34992bc480fe551fa79dd",
    name="source-queries-stopped",
    text="nothing more is asked",
    meaning="The daemon is stopping.",
)
MALFORMED_FIELD = Phrase(
    name="malformed-field",
    text="{name} is {value!r}",
    meaning="What of an answer or event of the engine's is not as its API promises.",
)

# LXC.

LXC_PATHS_ABSENT = Message(
    id="7a21fa8e39f644879e5bbc6226bff2ca",
    name="lxc-paths-absent",
    text="there is no {paths}",
    meaning="Is LXC installed, and is the path of [sources.lxc] right?",
)
LXC_PATH_UNREADABLE = Message(
    id="99042a477d714fa9b042693caeff8617",
    name="lxc-path-unreadable",
    text="{path}: {error}",
    meaning="The path cannot be read; is it mounted, and may stationd read it?",
)
LXC_NOT_WATCHED = Message(
    id="d1e84e373c4f4a8595a387590c04b8c2",
    name="lxc-not-watched",
    text="containers cannot be watched: {error}{hint}",
    meaning="The kernel refuses a watch. It is tried again.",
)
INOTIFY_HINT = Phrase(
    name="inotify-hint",
    text="; raise the limits in /proc/sys/fs/inotify",
    meaning=(
        "Too many watches or instances of one user: raise max_user_watches, max_user_instances."
    ),
)
NETLINK_FAILED = Message(
    id="cc5aee5b5a4b45e4a4c107e88e81ba35",
    name="netlink-failed",
    text="the kernel is not heard any more: {reason}",
    meaning="Its notifications have ended. It is tried again.",
)
LXC_MONITOR_TIMEOUT = Message(
    id="7d79e04ab06e4581853e6d97a0cdb11d",
    name="lxc-monitor-timeout",
    text="{path}/{name}: its monitor does not answer",
    meaning="The container hangs or has just ended; ask again.",
)
LXC_CONTAINER_IN_TRANSITION = Message(
    id="01fd535ace8e4173a61b195248d39ded",
    name="lxc-container-in-transition",
    text="{path}/{name}: it is starting or stopping",
    meaning="Ask again in a moment.",
)

ALL = table(globals())
