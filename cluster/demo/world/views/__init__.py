"""The viewpoints that a scenario can name."""

from __future__ import annotations

from cluster.demo.world.layout import View
from cluster.demo.world.views.bridge import BRIDGE
from cluster.demo.world.views.crossroads import CROSSROADS

VIEWS: dict[str, View] = {view.name: view for view in (CROSSROADS, BRIDGE)}
