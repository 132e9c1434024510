"""How long the calls of a library take, by the clock and of the processor."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from actors.ingest.nvcuvid.library import Library


class CallTimes:
    """Times calls; those within others count for themselves. Nothing until installed."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._of_threads: list[dict[str, list[float]]] = []
        self._before: dict[str, Callable[..., int]] = {}

    def install(self, library: Library) -> None:
        """Time every call of a library from now on."""
        for each in fields(library):
            self._before[each.name] = function = getattr(library, each.name)
            setattr(library, each.name, self._timed(each.name, function))

    def remove(self, library: Library) -> None:
        """No longer."""
        for name, function in self._before.items():
            setattr(library, name, function)
        self._before = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Time a block."""
        if not self._before:
            yield
            return
        stack = self._stack()
        stack.append([time.perf_counter(), time.thread_time(), 0.0, 0.0])
        try:
            yield
        finally:
            self._book(name, stack)

    def totals(self) -> dict[str, list[float]]:
        """By call: how often, seconds of the clock, seconds of the processor."""
        found: dict[str, list[float]] = {}
        for table in self._of_threads:
            for name, figures in table.items():
                known = found.setdefault(name, [0.0, 0.0, 0.0])
                found[name] = [a + b for a, b in zip(known, figures, strict=True)]
        return found

    def _timed(self, name: str, function: Callable[..., int]) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            stack = self._stack()
            stack.append([time.perf_counter(), time.thread_time(), 0.0, 0.0])
            try:
                return function(*arguments)
            finally:
                self._book(name, stack)

        return call

    def _stack(self) -> list[list[float]]:
        if not hasattr(self._own, "stack"):
            self._own.stack, self._own.table = [], {}
            self._of_threads.append(self._own.table)
        stack: list[list[float]] = self._own.stack
        return stack

    def _book(self, name: str, stack: list[list[float]]) -> None:
        began_s, used_s, inner_s, inner_used_s = stack.pop()
        took_s, used_s = time.perf_counter() - began_s, time.thread_time() - used_s
        row = self._own.table.setdefault(name, [0.0, 0.0, 0.0])
        for index, value in enumerate((1.0, took_s - inner_s, used_s - inner_used_s)):
            row[index] += value
        if stack:
            stack[-1][2] += took_s
            stack[-1][3] += used_s
