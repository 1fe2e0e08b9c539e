"""The messages of errors, to clients of the API (as C{detail}) and in the daemon's log. Reasons
that are within them are in L{stationd.messages.reason_messages}, what is allowed in
L{stationd.messages.allowed_values}."""

from __future__ import annotations

from stationd.messages.message import Message, Phrase, table

# Values and configuration.

INVALID_VALUE = Message(
    id="34276d03f78242a291227aa9dbd067a0",
    name="invalid-value",
    text="{name}: {value} is not allowed; {allowed}",
    meaning="A parameter, a field or a key has a value that cannot be; give one that is allowed.",
)
HUGE_NUMBER = Phrase(
    name="huge-number",
    text="a number of thousands of digits",
    meaning="Stands for a value that is too long to be shown.",
)
INVALID_CONFIGURATION = Message(
    id="cef1edf8ac874acd9628aeb8d49f5e22",
    name="invalid-configuration",
    text="{file}: {reason}",
    meaning="A configuration or users file is wrong; mend what is said.",
)

# Journals.

JOURNAL_LOCKED = Message(
    id="5546fe5def414af194aa8f895980ba81",
    name="journal-locked",
    text="{directory} is open for writing in {who}",
    meaning="One stationd writes a journal; stop the other, or use another directory.",
)
HOLDER = Phrase(
    name="lock-holder",
    text="process {pid}",
    meaning="Who has it open.",
)
UNKNOWN_HOLDER = Phrase(
    name="lock-holder-unknown",
    text="another process",
    meaning="Who has it open, if it does not say.",
)
JOURNAL_UNWRITABLE = Message(
    id="b7a9647142a44b498df33f5af406c0ce",
    name="journal-unwritable",
    text="the journal cannot be written: {reason}",
    meaning="Nothing of what was sent is stored; look at the disk. Send it again later.",
)
JOURNAL_OVERLOADED = Message(
    id="fa9763052aca4773a72836209d25307a",
    name="journal-overloaded",
    text="too many records are waiting for the disk",
    meaning="Nothing of what was sent is stored; send it again in a few seconds. Is the disk slow?",
)
JOURNAL_CLOSED = Message(
    id="97736fc9b3fb45bdae40b6b4fd0dd758",
    name="journal-closed",
    text="the journal is closed",
    meaning="The daemon is stopping; send it again when it runs.",
)
JOURNAL_TOO_NEW = Message(
    id="bca8dde50e154e34989b6f33031a6e99",
    name="journal-too-new",
    text="{file}: {reason}",
    meaning="A newer stationd wrote it; start that one again.",
)
JOURNAL_UNREADABLE = Message(
    id="d2fda143c3c24715bd3868131c74a087",
    name="journal-unreadable",
    text="{directory}: {reason}",
    meaning="Its directory cannot be read; is it there, and who may read it?",
)

BACKUP_FAILED = Message(
    id="791901a6af234d729c7b6dc475ed09a3",
    name="backup-failed",
    text="{path}: {reason}",
    meaning="A backup cannot be made, or what is read is no whole backup; mend what is said.",
)

# Containers and sources.

CONTAINER_NOT_FOUND = Message(
    id="c2d535d397f649a994b98f2d05cc2139",
    name="container-not-found",
    text="there is no {type} container {key!r}",
    meaning="No container has this name or id; see GET /api/v1/container.",
)
TOO_MANY_WAITS = Message(
    id="956dfdefffb440ea91c41b393db5bbca",
    name="too-many-waits",
    text="{limit} waits are open, and no more are taken",
    meaning="Ask again later, or wait with fewer requests.",
)
SOURCE_ABSENT_ERROR = Message(
    id="3d50df11aadf4fc3a865517b77e5a141",
    name="source-absent-error",
    text="{reason}",
    meaning="What the source watches is not on this host, or not running.",
)
SOURCE_LOST_ERROR = Message(
    id="71b95f4d7ce24b89be113ea374b34089",
    name="source-lost-error",
    text="{reason}",
    meaning=(
        "The source does not answer, so nothing certain can be said; ask again in a few seconds."
    ),
)

# Endpoints.

CANNOT_LISTEN = Message(
    id="386a676c3f904b73892373c069d65ecf",
    name="cannot-listen",
    text="cannot listen on {endpoint}: {reason}",
    meaning="Nobody can connect there; mend what is said. It is tried again every ten seconds.",
)

# Requests.

AUTHENTICATION_REQUIRED = Message(
    id="38e2c89a757a44aa9ee4e17600cf9d1d",
    name="authentication-required",
    text="{reason}",
    meaning="Nobody knows who is asking; log in.",
)
PERMISSION_DENIED = Message(
    id="0bdc60a59c014ee08e76dfce50eeeff0",
    name="permission-denied",
    text="{reason}",
    meaning="Who is asking may not do this; it takes another account.",
)
TOO_MANY_LOGINS = Message(
    id="0323289cfe4a4249a0c2fbecbe81cd5a",
    name="too-many-logins",
    text="too many logins at once; try again in a few seconds",
    meaning="So many passwords are being checked that no more are taken; try again.",
)
RESOURCE_NOT_FOUND = Message(
    id="2e808025790546118d5e5da0a68f930e",
    name="resource-not-found",
    text="there is nothing at {path}",
    meaning="No route has this path; see docs/api.md.",
)
METHOD_NOT_ALLOWED = Message(
    id="22610de095c6418789a27ed843badbca",
    name="method-not-allowed",
    text="{method} is not possible here; {allowed} is",
    meaning="The path is right, the method is not.",
)
BODY_TOO_LARGE = Message(
    id="c2e14bc22b85450ca239392f6114c3fe",
    name="body-too-large",
    text="at most {limit} bytes are taken at once",
    meaning="Send less, in several requests.",
)
TOO_MANY_BODIES = Message(
    id="11843050f810402a86144991698dab1d",
    name="too-many-bodies",
    text="too many request bodies are being received; try again in a few seconds",
    meaning="Other clients are sending much; try again.",
)
REQUEST_MALFORMED = Message(
    id="2d6c0b685b324196840c8dfc5c66471d",
    name="request-malformed",
    text="the request is not well-formed HTTP/1.1, or too long",
    meaning="The client sends something else, or headers that are too long; mend the client.",
)
INTERNAL_ERROR = Message(
    id="f4285c2f362a4ccc82c23970b7543d32",
    name="internal-error",
    text="a bug; the daemon's log has it as incident {incident}",
    meaning="Look for the incident in the log, and report it with the traceback.",
)

ALL = table(globals())
