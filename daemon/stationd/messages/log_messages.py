"""The daemon's log lines, but for those of journal files and sources."""

from __future__ import annotations

from stationd.messages.log_message import FailureMessage, critical, error, info, warn
from stationd.messages.message import Phrase, table

# Start, stop, configuration.

STARTUP_COMPLETE = info(
    id="c359b4d2c60c409680d3ced7a2fc5e5a",
    name="startup-complete",
    text="stationd {version} records in {directory}",
    meaning="It has started; nothing to do.",
)
STARTUP_FAILED = critical(
    id="fe32d48085294ed9b1166b21f1785eb7",
    name="startup-failed",
    text="{error}",
    meaning="It cannot run, and ends with exit code 1: mend what is said and start it again.",
)
SHUTDOWN_COMPLETE = info(
    id="881d6494d5624bac86b7ab50980205b5",
    name="shutdown-complete",
    text="everything is on disk",
    meaning="It has stopped in good order; nothing to do.",
)
CONFIGURATION_RELOADED = info(
    id="166ac6212fe645618cb8289078d75976",
    name="configuration-reloaded",
    text="reread {file}: {done}{restart}; users are read whenever their file changes",
    meaning="After SIGHUP: what is in force now, and what only a restart puts in force.",
)
CONFIGURATION_UNCHANGED = Phrase(
    name="configuration-unchanged",
    text="no change",
    meaning="Nothing that is in force at once has changed.",
)
RESTART_REQUIRED = Phrase(
    name="restart-required",
    text="; only a restart changes {keys}",
    meaning="Restart stationd to put these in force.",
)
SETTING_CHANGED = Phrase(
    name="setting-changed",
    text="{key} from {before} to {after}",
    meaning="One setting that has changed.",
)
CONFIGURATION_MISSING = warn(
    id="96d07d47bdf8417f908d80d7d78767f6",
    name="configuration-missing",
    text="not reread, nothing has changed: {file} is no file",
    meaning="After SIGHUP: put the configuration file back, then send SIGHUP again.",
)
CONFIGURATION_REJECTED = warn(
    id="502b2261e27e4be5958d9dd58bed72b1",
    name="configuration-rejected",
    text="not reread, nothing has changed: {error}",
    meaning="After SIGHUP: the configuration is wrong; mend what is said, then send SIGHUP again.",
)
SIGNAL_IGNORED = info(
    id="261f8b1d275f4c8ab7595fc13049fbec",
    name="signal-ignored",
    text="ignored {name}",
    meaning="Somebody sent a signal that means nothing here; nothing to do.",
)

# Endpoints.

ENDPOINT_LISTENING = info(
    id="e4897345301f4106a70d6ef32558a4a4",
    name="endpoint-listening",
    text="listening on {description}",
    meaning="Clients can connect there; nothing to do.",
)
ENDPOINT_FAILED = error(
    id="01b301792797497cb1bd1bf2561a5826",
    name="endpoint-failed",
    text="{error}",
    meaning="Nobody can connect there; mend what is said. It is tried again every ten seconds.",
)
PORT_CLOSE_FAILED = FailureMessage(
    id="036c83d617e64d829a09170efc8f2a5f",
    name="port-close-failed",
    text="a port cannot be closed",
    meaning="A bug, or a broken host; the daemon stops all the same. Report it with the traceback.",
)
SOCKET_REMOVE_FAILED = warn(
    id="7cfdd796fdfb4f72928fe79baa5dccaf",
    name="socket-remove-failed",
    text="{path} could not be removed: {error}",
    meaning=(
        "A socket is left over; the next start replaces it. See who may write to its directory."
    ),
)

# Sources.

SOURCE_LIVE = info(
    id="3264908ecd124f76ba2422ca72672b17",
    name="source-live",
    text="following {type}",
    meaning="The source has caught up; what happens is recorded from now on.",
)
SOURCE_ABSENT = info(
    id="52508fc53358402983ff5c2d272ffe75",
    name="source-absent",
    text="cannot follow {type}: {reason}",
    meaning=(
        "What it watches is not there; nothing to do if that is so. It is tried again by itself."
    ),
)
SOURCE_UNAVAILABLE = warn(
    id="7e27506c605d40339b74e0e2602a1736",
    name="source-unavailable",
    text="cannot follow {type}: {reason}",
    meaning="It cannot be followed; mend what is said. It is tried again by itself.",
)
SOURCE_LOST = warn(
    id="a89539f2eeb84ee6b896c3eb185b1c33",
    name="source-lost",
    text="lost {type}: {reason}",
    meaning=(
        "It was followed and ended. It is tried again at once, and what is missed is worked out."
    ),
)
SOURCE_FAILED = FailureMessage(
    id="9aedcedbcd0e47a5b6044eab65c4e195",
    name="source-failed",
    text="the {type} source failed",
    meaning="A bug of the source's; it is tried again. Report it with the traceback.",
)
SOURCE_QUERY_FAILED = FailureMessage(
    id="b5f6ba16a93c41c7b93abf03b8b6e877",
    name="source-query-failed",
    text="a source failed to look",
    meaning="A bug of a source's, as it was asked for a container. Report it with the traceback.",
)

# Records.

OBSERVATION_DROPPED = warn(
    id="0f67fd5f9cae45b1a1474dc79065590f",
    name="observation-dropped",
    text="{type} told of something that cannot be recorded: {error}",
    meaning="A name or text that a record cannot hold; it is passed over.",
)
LOG_RECORD_FAILED = warn(
    id="2117945b2c4944c58abe00a3c6362cb6",
    name="log-record-failed",
    text="not in the journal: {text} ({reason})",
    meaning="A word of the daemon's own is here only: the disk refused it. Look at the disk.",
)
LOG_CLEARED = info(
    id="3d8f4eeb1caf4463a4abf9371c675442",
    name="log-cleared",
    text="{user} cleared the log of {records} records",
    meaning="Somebody removed all records of the log; they do not come back.",
)
RETENTION_FAILED = warn(
    id="a337b80cc9cb46b680518e17f2667ed6",
    name="retention-failed",
    text="retention could not do its work: {reason}",
    meaning="Old records stay; it is tried again in five minutes. Look at the disk.",
)
RETENTION_STOPPED = FailureMessage(
    id="e4a740f7a05f450d99984f688779335f",
    name="retention-stopped",
    text="retention has stopped",
    meaning="A bug; old records stay until a restart. Report it with the traceback.",
)

# The API.

USERS_FILE_NOT_READ = FailureMessage(
    id="9a4b973da0ed425d968cb3cbdda37b3a",
    name="users-file-not-read",
    text="the users file could not be read",
    meaning=(
        "A bug, or a broken host; those read before it can log in. Report it with the traceback."
    ),
)
USERS_FILE_REJECTED = warn(
    id="006a0dc31c594bb09d2b441d478383ea",
    name="users-file-rejected",
    text="the users stay as they were: {error}",
    meaning="The users file is wrong; those read before it can log in. Mend what is said.",
)
LOGIN_FAILED = warn(
    id="67bb6ec3335241ddb1b1ed92bf769a0c",
    name="login-failed",
    text="a login as {user} was refused",
    meaning="Wrong name or password. If there are many, somebody guesses.",
)
WAIT_FAILED = FailureMessage(
    id="c360f0ffcf434acc9f6eb1c6acfc1f99",
    name="wait-failed",
    text="a wait cannot go on",
    meaning="A bug; a client waits in vain until its time is up. Report it with the traceback.",
)
RESPONSE_FAILED = FailureMessage(
    id="0d55924616e1405e9a1a9337c8b59981",
    name="response-failed",
    text="an answer could not be sent",
    meaning="A bug; a client's connection was closed. Report it with the traceback.",
)
RESPONSE_TRUNCATED = FailureMessage(
    id="fc35e8bfe01e4c85a1d82df6c8f23a37",
    name="response-truncated",
    text="an answer was cut off",
    meaning=(
        "Something failed, as a disk, while an answer was sent; the client has only a part of it."
    ),
)
REQUEST_FAILED = FailureMessage(
    id="0367f4b7d545416583c203153dbac06f",
    name="request-failed",
    text="incident {incident}: {method} {path} failed",
    meaning="A bug; a client got status 500 with that number. Report it with the traceback.",
)

ALL = table(globals())
