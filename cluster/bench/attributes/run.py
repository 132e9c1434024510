"""The bench: vehicles of a street, plates, people by their looks, and what is promised of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cluster.bench.attributes.identities import LOOKS, MOTION, Held, hold_identities
from cluster.bench.attributes.plates import PlatesRead, read_plates
from cluster.bench.attributes.sheet import draw_sheet
from cluster.bench.attributes.street import COLOR, TRUTH, TYPE, Vehicle, follow, track_of
from cluster.bench.claims import Claim, all_hold, plain
from cluster.bench.qos.plot import check_can_draw
from cluster.bench.tracking.scores import check_can_score
from cluster.errors import ClusterError

LEAST_PLATES = 0.9
LEAST_RIGHT = 7
"""Of the vehicles of the street: so many at least have the right colour, and the right type."""

Report = Callable[[str], None]


def measure_attributes(data: Path, sheet: Path | None, report: Report) -> dict[str, Any]:
    """Follow the street, read the plates, and hold identities where TrackEval can score them.

    Args:
        data: Folder with models, videos and plates.
        sheet: Where the contact sheet is written as PNG; None for nowhere.
        report: Told what is being done.

    Returns:
        ``vehicles``, a row each; ``plates``, counts; ``identities``, a row a tracker; ``claims``,
        and whether all hold.

    Raises:
        OSError: if a film or the plates are not there.
        ModelError: if a model cannot be used.
        UnavailableError: if a sheet is asked for and nothing can draw it.
    """
    if sheet is not None:
        check_can_draw("--out")
    report("a street")
    vehicles = follow(data)
    if sheet is not None:
        draw_sheet(vehicles, sheet)
    report("plates")
    plates = read_plates(data)
    held = _held(data, report)
    claims = [*street_claims(vehicles), plates_claim(plates), *identity_claims(held)]
    return {
        "vehicles": [_row(each) for each in vehicles],
        "plates": asdict(plates),
        "identities": [
            {"tracker": name, **asdict(each.score), "num_crops": each.num_crops}
            for name, each in held.items()
        ],
        "claims": plain(claims),
        "holds": all_hold(claims),
    }


def street_claims(vehicles: Sequence[Vehicle]) -> list[Claim]:
    """Each vehicle that people see has one track with attributes, and most of these are right."""
    pairs = [(truth, track_of(truth, vehicles)) for truth in TRUTH]
    known = [(truth, each.settled) for truth, each in pairs if each is not None]
    colors = sum(settled.get(COLOR) == truth.color for truth, settled in known)
    types = sum(settled.get(TYPE) == truth.type for truth, settled in known)
    num = len(TRUTH)
    return [
        Claim(f"vehicles of {num} with one settled track", len(known), len(known) == num),
        Claim(f"colours of {num} right: {LEAST_RIGHT} or more", colors, colors >= LEAST_RIGHT),
        Claim(f"types of {num} right: {LEAST_RIGHT} or more", types, types >= LEAST_RIGHT),
    ]


def plates_claim(plates: PlatesRead) -> Claim:
    """Nine plates in ten are read to the last symbol."""
    least = round(LEAST_PLATES * plates.num)
    text = f"plates of {plates.num} read exactly: {least} or more"
    return Claim(text, plates.num_right, plates.num_right >= least)


def identity_claims(held: Mapping[str, Held]) -> list[Claim]:
    """Embeddings hold identities as well as motion alone does, or better."""
    claims = []
    for figure in ("hota", "idf1") if held else ():
        with_looks, without = (getattr(held[name].score, figure) for name in (LOOKS, MOTION))
        text = f"people, {figure} with embeddings: {without:.1f} or more, as by motion alone"
        claims.append(Claim(text, round(with_looks, 1), with_looks >= without))
    return claims


def _held(data: Path, report: Report) -> dict[str, Held]:
    """Nothing where it cannot be scored, which is reported."""
    try:
        check_can_score()
    except ClusterError as error:
        report(f"identities are left out: {error}")
        return {}
    report("people")
    return hold_identities(data)


def _row(vehicle: Vehicle) -> dict[str, Any]:
    return {
        "track": vehicle.track,
        "last_index": vehicle.last_index,
        "num_looks": len(vehicle.glances),
        COLOR: vehicle.settled.get(COLOR),
        TYPE: vehicle.settled.get(TYPE),
        "settled_at": max(vehicle.told_at.values(), default=None),
    }
