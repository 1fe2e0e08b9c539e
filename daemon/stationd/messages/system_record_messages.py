"""The sentences of the log journal about sources and the daemon itself (category C{system})."""

from __future__ import annotations

from stationd.messages.message import Message, Phrase, table

# Sources.

SOURCE_LOST_RECORD = Message(
    id="9ab278c2af194a6cadf1156396372221",
    name="source-lost-record",
    text="Lost {type}: {reason}",
    meaning=(
        "From here on what happens to these containers is not seen; the daemon tries again "
        "by itself."
    ),
)
SOURCE_LIVE_AGAIN_RECORD = Message(
    id="f7bdb30090b44e9faf90156630a5ff58",
    name="source-live-again-record",
    text="Following {type} again",
    meaning="From here on what happens is seen again; what was missed has been worked out.",
)
CONTAINERS_FOUND = Message(
    id="631bc4e99186433abbfc6b19c1328760",
    name="containers-found",
    text="Found {count} {type} containers, {running} of them running",
    meaning=(
        "Containers of which nothing was recorded are there, as at the first start; nothing to do."
    ),
)
CONTAINERS_FOUND_AGAIN = Message(
    id="6c503cd4091d479baa084bc3dde2a8f8",
    name="containers-found-again",
    text="Found {count} {type} containers again, {running} of them running",
    meaning="Containers that were recorded as removed are there; nothing to do.",
)
ENGINE_EVENTS_EXPIRED = Message(
    id="9499f5facb4f4dbba383c36e4c924109",
    name="engine-events-expired",
    text="Docker has forgotten what happened after {moment} UTC; {found}",
    meaning=(
        "An engine remembers 256 events, until its own restart; what can be worked out is "
        "recorded as such."
    ),
)
ONE_INFERRED = Phrase(
    name="one-inferred",
    text="1 change was worked out from what its containers are",
    meaning="What became of the gap.",
)
SOME_INFERRED = Phrase(
    name="some-inferred",
    text="{count} changes were worked out from what its containers are",
    meaning="What became of the gap.",
)
NONE_INFERRED = Phrase(
    name="none-inferred",
    text="its containers show no trace of anything",
    meaning="Nothing may have happened, or what came and went without a trace.",
)

# The daemon itself.

DAEMON_STARTED = Message(
    id="1d6c543787944f48a015ad894201a9e0",
    name="daemon-started",
    text="Started stationd {version}",
    meaning="Records begin here; nothing to do.",
)
DAEMON_STOPPED = Message(
    id="d87d9f73ca9a4142bb956c90a60922c8",
    name="daemon-stopped",
    text="Stopped stationd {version}",
    meaning="It was stopped in good order; until the next start nothing is recorded as it happens.",
)
OLD_RECORDS_REMOVED = Message(
    id="98568147d49546a6a713ecafdb09c9bd",
    name="old-records-removed",
    text="Retention removed {records} old records of the {name} journal",
    meaning="They were older, or took more space, than the configuration allows; nothing to do.",
)
JOURNAL_DAMAGED_RECORD = Message(
    id="ff5e711b7b8546c4a18eea133d782628",
    name="journal-damaged-record",
    text="Damage in the journal: {sentence}",
    meaning=(
        "A file is not what was written; the rest is readable. Look at the disk, then "
        "'stationctl journal verify'."
    ),
)

ALL = table(globals())
