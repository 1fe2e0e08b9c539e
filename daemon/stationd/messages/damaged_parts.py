"""The parts of a journal's file that can be damaged: C{what} and C{error} of
L{stationd.messages.damage_messages}."""

from __future__ import annotations

from stationd.messages.message import constants

# In a file's place.

NOT_A_REGULAR_FILE = "not a regular file"

# Chunks of a sealed block.

NAMES = "the table of names"
TEXT_FILTER = "the text filter"
COLUMNS = "the columns of a group"
ORIGINS = "the origins of a group"
LENGTHS = "the lengths of texts"
TEXTS = "a chunk of texts"
UNKNOWN = "something unknown"
NOT_READ = "{what} ({error})"

# What a block's summary says of it.

NAME_ORDER = "the order of the names"
RECORD_COUNT = "the number of records"
FIRST_OR_LAST = "the first or the last number"
RECORD_ORDER = "the order of the records"
LEAST_OR_GREATEST = "the least or the greatest time"
LEVEL_SET = "the set of levels"
KEY_SET = "a set of keys"
ASCII_NOTE = "the note that all texts are ASCII"

# What makes no sense, though its checksum is right.

FRAME = "a frame has gone bad"
FRAME_STRINGS = "the strings of a frame are not what its columns ask for"
FRAME_ROWS = "{rows} rows end at byte {offset} of {size}"
NAME_COUNT = "{found} names where {count} should be"
NAME_SUM = "the counts do not add up to the records"
TEXT_COUNT = "{found} texts where {count} should be"

# Where a sealed file differs from what it was made from.

MISSING_BLOCK = "a block is missing"
MORE_BLOCKS = "there are more blocks"
MISSING_RECORD = "a record is missing"
BLOCK_HEADER = "the header of the block"
UNREADABLE_CHUNK = "a chunk cannot be read"
SUMMARY_NUMBERS = "the numbers or times of the summary"
SUMMARY_LEVELS = "the levels of the summary"
SUMMARY_KEYS = "the keys of the summary"
NUMBERS = "the numbers"
TIMES = "the times"
LEVELS = "the levels"
CATEGORIES = "the categories"
USERS = "the users"
CONTAINERS = "the containers"
ALL_TEXTS = "the texts"
ALL_ORIGINS = "the origins"

ALL = constants(globals())
