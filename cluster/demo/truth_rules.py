"""The rules that report what the truth of a synthetic view tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cluster.demo.world import View, Zone
from cluster.demo.world.geometry import Point
from cluster.demo.world.lasting import LORRIES, LORRIES_CLASS

PARKED_MIN_S = 5.0
_VEHICLES = ["car", "lorry", "motorcycle"]


def truth_rules(view: View) -> tuple[dict[str, Any], ...]:
    """A rule for each line and zone of a view, and one for lorries, as the API takes them."""
    lines = [{"kind": "line", "name": x.name, "points": [x.a, x.b]} for x in view.lines]
    # As sure as the detector must be where nothing else speaks for an object, and not for a moment.
    sure = {"min_confidence": 0.6, "min_s": 0.75}
    lorries = {"kind": "object", "name": LORRIES, "classes": [LORRIES_CLASS], **sure}
    return (*lines, *map(_zone_rule, view.zones), lorries)


def _zone_rule(zone: Zone) -> dict[str, Any]:
    parts: dict[str, dict[str, Any]] = {
        "presence": {"kind": "zone"},
        "no_parking": {"kind": "illegal_parking", "min_s": PARKED_MIN_S, "classes": _VEHICLES},
        "lane": {"kind": "wrong_way", "min_s": 0.2, "classes": _VEHICLES},
        "dwell": {"kind": "loitering", "min_s": zone.min_s},
        "crowd": {
            "kind": "overcrowding",
            "max_objects": int(zone.limit),
            "end_at": int(zone.limit),
            "min_s": zone.min_s,
        },
        "speed": {"kind": "speed", "over_kmh": zone.limit, "classes": _VEHICLES},
    }
    rule = {**parts[zone.kind], "name": zone.name, "points": _in_picture(zone.polygon)}
    if zone.direction is not None:
        rule["direction"] = _arrow(zone)
    if zone.kind == "speed":
        pairs = zip(zone.polygon, zone.ground, strict=True)
        rule["plane"] = [{"image": image, "ground_m": ground} for image, ground in pairs]
    return rule


def _arrow(zone: Zone) -> list[tuple[float, float]]:
    """The lawful way as two points in the middle of the zone."""
    dx, dy = zone.direction or (0.0, 0.0)
    scale = 0.02 / max(abs(dx), abs(dy))
    x = sum(x for x, _ in zone.polygon) / len(zone.polygon)
    y = sum(y for _, y in zone.polygon) / len(zone.polygon)
    return [(x - scale * dx, y - scale * dy), (x + scale * dx, y + scale * dy)]


def _in_picture(polygon: Sequence[Point]) -> list[Point]:
    """The part of a convex polygon that is in the picture (Sutherland and Hodgman, 1974)."""
    part = list(polygon)
    for axis, sign, limit in ((0, 1, 0.0), (0, -1, -1.0), (1, 1, 0.0), (1, -1, -1.0)):
        depths = [sign * point[axis] - limit for point in part]
        clipped: list[Point] = []
        for i, (p, d) in enumerate(zip(part, depths, strict=True)):
            before, d_before = part[i - 1], depths[i - 1]
            if (d < 0) != (d_before < 0):
                share = d_before / (d_before - d)
                x, y = (a + share * (b - a) for a, b in zip(before, p, strict=True))
                clipped.append((round(x, 4), round(y, 4)))
            if d >= 0:
                clipped.append(p)
        part = clipped
    return part
