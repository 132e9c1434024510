"""The bytes in which what a stream's analytics remember goes from one slot to another.

A tree (see ``rules/state.py``) becomes JSON that names its arrays, and the arrays after it. Moments
and sightings are numbers of tables, which come first, so each is written once. Arrays lie byte by
byte, the first byte of all numbers first: high bytes are alike, so they take little once packed.
Not pickle: the bytes come from a server that others can write to.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.analytics.rules.scene import Moment, Sighting
from actors.analytics.rules.state import Moments, Sightings, floats
from actors.errors import StateError

VERSION = 1
"""Counts up with each change of what a tracker, a rule or a life cycle puts into its state."""

_HEADER = b"SLM" + bytes([VERSION])
_MAX_BYTES = 8_000_000
_KINDS_OF_ARRAYS = "biuf"


def to_bytes(head: Any, tree: Any) -> bytes:
    """Write a tree down, and a head of JSON values; a tuple comes back as a list."""
    book = _Book()
    body = _section(tree, book)
    return _HEADER + zlib.compress(_section(head, book) + _section(book.tables(), book) + body, 1)


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
            moments, sightings = _tables_of(tables, pts_shift_s)
            return _read(self._unpacked, end, {"$moments": moments, "$sightings": sightings})[0]


@contextmanager
def reading() -> Iterator[None]:
    """What is wrong with values that somebody else wrote becomes a StateError."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise StateError(f"state cannot be read: {error!r}") from error
    except RecursionError as error:
        raise StateError("state cannot be read: it is nested too deeply") from error


class _Numbers:
    """Gives each thing the number of its place in a table; the same thing is in it once."""

    def __init__(self) -> None:
        self.table: list[Any] = []
        self._known = {id(None): -1}

    def of(self, column: Iterable[Any]) -> NDArray[np.int32]:
        known, num_before = self._known, len(self.table)
        column = list(column)
        numbers = [known.setdefault(id(each), len(known) - 1) for each in column]
        new = {number: each for number, each in zip(numbers, column, strict=True)}
        self.table += [each for number, each in new.items() if number >= num_before]
        return np.array(numbers, dtype=np.int32)


class _Book:
    """The moments and sightings of a tree, and how its leaves are written."""

    def __init__(self) -> None:
        self._moments, self._sightings = _Numbers(), _Numbers()

    def leaf(self, value: object) -> tuple[str, NDArray[Any]]:
        if isinstance(value, Moments):
            return "$moments", self._moments.of(value.column)
        if isinstance(value, Sightings):
            return "$sightings", self._sightings.of(value.column)
        if isinstance(value, np.ndarray) and value.dtype.kind in _KINDS_OF_ARRAYS:
            return "$array", value
        raise TypeError(f"a state cannot hold {type(value).__name__}")

    def tables(self) -> list[Any]:
        seen: list[Sighting] = self._sightings.table
        at = self._moments.of([each.at for each in seen])
        moments = [v for each in self._moments.table for v in (each.t_s, each.ts, each.pts_s)]
        shown = [v for each in seen for v in (each.confidence, *each.box)]
        return [
            floats(moments).reshape(-1, 3),
            [each.track for each in seen],
            [each.class_name for each in seen],
            floats(shown).reshape(-1, 5),
            at,
        ]


def _tables_of(
    tables: Sequence[Any], pts_shift_s: float
) -> tuple[list[Moment | None], list[Sighting | None]]:
    """Both tables; behind the last row is None, which has the number -1."""
    moments, tracks, names, shown, at = tables
    moments[:, 2] += pts_shift_s
    known = [Moment(*values) for values in moments.tolist()]
    rows = zip(tracks, names, shown.tolist(), at.tolist(), strict=True)
    seen = [
        Sighting(track, name, confidence, (left, top, right, bottom), known[number])
        for track, name, (confidence, left, top, right, bottom), number in rows
    ]
    return [*known, None], [*seen, None]


def _section(tree: Any, book: _Book) -> bytes:
    """The length of the JSON, the JSON, and the arrays in the order in which it names them."""
    arrays = []

    def written(value: object) -> dict[str, Any]:
        name, array = book.leaf(value)
        arrays.append(_by_bytes(array))
        return {name: [array.dtype.str, *array.shape]}

    text = json.dumps(tree, default=written, separators=(",", ":")).encode()
    return b"".join([len(text).to_bytes(4, "big"), text, *arrays])


def _read(data: bytes, start: int, tables: dict[str, list[Any]]) -> tuple[Any, int]:
    """A section, and where it ends."""
    end = start + 4 + int.from_bytes(data[start : start + 4], "big")

    def leaf(values: dict[str, Any]) -> Any:
        nonlocal end
        for name in values:
            if name == "$array" or name in tables:
                array, end = _array(data, end, *values[name])
                return array if name == "$array" else [tables[name][n] for n in array.tolist()]
        return values

    text = data[start + 4 : end]
    return json.loads(text, object_hook=leaf), end


def _by_bytes(array: NDArray[Any]) -> bytes:
    plain = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return bytes(plain.reshape(-1, array.dtype.itemsize).T.tobytes())


def _array(data: bytes, start: int, kind: str, *shape: int) -> tuple[NDArray[Any], int]:
    dtype, num = np.dtype(kind), math.prod(shape)
    if dtype.kind not in _KINDS_OF_ARRAYS:
        raise ValueError(f"array of {kind}")
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
