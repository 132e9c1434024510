"""The bytes in which what a stream's analytics remember goes from one slot to another.

Columns (see ``rules/state.py``) become a few arrays; moments and sightings are numbers of tables,
so that each is written once. Arrays lie byte by byte, the first byte of all numbers first: high
bytes are alike, so they take little once packed. What is like noise is not packed, since that would
take longer than all else and save nothing. Not pickle: the bytes come from a server that others
can write to.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.analytics.rules.scene import Moment, Sighting
from actors.analytics.rules.state import Columns, StateReader, table
from actors.errors import StateError

VERSION = 6
"""Counts up with each change of what trackers, rules, cascades and life cycles put into a state."""

_HEADER = b"SLM" + bytes([VERSION])
_MAX_BYTES = 8_000_000
_KINDS_OF_ARRAYS = "biuf"
_NEVER = (math.nan, math.nan, math.nan)
_FLAGS = (False, True, None)
_FLAG_NUMBERS = {flag: number for number, flag in enumerate(_FLAGS)}

_Arrays = list[NDArray[Any]]


def to_bytes(head: Any, columns: Columns) -> bytes:
    """Write columns down, and a head of JSON values; a tuple comes back as a list.

    Raises:
        TypeError: for an array that is not of numbers, or a value that is none of JSON.
    """
    names, tables = _tables(columns)
    parts = [
        _part(head, [], 1),
        _part([columns.values, names], tables + columns.arrays, 1),
        _part(None, columns.noise, 0),
    ]
    return b"".join([_HEADER, *parts])


class StateBytes:
    """Reads what ``to_bytes`` gave: the head at once, the columns when asked.

    Raises:
        StateError: if the bytes are damaged, or of another version.

    Attributes:
        data: The bytes.
        head: The head.
    """

    def __init__(self, data: bytes) -> None:
        if data[: len(_HEADER)] != _HEADER:
            raise StateError(f"state begins with {data[:4]!r}: this version reads {_HEADER!r}")
        self.data = data
        head, self._columns, self._noise = _unpacked(data[len(_HEADER) :])
        with reading():
            self.head, _ = _read(head)

    def reader(self, pts_shift_s: float = 0.0) -> StateReader:
        """The columns, with so many seconds added to the source's clock of each moment.

        Raises:
            StateError: if they cannot be read.
        """
        with reading():
            (values, names), arrays = _read(self._columns)
            columns = _columns_of(names, arrays, pts_shift_s)
            columns.values, columns.noise = values, _read(self._noise)[1]
            return StateReader(columns)


@contextmanager
def reading() -> Iterator[None]:
    """What is wrong with values that somebody else wrote becomes a StateError."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise StateError(f"state cannot be read: {error!r}") from error
    except RecursionError as error:
        raise StateError("state cannot be read: it is nested too deeply") from error


def _part(value: Any, arrays: _Arrays, level: int) -> bytes:
    """JSON and arrays, packed; the JSON comes after its length, and names the arrays."""
    for array in arrays:
        if array.dtype.kind not in _KINDS_OF_ARRAYS:
            raise TypeError(f"a state cannot hold an array of {array.dtype}")
    named = [value, [[array.dtype.str, *array.shape] for array in arrays]]
    text = json.dumps(named, separators=(",", ":")).encode()
    plain = b"".join([len(text).to_bytes(4, "big"), text, *map(_by_bytes, arrays)])
    return zlib.compress(plain, level)


def _read(part: bytes) -> tuple[Any, _Arrays]:
    """What ``_part`` was given."""
    start = 4 + int.from_bytes(part[:4], "big")
    value, kinds = json.loads(part[4:start])
    arrays = []
    for kind, *shape in kinds:
        array, start = _array(part, start, kind, *shape)
        arrays.append(array)
    return value, arrays


def _tables(columns: Columns) -> tuple[list[str], _Arrays]:
    """All columns as arrays, but those that are arrays or values; and names that they number."""
    seen, sighting_numbers = _numbered(columns.sightings)
    known, moment_numbers = _numbered([*columns.moments, *[each.at for each in seen]])
    names = list(dict.fromkeys([each.class_name for each in seen]))
    number = dict(zip(names, count(), strict=False))
    told = [(each.track, number[each.class_name], each.confidence, *each.box) for each in seen]
    times = [_NEVER if each is None else (each.t_s, each.ts, each.pts_s) for each in known]
    flags = map(_FLAG_NUMBERS.__getitem__, columns.flags)
    return names, [
        np.array(columns.lengths, np.int32),
        np.array(columns.ints, np.int64),
        np.array(columns.floats, np.float64),
        np.fromiter(flags, np.uint8, len(columns.flags)),
        table(times, 3),
        moment_numbers,
        table(told, 7),
        sighting_numbers,
    ]


def _columns_of(names: Sequence[str], arrays: _Arrays, pts_shift_s: float) -> Columns:
    """What ``_tables`` was given, and the arrays behind it."""
    lengths, ints, floats, flags, times, moment_numbers, told, sighting_numbers, *others = arrays
    times[:, 2] += pts_shift_s
    known = [None if math.isnan(each[0]) else Moment(*each) for each in times.tolist()]
    moments = _by_number(known, moment_numbers)
    at = moments[len(moments) - len(told) :]
    seen = [
        Sighting(int(track), str(names[int(name)]), confidence, (left, top, right, bottom), when)
        for (track, name, confidence, left, top, right, bottom), when in zip(
            told.tolist(), at, strict=True
        )
    ]
    return Columns(
        lengths=lengths.tolist(),
        ints=ints.tolist(),
        floats=floats.tolist(),
        flags=[_FLAGS[number] for number in flags.tolist()],
        moments=moments,
        sightings=_by_number(seen, sighting_numbers),
        arrays=others,
    )


def _numbered(values: Sequence[Any]) -> tuple[list[Any], NDArray[np.int32]]:
    """Each thing once, in the order of appearance, and the number of each value among them."""
    ids = np.fromiter(map(id, values), np.int64, len(values))
    _, first, numbers = np.unique(ids, return_index=True, return_inverse=True)
    order = first.argsort()
    return [values[n] for n in first[order].tolist()], order.argsort().astype(np.int32)[numbers]


def _by_number(things: Sequence[Any], numbers: NDArray[np.int32]) -> list[Any]:
    """What ``_numbered`` was given."""
    return [things[number] for number in numbers.tolist()]


def _by_bytes(array: NDArray[Any]) -> bytes:
    plain = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return bytes(plain.reshape(-1, array.dtype.itemsize).T.tobytes())


def _array(data: bytes, start: int, kind: str, *shape: int) -> tuple[NDArray[Any], int]:
    dtype, num = np.dtype(kind), math.prod(shape)
    if dtype.kind not in _KINDS_OF_ARRAYS or min(shape, default=0) < 0:
        raise ValueError(f"array of {kind} {list(shape)}")
    end = start + num * dtype.itemsize
    columns = np.frombuffer(data[start:end], dtype=np.uint8).reshape(dtype.itemsize, num)
    return columns.T.copy().reshape(-1).view(dtype).reshape(shape), end


def _unpacked(data: bytes) -> list[bytes]:
    """The parts."""
    parts, left, size = [], data, 0
    while left:
        packed = zlib.decompressobj()
        try:
            parts.append(packed.decompress(left, _MAX_BYTES - size + 1))
        except zlib.error as error:
            raise StateError(f"state is damaged: {error}") from error
        size += len(parts[-1])
        if not packed.eof or size > _MAX_BYTES:
            raise StateError(
                f"state of {len(data)} bytes is damaged or larger than {_MAX_BYTES} bytes"
            )
        left = packed.unused_data
    if len(parts) != 3:
        raise StateError(f"state is damaged: {len(parts)} parts instead of 3")
    return parts
