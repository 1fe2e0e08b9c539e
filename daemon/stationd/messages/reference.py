"""The reference of all messages, C{docs/messages.md}."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from stationd.messages import (
    allowed_values,
    damage_messages,
    damaged_parts,
    error_messages,
    file_reason_messages,
    journal_log_messages,
    log_messages,
    reason_messages,
    record_messages,
    source_log_messages,
    system_record_messages,
)
from stationd.messages.log_message import FailureMessage, LogMessage
from stationd.messages.message import Message, Phrase

KINDS: Mapping[str, Sequence[Phrase]] = {
    "Records about containers and images": record_messages.ALL,
    "Records about stationd": system_record_messages.ALL,
    "The daemon's log": log_messages.ALL,
    "The daemon's log: the journal's files": journal_log_messages.ALL,
    "The daemon's log: Docker and LXC": source_log_messages.ALL,
    "Errors": error_messages.ALL,
    "Reasons": reason_messages.ALL,
    "Reasons: endpoints and files": file_reason_messages.ALL,
    "Damage": damage_messages.ALL,
}
"""All messages and phrases, by the headings of the page."""

WORDS: Mapping[str, Mapping[str, str]] = {
    "Damaged parts": damaged_parts.ALL,
    "Allowed values": allowed_values.ALL,
}
"""What stands only within messages, as above."""

_BEGINNING = """\
# Messages

Every text that stationd writes into a journal or its log, or answers as an error, with what it
means and what to do. This page is made of the tables in `daemon/stationd/messages/`:

    python -m stationd.messages > docs/messages.md

A text may change from one version to the next; its id and its name stay as long as its meaning
does. An event of the daemon's log has them as `message_id` and `message_name`; the id has the form
of journald's `MESSAGE_ID`. What stands in braces is filled in. A text without an id is a part of
another one.
"""


def page() -> str:
    """The whole page."""
    return _BEGINNING + "".join(f"{line}\n" for line in _lines())


def _lines() -> Iterator[str]:
    for heading, table in KINDS.items():
        yield from ("", f"## {heading}", "")
        has_levels = any(isinstance(one, LogMessage | FailureMessage) for one in table)
        columns = ["name", *(["level"] if has_levels else []), "text", "meaning", "id"]
        yield from _table(columns, [_row(one, has_levels) for one in table])
    for heading, words in WORDS.items():
        yield from ("", f"## {heading}", "")
        rows = [[name.lower().replace("_", "-"), _code(text)] for name, text in words.items()]
        yield from _table(["name", "text"], rows)


def _row(one: Phrase, has_levels: bool) -> list[str]:
    level = one.level if isinstance(one, LogMessage | FailureMessage) else ""
    id = _code(one.id) if isinstance(one, Message) else ""
    return [one.name, *([level] if has_levels else []), _code(one.text), one.meaning, id]


def _code(text: str) -> str:
    return f"`{text}`"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for cells in (columns, ["---"] * len(columns), *rows):
        yield f"| {' | '.join(cells)} |"
