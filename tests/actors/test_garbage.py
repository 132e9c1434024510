"""Garbage that refers to itself is found though what was there before is looked at no more."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from actors.garbage import collect_seldom


class Cycle:
    """Refers to itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("_as_before")
def test_what_is_there_is_frozen_and_cycles_of_later_are_found() -> None:
    collect_seldom()
    assert gc.get_freeze_count() > 0
    later = weakref.ref(Cycle())
    kept = [[] for _ in range(3 * gc.get_threshold()[0])]
    assert later() is None, "so many new objects were enough for a look"
    assert kept
