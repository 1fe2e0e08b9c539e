"""Damage in a journal's files: what the log, GET /api/v1/system and C{stationctl journal} say, and
what a repair has done. The parts of a file that are named in it are in
L{stationd.messages.damaged_parts}.

L{stationd.journal.repair} knows that the tombstone is damaged by a sentence that begins with its
path: so has L{TOMBSTONE_DAMAGED} to begin."""

from __future__ import annotations

from stationd.messages.message import Message, Phrase, table

# Found at the start, or as a record was read.

FILE_HEADER_DAMAGED = Message(
    id="f5041abb39674fa4be43b1c27aeedee8",
    name="file-header-damaged",
    text="{path}, byte 0: the file header is damaged",
    meaning=(
        "The records after it are read all the same. Look at the disk, then 'stationctl "
        "journal repair'."
    ),
)
FOOTER_DAMAGED = Message(
    id="08b96e2d62b547c1aa8a7c8092042532",
    name="footer-damaged",
    text="{path}, byte {offset}: the footer is damaged, blocks were found",
    meaning=(
        "The records in them are read all the same. Look at the disk, then 'stationctl "
        "journal repair'."
    ),
)
BYTES_UNREAD = Message(
    id="17e0063e304448f8bbd0d9715b108854",
    name="bytes-unread",
    text="{path}, byte {offset}: {size} bytes cannot be read: {error}",
    meaning="The rest is read all the same. Look at the disk, then 'stationctl journal repair'.",
)
FILE_UNREADABLE = Message(
    id="b7f833be4d9b4afbaeb082ec5c1361dd",
    name="file-unreadable",
    text="{path} cannot be read: {error}; its records, from {first} on, are not shown",
    meaning=(
        "Give the daemon's user the right to read it, put back what a link leads to, or let "
        "'stationctl journal repair' set it aside."
    ),
)
FRAMES_DAMAGED = Message(
    id="88fb715607154bcfb90aa75a9dea0e78",
    name="frames-damaged",
    text=(
        "{path}, byte {offset}: {size} bytes are damaged; records from {first} on may be lost there"
    ),
    meaning="The rest is readable. Look at the disk, then 'stationctl journal repair'.",
)
BLOCKS_MISSING = Message(
    id="3f3a4242671141119484607d9c2c9b2a",
    name="blocks-missing",
    text="{path}, byte {offset}: records {first} to {last} may be missing",
    meaning=(
        "A block between two others is not found. Look at the disk, then 'stationctl journal "
        "repair'."
    ),
)
BLOCK_DAMAGED = Message(
    id="a78450dc8eaa4d46b297cae56bd9bb9f",
    name="block-damaged",
    text="{path}, byte {offset}: {what} of records {first} to {last} is damaged",
    meaning=(
        "Some of these records cannot be read. Look at the disk, then 'stationctl journal repair'."
    ),
)
SPAN_DAMAGED = Message(
    id="77626091f7c44b66bebe8709ce8d66a5",
    name="span-damaged",
    text="{path}, byte {offset}: records {first} to {last}: {what}",
    meaning=(
        "Some of these records cannot be read. Look at the disk, then 'stationctl journal repair'."
    ),
)
SEGMENT_MISSING = Message(
    id="3dcb32412f404f2f9cb4fe5cf67a631f",
    name="segment-missing",
    text="{path}: records {first} to {last} are missing",
    meaning="A file after this one is not there; was it removed, or not copied? Put it back.",
)
TOMBSTONE_DAMAGED = Message(
    id="02f1ba3d028a4051a2847364443f6da2",
    name="tombstone-damaged",
    text="{path}: not a tombstone; records that were cleared may show again",
    meaning=(
        "Look at the disk, then 'stationctl journal repair', which keeps it under another name."
    ),
)
FILE_EXCLUDED = Message(
    id="58b144f3b63e4ce19399bca0abbff63e",
    name="file-excluded",
    text="{path} is not shown, but {instead}: {why}; both are kept",
    meaning=(
        "Two journals are in one directory, as after restoring a backup; see "
        "docs/operating.md, Damage."
    ),
)
SEALED_ROWS_MISSING = Phrase(
    name="sealed-rows-missing",
    text="it has not all of its records",
    meaning="A sealed file has less than what it was made from.",
)
SEALED_ROWS_DIFFER = Phrase(
    name="sealed-rows-differ",
    text="it is not what that was made from",
    meaning="Two forms of a file differ.",
)
SAME_NUMBERS = Phrase(
    name="same-numbers",
    text="it has the same sequence or record numbers",
    meaning="The files contradict each other.",
)

# Found by looking at every byte.

CONTENT_DAMAGED = Message(
    id="85d60cf2472a42d2b0f08f334e31e262",
    name="content-damaged",
    text="{path}, byte {offset}: {what}",
    meaning=(
        "What the file says of itself is not what is in it. Look at the disk, then "
        "'stationctl journal repair'."
    ),
)
RECORD_NUMBER_GAP = Phrase(
    name="record-number-gap",
    text="records {first} to {last} are missing",
    meaning="Between two others.",
)
FRAME_MALFORMED = Phrase(
    name="frame-malformed",
    text="the frame that ends at byte {end}: {error}",
    meaning="It is whole, and makes no sense.",
)
FRAME_INDEX_MISMATCH = Phrase(
    name="frame-index-mismatch",
    text="what records {first} to {last} are is not what is said",
    meaning="Their number or times.",
)
BLOCK_MISPLACED = Phrase(
    name="block-misplaced",
    text="the block of records {first} to {last} is not where it should be",
    meaning="It does not follow the one before it.",
)
BLOCK_HEADER_DAMAGED = Phrase(
    name="block-header-damaged",
    text="the header of records {first} to {last} is damaged, its copy in the footer is not",
    meaning="They are readable.",
)
BLOCK_SUMMARY_MISMATCH = Phrase(
    name="block-summary-mismatch",
    text="{what} of records {first} to {last} is not what is in it",
    meaning="Searches may pass records over.",
)
BLOCK_MALFORMED = Phrase(
    name="block-malformed",
    text="records {first} to {last}: {error}",
    meaning="It is whole, and makes no sense.",
)
LAST_NUMBER_MISMATCH = Phrase(
    name="last-number-mismatch",
    text="it says that it ends with record {said}, and has {last}",
    meaning="The footer contradicts the blocks.",
)
RECORDS_LOST_IN_REPAIR = Message(
    id="879d457d793445cfb31efbde5b95f1b5",
    name="records-lost-in-repair",
    text="{path}: {lost} records were lost before it was sealed",
    meaning="A note, no damage: a repair has sealed what could be read.",
)
COMMIT_UNFINISHED = Message(
    id="12785084aafe4b319f4e7abfaf98371d",
    name="commit-unfinished",
    text="{path}: {torn} bytes at its end are a commit that is not finished",
    meaning=(
        "A note, no damage: it is being written, or the daemon was killed; nothing "
        "acknowledged is lost."
    ),
)
FILE_SET_ASIDE = Message(
    id="a0e832d5be4e4d91899d6c22ed503d44",
    name="file-set-aside",
    text="{path} was set aside",
    meaning="A note, no damage: a start or a repair has kept it; remove it when it is not needed.",
)

# Compared with the manifest of a backup.

BACKUP_FILE_MISSING = Message(
    id="ba016ef240354abeb1021243a007d4fe",
    name="backup-file-missing",
    text="{path} is missing; the manifest has it",
    meaning="It was not copied, or removed. Use another backup, or make one again.",
)
BACKUP_FILE_SHORT = Message(
    id="bac344d0a6604835ba684a18653e80b3",
    name="backup-file-short",
    text="{path} has {size} bytes; the manifest has {expected}",
    meaning="It was cut. Use another backup, or make one again.",
)
BACKUP_FILE_DIFFERS = Message(
    id="991daa1b4810469f89bb36e42ca9c286",
    name="backup-file-differs",
    text="{path} differs from the manifest (SHA-256)",
    meaning="It was changed or is damaged. Use another backup, or make one again.",
)
BACKUP_JOURNAL_MISSING = Message(
    id="dfe64b995ce84a379d08f1407a87328e",
    name="backup-journal-missing",
    text="{directory} has no journal; the manifest has its records {first} to {last}",
    meaning="It was not copied. Use another backup, or copy it again.",
)
NEWEST_RECORDS_MISSING = Message(
    id="3b57a3b1a2aa4d689947cd740b635afe",
    name="newest-records-missing",
    text="{directory} ends with record {last}; the manifest ends with {expected}",
    meaning="The newest file was not copied, or the copy is older than the backup. Copy it again.",
)
OLDEST_RECORDS_MISSING = Message(
    id="dcc990c22cd3424caac149cede4636d5",
    name="oldest-records-missing",
    text="{directory} begins with record {first}; the manifest begins with {expected}",
    meaning="A note, no damage: retention or a clear has removed them since the backup.",
)

# A sealed file that is not what it was made from.

SEAL_VERIFICATION_FAILED = Message(
    id="3b195e451c32449d9811c8e1b4957d6c",
    name="seal-verification-failed",
    text="{path} is not {rows}: {what}",
    meaning="A bug, or bad memory: the sealed file is removed, the other one stays. Report it.",
)
SEAL_MISMATCH_COUNT = Phrase(
    name="seal-mismatch-count",
    text="{records} records, committed at {committed_us}",
    meaning="What the sealed file has.",
)
SEAL_MISMATCH_END = Phrase(
    name="seal-mismatch-end",
    text="it ends with record {last}",
    meaning="What the sealed file has.",
)
SEAL_MISMATCH_NUMBERS = Phrase(
    name="seal-mismatch-numbers",
    text="records {first} to {last}: {what}",
    meaning="Where they differ, and in what.",
)

# Repaired.

INVALID_TOMBSTONE_SET_ASIDE = Message(
    id="8a91c3ce7f1b461c8b8409aab04e02cc",
    name="invalid-tombstone-set-aside",
    text="{path} was no tombstone; it is kept as {kept}",
    meaning="Nothing to do; records that were cleared may show again.",
)
UNREADABLE_FILE_SET_ASIDE = Message(
    id="5666544c75cf4768b057fdf6989c8c99",
    name="unreadable-file-set-aside",
    text="{path} cannot be read: {error}; it is kept as {kept}",
    meaning="Nothing to do; its records are not shown.",
)
UNREADABLE_FILE_LEFT = Message(
    id="35cd8c3637e8402eab7dbe01eceedca7",
    name="unreadable-file-left",
    text="{path} is left as it is: {error}",
    meaning="Give the user who repairs the right to read it, and repair again.",
)
CONFLICTING_FILE_SET_ASIDE = Message(
    id="ad1b1505c2ce42fb8e78919f8378fd09",
    name="conflicting-file-set-aside",
    text="{path} is not of this journal, or has less than another file; it is kept as {kept}",
    meaning="To see its records move it to a directory of its own, under its first name.",
)
SEGMENT_REPAIRED = Message(
    id="dd8b014c6e2e46dfbc12e0da0b06c26d",
    name="segment-repaired",
    text="{path} now has the {read} records that can be read; {lost} are lost{kept}",
    meaning="Nothing to do.",
)
DAMAGED_KEPT = Phrase(
    name="damaged-kept",
    text="; {kept} is the damaged file",
    meaning="Where the file is as it was.",
)

ALL = table(globals())
