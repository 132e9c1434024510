"""Which streams a slot has decoded on other machines, and what that adds to its capacity."""

from __future__ import annotations

import pytest

from actors.ingest.config import IngestConfig
from actors.ingest.decode_cost import FULL_HD, cost_mpx_s
from actors.ingest.far import FarConfig
from actors.specs import Decoding
from cluster.config import SightlineConfig
from cluster.slot.decoding import SlotDecoding
from cluster.slot.far import FarPlan, decodes_far
from cluster.slot.holdings import Holdings
from cluster.slot.plan import crew_config
from engines.frames import Picture
from tests.cluster.builders import stream_record

URL = "redis://127.0.0.1:6379/0"
SMALL = Picture(960, 540).size_bytes


def plan(num: int = 2, pictures_s: float = 100.0) -> FarPlan:
    return FarPlan(num, 4.0, {}, IngestConfig(), FarConfig(SMALL, pictures_s * SMALL))


@pytest.mark.parametrize(
    ("wish", "near_mpx_s", "limit_mpx_s", "expected"),
    [
        (Decoding.FAR, 0.0, 1000.0, True),
        (Decoding.FAR, 0.0, 0.0, True),
        (Decoding.NEAR, 2000.0, 1000.0, False),
        (Decoding.AUTO, 900.0, 1000.0, False),
        (Decoding.AUTO, 951.0, 1000.0, True),
        (Decoding.AUTO, 9000.0, 0.0, False),
    ],
)
def test_a_stream_is_decoded_far_where_it_asks_for_it_or_the_slot_is_full(
    wish: Decoding, near_mpx_s: float, limit_mpx_s: float, expected: bool
) -> None:
    assert decodes_far(wish, 50.0, near_mpx_s, limit_mpx_s) is expected


def test_far_actors_are_good_for_what_they_decode_or_what_the_network_takes() -> None:
    full_hd = cost_mpx_s(*FULL_HD, 1.0)
    assert plan(2, pictures_s=100).most_mpx_s(1e9) == pytest.approx(200 * full_hd)
    assert plan(2, pictures_s=1e9).most_mpx_s(500.0) == 1000.0
    assert plan().most_mpx_s(0.0) == 0.0


def test_a_slot_without_far_actors_decodes_near_whatever_is_asked() -> None:
    holdings = Holdings(4, 2)
    assert not holdings.add(stream_record("a"), 1, is_far=True).is_far


def test_far_and_near_actors_are_filled_each_for_themselves() -> None:
    holdings = Holdings(8, 2, num_far=1)
    near = [holdings.add(stream_record(f"near{n}"), n) for n in range(3)]
    far = [holdings.add(stream_record(f"far{n}"), n, is_far=True) for n in range(2)]
    assert [holding.ingest for holding in near] == [0, 1, 0]
    assert [(holding.ingest, holding.is_far) for holding in far] == [(0, True), (0, True)]
    assert len({holding.assignment.ledger_row for holding in near + far}) == 5


def test_nothing_is_known_of_decoding_before_the_slot_s_own_is_measured() -> None:
    decoding = SlotDecoding(2, plan())
    assert (decoding.mpx_s, decoding.limit_mpx_s, decoding.far_mpx_s) == (0.0, 0.0, 0.0)


def test_the_configuration_says_how_many_there_are_and_what_they_send() -> None:
    far = {"num": 2, "resources": {"decode": 1}, "max_mbytes_s": 50}
    config = SightlineConfig.model_validate({"redis": {"url": URL}, "slots": {"far_ingest": far}})
    crew = crew_config("slot-a", config)
    assert crew.far is not None
    assert (crew.far.num, crew.far.resources) == (2, {"decode": 1})
    assert crew.far.route == FarConfig(SMALL, 50e6)
    assert crew.pool.max_ingests == crew.num_ingests + 2
    assert (
        crew_config("slot-a", SightlineConfig.model_validate({"redis": {"url": URL}})).far is None
    )
