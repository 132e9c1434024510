"""The bytes in which what a stream's analytics remember goes from one slot to another.

A tree (see ``rules/state.py``) becomes JSON that says how long its columns and arrays are. Columns
of a kind lie one after the other; moments and sightings are numbers of tables, so that each is
written once. Arrays lie byte by byte, the first byte of all numbers first: high bytes are alike, so
they take little once packed. Not pickle: the bytes come from a server that others can write to.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.analytics.rules.scene import Moment, Sighting
from actors.analytics.rules.state import Column
from actors.errors import StateError

VERSION = 5
"""Counts up with each change of what trackers, rules, cascades and life cycles put into a state."""

_HEADER = b"SLM" + bytes([VERSION])
_MAX_BYTES = 8_000_000
_KINDS_OF_ARRAYS = "biuf"

_Arrays = list[NDArray[Any]]
_Columns = dict[str, list[Any]]


def to_bytes(head: Any, tree: Any) -> bytes:
    """Write a tree down, and a head of JSON values; a tuple comes back as a list."""
    columns: _Columns = {"floats": [], "flags": [], "moments": [], "sightings": []}
    body = _section(tree, columns)
    tables = _section(_tables(columns), columns)
    return _HEADER + zlib.compress(_section(head, columns) + tables + body, 1)


class StateBytes:
    """Reads what ``to_bytes`` gave: the head at once, the tree when asked.

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
        self._unpacked = _unpacked(data[len(_HEADER) :])
        with reading():
            self.head, self._begin = _read(self._unpacked, 0, {})

    def tree(self, pts_shift_s: float = 0.0) -> Any:
        """The tree, with so many seconds added to the source's clock of each moment.

        Raises:
            StateError: if it cannot be read.
        """
        with reading():
            tables, end = _read(self._unpacked, self._begin, {})
            return _read(self._unpacked, end, _columns_of(tables, pts_shift_s))[0]


@contextmanager
def reading() -> Iterator[None]:
    """What is wrong with values that somebody else wrote becomes a StateError."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise StateError(f"state cannot be read: {error!r}") from error
    except RecursionError as error:
        raise StateError("state cannot be read: it is nested too deeply") from error


def _section(tree: Any, columns: _Columns) -> bytes:
    """The length of the JSON, the JSON, and the arrays that it names; columns grow by theirs."""
    arrays: list[bytes] = []

    def written(value: object) -> dict[str, Any]:
        if isinstance(value, Column):
            columns[value.kind] += value.values
            return {f"${value.kind}": len(value.values)}
        if isinstance(value, np.ndarray) and value.dtype.kind in _KINDS_OF_ARRAYS:
            arrays.append(_by_bytes(value))
            return {"$array": [value.dtype.str, *value.shape]}
        raise TypeError(f"a state cannot hold {type(value).__name__}")

    text = json.dumps(tree, default=written, separators=(",", ":")).encode()
    return b"".join([len(text).to_bytes(4, "big"), text, *arrays])


def _read(data: bytes, start: int, columns: dict[str, Iterator[Any]]) -> tuple[Any, int]:
    """A section, and where it ends."""
    end = start + 4 + int.from_bytes(data[start : start + 4], "big")

    def leaf(values: dict[str, Any]) -> Any:
        nonlocal end
        for name, size in values.items():
            if name == "$array":
                array, end = _array(data, end, *size)
                return array
            if name in columns:
                return list(islice(columns[name], size))
        return values

    text = data[start + 4 : end]
    return json.loads(text, object_hook=leaf), end


def _tables(columns: _Columns) -> list[Any]:
    """All columns of a tree as arrays."""
    seen, sighting_numbers = _numbered(columns["sightings"])
    known, moment_numbers = _numbered(columns["moments"] + [each.at for each in seen])
    shown = [(each.confidence, *each.box) for each in seen]
    flags = [-1 if flag is None else flag for flag in columns["flags"]]
    return [
        np.array(columns["floats"], dtype=np.float64),
        np.array(flags, dtype=np.int8),
        np.array([(each.t_s, each.ts, each.pts_s) for each in known]).reshape(-1, 3),
        moment_numbers,
        [each.track for each in seen],
        [each.class_name for each in seen],
        np.array(shown, dtype=np.float64).reshape(-1, 5),
        sighting_numbers,
    ]


def _columns_of(tables: Sequence[Any], pts_shift_s: float) -> dict[str, Iterator[Any]]:
    """What ``_tables`` was given; behind the moments are those of the sightings."""
    floats, flags, times, moment_numbers, tracks, names, shown, sighting_numbers = tables
    times[:, 2] += pts_shift_s
    moments = _by_number([Moment(*each) for each in times.tolist()], moment_numbers)
    at = moments[len(moments) - len(tracks) :]
    rows = zip(tracks, names, shown.tolist(), at, strict=True)
    seen = [
        Sighting(track, name, confidence, (left, top, right, bottom), when)
        for track, name, (confidence, left, top, right, bottom), when in rows
    ]
    return {
        "$floats": iter(floats.tolist()),
        "$flags": iter([(False, True, None)[flag] for flag in flags.tolist()]),
        "$moments": iter(moments),
        "$sightings": iter(_by_number(seen, sighting_numbers)),
    }


def _numbered(values: Sequence[Any]) -> tuple[list[Any], NDArray[np.int32]]:
    """Each thing once, and the number of each value among them, from 1; None is 0."""
    ids = [id(each) for each in values]
    unique: dict[int, Any] = {id(None): None}
    unique.update(zip(ids, values, strict=True))
    number = dict(zip(unique, count(), strict=False))
    numbers = np.fromiter(map(number.__getitem__, ids), np.int32, len(ids))
    return list(unique.values())[1:], numbers


def _by_number(things: Sequence[Any], numbers: NDArray[np.int32]) -> list[Any]:
    """What ``_numbered`` was given."""
    table = [None, *things]
    return [table[number] for number in numbers.tolist()]


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


def _unpacked(data: bytes) -> bytes:
    packed = zlib.decompressobj()
    try:
        unpacked = packed.decompress(data, _MAX_BYTES)
    except zlib.error as error:
        raise StateError(f"state is damaged: {error}") from error
    if not packed.eof or packed.unused_data:
        raise StateError(f"state of {len(data)} bytes is damaged or larger than {_MAX_BYTES} bytes")
    return unpacked
