"""The reasons why an endpoint, a configuration file or a journal file cannot be used."""

from __future__ import annotations

from stationd.messages.message import Phrase, table

# Endpoints.

ENDPOINT_FILE = Phrase(
    name="endpoint-file",
    text="{error}: {file}",
    meaning="What the system said, and of which file.",
)
ENDPOINT_SSL = Phrase(
    name="endpoint-ssl",
    text="{error}; ssl: endpoints need pyOpenSSL",
    meaning="Install pyOpenSSL beside stationd.",
)
SOCKET_DOMAIN_MISMATCH = Phrase(
    name="socket-domain-mismatch",
    text="the socket passed has domain={domain}",
    meaning="Write this domain into http.endpoints, or let systemd make another socket.",
)
SOCKET_NOT_LISTENING = Phrase(
    name="socket-not-listening",
    text="the socket passed does not listen (Accept=yes?)",
    meaning="The socket unit must have Accept=no.",
)
SOCKET_NOT_PASSED = Phrase(
    name="socket-not-passed",
    text="systemd has passed no such socket",
    meaning="Is stationd.socket enabled, and the number in http.endpoints right?",
)
SOCKET_IN_USE_BY_STATIOND = Phrase(
    name="socket-in-use-by-stationd",
    text="{path} is in use by another stationd",
    meaning="Stop it, or use another path.",
)
SOCKET_IN_USE = Phrase(
    name="socket-in-use",
    text="{path} is in use by another process",
    meaning="Stop it, or use another path.",
)
SOCKET_PATH_NOT_A_SOCKET = Phrase(
    name="socket-path-not-a-socket",
    text="{path} exists and is not a socket",
    meaning="Remove the file, or use another path.",
)
PATH_REPLACED = Phrase(
    name="path-replaced",
    text="{path} is not a socket",
    meaning="Somebody has put another file in its place just now.",
)

# The configuration, and the users file.

TOML_TOO_DEEP = Phrase(
    name="toml-too-deep",
    text="not TOML: it is nested too deep",
    meaning="Write it with fewer brackets.",
)
TOML_INVALID = Phrase(
    name="toml-invalid",
    text="not TOML: {error}",
    meaning="Mend what the parser says.",
)
SOURCES_OF_ONE_TYPE = Phrase(
    name="sources-of-one-type",
    text="{other} and {key} are both of type {type}; there can be one of a type",
    meaning="Remove one of them.",
)
USERS_LINE = Phrase(
    name="users-line",
    text="line {number}: {error}",
    meaning="Mend the line, or use 'stationctl user'.",
)
USERS_NAME_TWICE = Phrase(
    name="users-name-twice",
    text="{name} is there already",
    meaning="Remove one of the two lines.",
)
USERS_ROLE = Phrase(
    name="users-role",
    text="the role of {name} is {role!r}; it can be {roles}",
    meaning="Write one of these after the name.",
)
USERS_HASH_MALFORMED = Phrase(
    name="users-hash-malformed",
    text="the hash of {name} is not scrypt$N$r$p$SALT$HASH",
    meaning="Use 'stationctl user password'.",
)
USERS_HASH_UNSAFE = Phrase(
    name="users-hash-unsafe",
    text="the hash of {name} is not one that is safe to use",
    meaning=(
        "Its parameters are too weak, or would take too much memory: use 'stationctl user "
        "password'."
    ),
)

# Files of a journal.

SEGMENT_INCOMPLETE = Phrase(
    name="segment-incomplete",
    text="{path} could not be read whole",
    meaning="It has gone bad since the start; see the damage of the journal.",
)
CLEAR_NOT_DURABLE = Phrase(
    name="clear-not-durable",
    text="records are cleared, but come back if the power fails now: {reason}",
    meaning="Look at the disk; it is tried again every five minutes.",
)
WRITTEN_BY_A_NEWER = Phrase(
    name="written-by-a-newer",
    text="a newer stationd wrote it",
    meaning="It may be read by this one, not written.",
)
VERSION_UNKNOWN = Phrase(
    name="version-unknown",
    text="version {version}, kind {kind}",
    meaning="What the file says of itself, and is not known here.",
)
FLAGS_UNKNOWN = Phrase(
    name="flags-unknown",
    text="incompatible flags {flags:#x}",
    meaning="What the file says of itself, and is not known here.",
)
SEALED_VERSION_UNKNOWN = Phrase(
    name="sealed-version-unknown",
    text="version {version}, kind {kind}, incompatible flags {flags:#x}",
    meaning="What the file says of itself, and is not known here.",
)

# Backups.

BACKUP_MANIFEST_MISSING = Phrase(
    name="backup-manifest-missing",
    text="no backup: it has no manifest.json",
    meaning="Name the directory that 'stationctl journal backup' has made.",
)
BACKUP_MANIFEST_INVALID = Phrase(
    name="backup-manifest-invalid",
    text="not a manifest: {error}",
    meaning="The file is damaged; use another backup, or make one in an empty directory.",
)
BACKUP_MANIFEST_CHECKSUM = Phrase(
    name="backup-manifest-checksum",
    text="its checksum is not that of its contents",
    meaning="Bytes of it were changed.",
)
BACKUP_MANIFEST_TOO_NEW = Phrase(
    name="backup-manifest-too-new",
    text="format {format}; this stationd reads format {known}",
    meaning="A newer stationd made the backup; use that one.",
)
BACKUP_EMPTY = Phrase(
    name="backup-empty",
    text="the first backup into it was interrupted",
    meaning="Run 'stationctl journal backup' again.",
)
BACKUP_DAMAGED = Phrase(
    name="backup-damaged",
    text="{problem}",
    meaning="A file of the backup is not what was written; use another backup.",
)
BACKUP_TARGET_NOT_EMPTY = Phrase(
    name="backup-target-not-empty",
    text="the directory is not empty and has no backup in it",
    meaning="Name an empty directory, a new one, or that of an earlier backup.",
)
BACKUP_TARGET_IS_SOURCE = Phrase(
    name="backup-target-is-source",
    text="a journal cannot be backed up into itself",
    meaning="Name another directory.",
)
BACKUP_SOURCE_MISSING = Phrase(
    name="backup-source-missing",
    text="no journal in it",
    meaning="Name the directory that has the journals log and event in it (--directory).",
)
BACKUP_SOURCE_CHANGING = Phrase(
    name="backup-source-changing",
    text="a file kept changing while it was copied",
    meaning="Is its disk failing? See the daemon's log, and try again.",
)
RESTORE_TARGET_NOT_EMPTY = Phrase(
    name="restore-target-not-empty",
    text="the journal is not empty; --force sets it aside under another name",
    meaning="Name another directory with --directory, or decide to replace what is there.",
)
RESTORE_COPY_DIFFERS = Phrase(
    name="restore-copy-differs",
    text="what was read twice from the backup differs",
    meaning="The disk of the backup, or memory, is failing; use another one.",
)

ALL = table(globals())
