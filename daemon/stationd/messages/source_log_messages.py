"""The daemon's log lines of the sources that come with stationd."""

from __future__ import annotations

from stationd.messages.log_message import info, warn
from stationd.messages.message import table

# Docker.

ENGINE_RESPONSE_MALFORMED = warn(
    id="52d7739ce1e64cdd8c7637e3f6d749ee",
    name="engine-response-malformed",
    text="the engine's answer makes no sense: {error}",
    meaning=(
        "It is not what the engine's API promises; it is passed over. Report it with the "
        "engine's version."
    ),
)
ENGINE_LIST_MALFORMED = warn(
    id="eae33cd493834064b82e2ee1922a0e95",
    name="engine-list-malformed",
    text="the engine's list makes no sense: {error}",
    meaning="One container of the list is passed over. Report it with the engine's version.",
)
ENGINE_EVENT_MALFORMED = warn(
    id="4b36329c5b034a75b2c38cc0d0e9e7bd",
    name="engine-event-malformed",
    text="an event makes no sense and is passed over: {e}",
    meaning="It is not what the engine's API promises. Report it with the engine's version.",
)
CONTAINER_NOT_INSPECTED = warn(
    id="b69a4c3e3ccf477c889f8942736fad30",
    name="container-not-inspected",
    text="{name} cannot be inspected: {error}",
    meaning=(
        "Docker lists it and says no more of it; what the list says is taken. See 'docker inspect'."
    ),
)
ENGINE_THREAD_ABANDONED = warn(
    id="7d586add2c334fef923bb9cfca963c27",
    name="engine-thread-abandoned",
    text="the engine hangs; its thread is left behind",
    meaning="Docker did not end a connection that was closed. Look at the engine.",
)

# LXC.

LXC_PATH_UNAVAILABLE = warn(
    id="e4d89379240f46d38e6f17ea51242bfd",
    name="lxc-path-unavailable",
    text="{path} cannot be looked at, its containers are taken to be as they were: {reason}",
    meaning="Is it mounted, and may stationd read it? It is looked for every five seconds.",
)
LXC_PATH_AVAILABLE = info(
    id="a253129ba8084836945d404af750c386",
    name="lxc-path-available",
    text="{path} can be looked at again",
    meaning="What became of its containers meanwhile has been worked out; nothing to do.",
)
LXC_NAME_INVALID = warn(
    id="391649582db04605aecf2fe6adb3fa7b",
    name="lxc-name-invalid",
    text="{path} cannot be recorded by its name and is passed over",
    meaning="Rename the container: at most 252 printable characters in UTF-8.",
)
LXC_NAME_DUPLICATE = warn(
    id="30713aa038334fe2a462bae9158d4c2a",
    name="lxc-name-duplicate",
    text="{path} is passed over: a container of its name is in another path",
    meaning="A name means one container; rename one of them.",
)
LXC_PORTS_UNAVAILABLE = info(
    id="c8c4485eaf3f4aebbeca2e7d10e0736f",
    name="lxc-ports-unavailable",
    text="forwarded ports of LXC are not followed: {reason}",
    meaning="The kernel has no nftables, or stationd lacks CAP_NET_ADMIN; all else goes on.",
)
INOTIFY_OVERFLOWED = warn(
    id="e47899076f024c95bc0159612091507d",
    name="inotify-overflowed",
    text="inotify's queue overflowed; scanning all containers",
    meaning="Too much at once; what happened is worked out by a scan, and marked as inferred.",
)
LXC_MONITORD_FOUND = info(
    id="cc2085c025514077be78ed79855896ce",
    name="lxc-monitord-found",
    text="there is an lxc-monitord for {path} now",
    meaning="Exit codes and runs of milliseconds are seen again; nothing to do.",
)
LXC_MONITORD_MISSING = info(
    id="e52a4ac93bb34607ae816c07612bc75b",
    name="lxc-monitord-missing",
    text="no lxc-monitord for {path}: how its containers end is not known",
    meaning=(
        "Exit codes and runs of milliseconds are not seen there. Is lxc-monitord installed? "
        "It is tried again."
    ),
)

ALL = table(globals())
