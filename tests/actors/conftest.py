from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.actors.secondary_street import MakeStreet, Street


@pytest.fixture
def streets() -> Iterator[MakeStreet]:
    made: list[Street] = []

    def make(*args: Any, **options: Any) -> Street:
        made.append(Street(*args, **options))
        return made[-1]

    yield make
    for street in made:
        street.close()
