"""Byte shuffling: columns of numbers as planes of bytes, which compress better. No I/O."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def shuffle_bytes(values: npt.NDArray[np.generic], width: int) -> npt.NDArray[np.uint8]:
    """Numbers as that many rows of bytes: all lowest bytes, then all second ones, and
    so on. They compress better so."""
    return values.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :width].T


def unshuffle_bytes(planes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """The numbers of which L{shuffle_bytes} made these bytes."""
    if not len(planes):
        return np.zeros(planes.shape[1], np.int64)
    found: npt.NDArray[np.int64] = planes[0].astype(np.int64)
    for index, plane in enumerate(planes[1:], 1):
        if plane.any():
            found += plane.astype(np.int64) << (8 * index)
    return found


def byte_width(greatest: int) -> int:
    """How many bytes each of some numbers takes, 0 if all are 0."""
    return (greatest.bit_length() + 7) // 8


def index_width(names: int) -> int:
    """How many bytes an index of a table of names takes."""
    return 1 if names <= 256 else 2


def to_codes(planes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16] | npt.NDArray[np.uint8]:
    """The numbers of one or two L{shuffle_bytes} rows, as small as they are."""
    low: npt.NDArray[np.uint16] | npt.NDArray[np.uint8] = planes[0]
    return low if len(planes) == 1 else low | planes[1].astype(np.uint16) << np.uint16(8)
