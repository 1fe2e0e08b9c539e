"""Substring search without regard to case, in many texts at once, and the trigram filter. No I/O.

"Without regard to case" is C{str.casefold} of both, exactly. For ASCII that is
done on whole blobs of texts: setting bit 5 of every byte (0x20) makes small
letters of capitals, and what else it makes equal is looked at again. Texts with
other characters are looked at one by one.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stationd.journal.file_header import TERMINATOR

Indexes = npt.NDArray[np.intp]

FILTER_BITS = 1 << 16
"""Bits of a block's trigram filter. 8,192 log sentences set some 6 % of them, so a
part of ten letters that is nowhere is taken to be in one of 10**9 blocks."""

_MULTIPLIER = 0x9E3779B1
"""2**32 divided by the golden ratio: Knuth's multiplicative hashing (The Art of
Computer Programming, volume 3, 6.4)."""

_CASE = 0x20
_ASCII = 0x7F
_END = TERMINATOR[0]
_NONE: Indexes = np.empty(0, np.intp)


def _hashes(blob: bytes) -> npt.NDArray[np.uint32]:
    """The bit of each three bytes that follow one another."""
    raw = np.frombuffer(blob, np.uint8).astype(np.uint32)
    trigrams = raw[:-2] | raw[1:-1] << np.uint32(8) | raw[2:] << np.uint32(16)
    hashes: npt.NDArray[np.uint32] = trigrams * np.uint32(_MULTIPLIER) >> np.uint32(16)
    return hashes


def trigram_filter(texts: list[bytes]) -> bytes:
    """8 KiB in which, for every three bytes in the case-folded texts, one bit is
    set: bit C{h % 8} of byte C{h // 8}, where C{h} is the upper half of the 32-bit
    product of the three bytes (little-endian) and 0x9E3779B1."""
    blob = TERMINATOR.join(texts)
    folded = (
        blob.lower()
        if blob.replace(TERMINATOR, b"").isascii()
        else TERMINATOR.join([text.decode().casefold().encode() for text in texts])
    )
    bits = np.zeros(FILTER_BITS, np.bool_)
    if len(folded) > 2:
        bits[_hashes(folded)] = True
    return np.packbits(bits, bitorder="little").tobytes()


class SearchableTexts(Protocol):
    """Texts that are searched together."""

    @property
    def records(self) -> int:
        """How many there are."""

    @property
    def ascii(self) -> bool:
        """Whether it is known that they have no other characters."""

    def blobs(self) -> Sequence[bytes]:
        """All of them, one after the other, each ended by L{TERMINATOR}."""

    def ends(self) -> Indexes:
        """The offsets of the terminators in all blobs together."""

    def texts(self, places: Indexes) -> list[bytes]:
        """Some of them, counted from 0."""


class _FoldBuffer(threading.local):
    """Memory in which texts are folded, used again and again: new pages for each
    block would take longer than the search."""

    def __init__(self) -> None:
        self._memory = bytearray()

    def fold(self, blobs: Sequence[bytes]) -> tuple[bytearray, int]:
        """Blobs, one after the other, bit 5 of every byte set; and how many bytes."""
        size = sum(map(len, blobs))
        if len(self._memory) < size:
            self._memory = bytearray(size)
        target = np.frombuffer(self._memory, np.uint8)
        at = 0
        for blob in blobs:
            part = target[at : at + len(blob)]
            np.bitwise_or(np.frombuffer(blob, np.uint8), _CASE, out=part)
            at += len(blob)
        return self._memory, size


_fold_buffer = _FoldBuffer()


class Substring:
    """What is looked for.

    @ivar text: it, case-folded.
    """

    def __init__(self, part: str) -> None:
        self.text = part.casefold()
        raw = self.text.encode()
        self._folded = bytes(byte | _CASE for byte in raw) if raw.isascii() else None
        self._bits = sorted(set(_hashes(raw).tolist())) if len(raw) > 2 else []

    def may_match(self, trigrams: bytes) -> bool:
        """Whether a block can have it, by its L{trigram_filter}."""
        return all(trigrams[bit >> 3] >> (bit & 7) & 1 for bit in self._bits)

    def matches(self, text: bytes) -> bool:
        """Whether a single text has it."""
        return self.text in text.decode().casefold()

    def find(self, within: SearchableTexts) -> Indexes:
        """The places of the texts that have it, ascending."""
        memory, size = _fold_buffer.fold(within.blobs())
        folded = np.frombuffer(memory, np.uint8, size)
        found = _NONE if self._folded is None else _occurrences(folded, self._folded)
        candidates = np.searchsorted(within.ends(), found) if len(found) else _NONE
        if not within.ascii:
            others = np.flatnonzero((folded > _ASCII) & (folded != _END))
            candidates = np.concatenate((candidates, np.searchsorted(within.ends(), others)))
        if not len(candidates):
            return _NONE
        places = np.unique(candidates)
        return places[[self.matches(text) for text in within.texts(places)]]


def _occurrences(raw: npt.NDArray[np.uint8], part: bytes) -> Indexes:
    """The offsets at which some bytes stand, not in order.

    Four bytes at a time are compared with the first four, at each of the four
    alignments: beside C{bytes.lower} and C{bytes.find} or C{re} three times as fast for
    the two letters that no filter rules out, as fast for a word, half as fast for a
    long sentence.
    """
    width = next(width for width in (4, 2, 1) if width <= len(part))
    found = [
        np.flatnonzero(
            np.frombuffer(raw, f"<u{width}", (raw.size - shift) // width, shift)
            == int.from_bytes(part[:width], "little")
        )
        * width
        + shift
        for shift in range(width)
        if raw.size - shift >= width
    ]
    at = np.concatenate(found) if found else _NONE
    at = at[at <= raw.size - len(part)]
    for index in range(width, len(part)):
        if not len(at):
            break
        at = at[raw[at + index] == part[index]]
    return at
