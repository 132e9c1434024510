"""A synthetic traffic world, drawn with numpy, of which every box and every event is known."""

from __future__ import annotations

from cluster.demo.world.clip import cached_clip, render_clip, truth_path
from cluster.demo.world.layout import Line, View, Zone
from cluster.demo.world.scenario import CLASSES, WORLD_VERSION, Scenario, scenarios
from cluster.demo.world.truth import FrameTruth, Truth, TruthEvent
from cluster.demo.world.views import VIEWS
from cluster.demo.world.world import World

__all__ = [
    "CLASSES",
    "VIEWS",
    "WORLD_VERSION",
    "FrameTruth",
    "Line",
    "Scenario",
    "Truth",
    "TruthEvent",
    "View",
    "World",
    "Zone",
    "cached_clip",
    "render_clip",
    "scenarios",
    "truth_path",
]
