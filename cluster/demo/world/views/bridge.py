"""A dual carriageway seen from a footbridge over it."""

from __future__ import annotations

from cluster.demo.world.geometry import Camera
from cluster.demo.world.layout import (
    Building,
    Prop,
    Route,
    View,
    dashes,
    edge,
    ground_line,
    ground_zone,
    rect,
)

_CAMERA = Camera(x_m=0.6, y_m=0.0, z_m=8.8, yaw_deg=0.0, pitch_deg=16.5, focal=0.92)

_AWAY = ((1.9, 2.0), (1.9, 170.0))

BRIDGE = View(
    name="bridge",
    camera=_CAMERA,
    lines=(
        ground_line("carriageway", _CAMERA, (-7.6, 26.0), (7.4, 26.0)),
        ground_line("footway", _CAMERA, (-12.2, 23.0), (-8.4, 23.0)),
    ),
    zones=(
        ground_zone("hard_shoulder", _CAMERA, "no_parking", (7.7, 25.0, 10.2, 38.0)),
        ground_zone("lane_away", _CAMERA, "lane", (0.4, 20.0, 3.4, 40.0), (0.0, 1.0)),
        ground_zone("approach", _CAMERA, "presence", (-7.4, 20.0, -0.2, 32.0)),
        ground_zone("left_footway", _CAMERA, "dwell", (-12.0, 25.0, -8.6, 34.0), min_s=5.0),
        ground_zone("left_crowd", _CAMERA, "crowd", (-12.0, 25.0, -8.6, 40.0), min_s=1.5, limit=1),
        ground_zone("fast_near", _CAMERA, "speed", (-7.4, 19.0, -0.2, 40.0), limit=42.0),
        ground_zone("fast_away", _CAMERA, "speed", (0.2, 19.0, 7.4, 38.0), limit=42.0),
    ),
    routes=(
        Route("away_outer", "drive", ((5.4, 2.0), (5.4, 170.0)), 11.0, 0.17),
        Route("away_inner", "drive", _AWAY, 13.0, 0.18),
        Route("near_inner", "drive", ((-1.9, 170.0), (-1.9, 2.0)), 13.0, 0.18),
        Route("near_outer", "drive", ((-5.4, 170.0), (-5.4, 2.0)), 11.0, 0.17),
        Route("wrong", "drive", _AWAY[::-1], 10.0),
        Route(
            "park",
            "drive",
            ((5.4, 2.0), (5.4, 21.0), (8.9, 28.0), (8.9, 36.0), (5.4, 46.0), (5.4, 170.0)),
            9.0,
        ),
        Route("left_away", "walk", ((-9.7, 6.0), (-9.7, 75.0)), 1.4, 0.08),
        Route("left_near", "walk", ((-11.0, 75.0), (-11.0, 6.0)), 1.3, 0.08),
        Route("right_away", "walk", ((12.2, 6.0), (12.2, 75.0)), 1.5, 0.05),
        Route("right_near", "walk", ((13.4, 75.0), (13.4, 6.0)), 1.3, 0.05),
    ),
    phases=(),
    wrong_way="wrong",
    clears=("away_inner",),
    parking="park",
    parking_m=34.5,
    patches=(
        rect("pavement", -12.2, -5, -8.0, 400),
        rect("pavement", 11.0, -5, 14.6, 400),
        rect("asphalt", -7.6, -5, 7.6, 400),
        rect("bay", 7.6, 12, 10.6, 44),
        rect("tarmac", 7.6, 44, 10.6, 400),
        rect("white", -7.25, -5, -7.08, 400),
        rect("white", 7.08, -5, 7.25, 400),
        rect("yellow", 7.6, 25, 7.75, 38),
        rect("yellow", 10.2, 25, 10.35, 38),
        rect("yellow", 7.6, 25, 10.3, 25.2),
        rect("yellow", 7.6, 37.8, 10.3, 38),
        rect("kerb", -0.25, -5, 0.25, 400),
        edge(-8.0, -5, 400, along="y"),
        edge(10.9, -5, 400, along="y"),
        *dashes(3.65, 8, 160, along="y"),
        *dashes(-3.65, 8, 160, along="y"),
    ),
    props=(
        Prop("lamp", -7.9, 38),
        Prop("lamp", 11.2, 46),
        Prop("lamp", -7.9, 66),
        Prop("lamp", 11.2, 76),
        Prop("sign", 11.2, 52, 0.6),
        Prop("sign", -8.0, 50, 0.5),
        Prop("tree", -15.5, 33, 0.8),
        Prop("tree", -16.5, 46, 0.8),
        Prop("tree", -15.0, 62, 0.8),
        Prop("tree", 17.0, 40, 0.8),
        Prop("tree", 18.0, 58, 0.8),
        Prop("tree", 17.0, 78, 0.8),
        Prop("bush", -13.6, 26, 0.6),
        Prop("bush", 15.9, 30, 0.6),
        Prop("bush", 15.8, 35, 0.6),
        Prop("bin", -12.0, 31, 0.6),
        Prop("bench", 14.3, 27, 0.5),
        Prop("bollard", -8.2, 19, 0.5),
    ),
    buildings=(
        Building(-44, 70, -22, 96, 12),
        Building(-52, 110, -24, 140, 17),
        Building(24, 84, 46, 110, 14),
        Building(22, 125, 60, 160, 20),
        Building(-18, 190, -4, 215, 15),
        Building(8, 210, 34, 230, 18),
    ),
)
