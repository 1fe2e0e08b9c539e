"""The daemon's log lines about the files of its journals."""

from __future__ import annotations

from stationd.messages.log_message import FailureMessage, warn
from stationd.messages.message import table

JOURNAL_DAMAGED = warn(
    id="846d62edb44240b3a4da476fc26c1f92",
    name="journal-damaged",
    text="damage in the journal: {sentence}",
    meaning=(
        "A file is not what was written; the rest is readable. Look at the disk, then "
        "'stationctl journal verify'."
    ),
)
SEGMENT_OPEN_FAILED = warn(
    id="a1e3e9c3a1eb4211ba548b49b414b918",
    name="segment-open-failed",
    text="{path} cannot be appended to: {error}",
    meaning=(
        "At the start: the disk refuses (full?). What is there is served; the next record "
        "tries again."
    ),
)
TORN_TAIL_TRUNCATED = warn(
    id="d8cbad084edf4d0b828f95f61068d82e",
    name="torn-tail-truncated",
    text="{torn} bytes of an unfinished commit were cut from {path} and kept in {broken}",
    meaning="The process or the host ended during a write; nothing acknowledged is lost.",
)
COMMIT_ROLLBACK_FAILED = warn(
    id="da97468fdbac4651bd6d987b9831e007",
    name="commit-rollback-failed",
    text="{path} could not be cut back after a failed write: {error}",
    meaning=(
        "The disk fails. What was not acknowledged may be left there, and does not count. "
        "Look at the disk."
    ),
)
JOURNAL_WRITER_CRASHED = FailureMessage(
    id="a79e5f55d00844dba17ae829ebcbb66c",
    name="journal-writer-crashed",
    text="the journal's writer met an error nobody foresaw",
    meaning="A bug; what was to be written is not stored. Report it with the traceback.",
)
SEGMENT_REMOVE_FAILED = warn(
    id="b53e8efe5a834c66a9580b3f3bc0a215",
    name="segment-remove-failed",
    text="{path} could not be removed: {error}",
    meaning="An empty file is left over; it is tried again. Look at the disk.",
)
SEGMENT_CLOSE_FAILED = warn(
    id="e49f0a921b394297be9f6f57c3737ea2",
    name="segment-close-failed",
    text="a file in {path}: {error}",
    meaning="A file was not closed in order; what counts of it is on disk. Look at the disk.",
)
SEGMENT_SEAL_FAILED = warn(
    id="d63357cd8c644ccab1242ba50ffd9f01",
    name="segment-seal-failed",
    text="{path} could not be sealed: {error}",
    meaning=(
        "It stays larger than it could be; nothing is lost. It is tried again. Look at the disk."
    ),
)
SEALER_FAILED = FailureMessage(
    id="51b0d3f91f88420cbb534d680ac1ae0c",
    name="sealer-failed",
    text="{path} could not be sealed",
    meaning=(
        "A bug; the file stays larger than it could be, nothing is lost. Report it with the "
        "traceback."
    ),
)
SEALED_RENAME_FAILED = warn(
    id="f959394303f9497583bb360bfcc80417",
    name="sealed-rename-failed",
    text="{path} stays unsealed: {error}",
    meaning=(
        "The disk refused to put the sealed file in its place; nothing is lost. Look at the disk."
    ),
)
ROW_SEGMENT_REMOVE_FAILED = warn(
    id="52582e7e23ab468a98d659dd5ebf0f29",
    name="row-segment-remove-failed",
    text="{path} is left over: {error}",
    meaning="The file that was sealed could not be removed; the next start does that.",
)
SEGMENT_FILES_REMOVE_FAILED = warn(
    id="1dd2ca0daa874bcc91a3cf28b5cd2685",
    name="segment-files-remove-failed",
    text="records could not be removed: {error}",
    meaning=(
        "The disk refused to remove old or cleared records' files; it is tried again. Look "
        "at the disk."
    ),
)
TOMBSTONE_NOT_PREPARED = warn(
    id="508b46584ef148dc97fc51452d242573",
    name="tombstone-not-prepared",
    text="no file for the next clear: {path}: {error}",
    meaning=(
        "At the start: the disk refuses (full?). Clearing works all the same, and takes the "
        "newest file for it."
    ),
)
RETENTION_ROTATE_FAILED = warn(
    id="36388bd547ea49778573cd9ae27b2c09",
    name="retention-rotate-failed",
    text="the newest records are kept: {error}",
    meaning=(
        "Retention could not remove the last file, whose name has the numbers; it is tried "
        "again. Look at the disk."
    ),
)

ALL = table(globals())
