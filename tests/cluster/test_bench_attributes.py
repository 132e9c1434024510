"""The bench of attributes: vehicles of a street and plates are read as people read them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cluster.bench.attributes.plates import PlatesRead
from cluster.bench.attributes.run import plates_claim, street_claims
from cluster.bench.attributes.sheet import draw_sheet, spread
from cluster.bench.attributes.street import COLOR, TRUTH, TYPE, Glance, Vehicle, track_of
from cluster.cli.main import app

DATA = Path(__file__).parents[3] / "shared" / "data"
GREEN = np.full((40, 60, 3), (0, 200, 0), np.uint8)


def glance(index: int) -> Glance:
    return Glance(index, GREEN, {COLOR: "green", TYPE: "bus"})


def seen_as_people_do() -> list[Vehicle]:
    return [
        Vehicle(n, each.last_index, [glance(9)], {COLOR: each.color, TYPE: each.type}, {COLOR: 9})
        for n, each in enumerate(TRUTH, 1)
    ]


def test_vehicles_that_are_read_as_people_do_keep_all_promises() -> None:
    assert [claim.found for claim in street_claims(seen_as_people_do())] == [len(TRUTH)] * 3
    assert all(claim.holds for claim in street_claims(seen_as_people_do()))


def test_attributes_that_go_to_the_tracks_of_others_break_them() -> None:
    vehicles = seen_as_people_do()
    for one, other in zip(vehicles, seen_as_people_do()[1:], strict=False):
        one.settled = other.settled
    attached, colors, _ = street_claims(vehicles)
    assert attached.holds
    assert not colors.holds


def test_a_vehicle_with_two_tracks_or_none_has_no_settled_one() -> None:
    vehicles = seen_as_people_do()
    assert track_of(TRUTH[1], vehicles) is vehicles[1]
    assert track_of(TRUTH[1], [*vehicles, vehicles[1]]) is None
    vehicles[1].settled = {}
    assert track_of(TRUTH[1], vehicles) is None
    assert not street_claims(vehicles)[0].holds


@pytest.mark.parametrize(("num_right", "holds"), [(269, False), (270, True)])
def test_nine_plates_in_ten_must_be_right(num_right: int, holds: bool) -> None:
    assert plates_claim(PlatesRead(300, num_right, 200, 200)).holds is holds


def test_a_long_row_keeps_its_first_and_its_last_look() -> None:
    found = [each.index for each in spread([glance(n) for n in range(20)])]
    assert (found[0], found[-1]) == (0, 19)
    assert found == sorted(set(found))


def test_a_sheet_has_a_row_for_each_vehicle(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    heights = []
    for num in (1, 4):
        path = tmp_path / f"{num}.png"
        draw_sheet(seen_as_people_do()[:num], path)
        data = path.read_bytes()
        assert data[:4] == b"\x89PNG"
        heights.append(int.from_bytes(data[20:24], "big"))
    assert heights[1] == 4 * heights[0]


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data")
def test_the_street_and_the_plates_keep_all_promises_and_leave_a_sheet(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    sheet, figures = tmp_path / "sheet.png", tmp_path / "out.json"
    options = ["--data", str(DATA), "--out", str(sheet), "--json", str(figures)]
    done = CliRunner().invoke(app, ["bench", "attributes", *options])
    assert done.exit_code == 0, done.output
    found = json.loads(figures.read_text())
    assert found["holds"]
    assert found["plates"]["num"] == 300
    assert sheet.stat().st_size > 100_000
