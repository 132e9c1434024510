from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.actors.builders import open_deferred
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


@pytest.fixture(params=["threads", "rounds"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who reads and decodes: a thread a camera, or one for all as with a GPU."""
    if request.param == "rounds":
        monkeypatch.setattr("actors.ingest.session.open_decoder", open_deferred)
    return str(request.param)
