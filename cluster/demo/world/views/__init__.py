"""The viewpoints that a scenario can name."""

from __future__ import annotations

from cluster.demo.world.layout import View
from cluster.demo.world.views.bridge import BRIDGE
from cluster.demo.world.views.car_park import CAR_PARK
from cluster.demo.world.views.crossroads import CROSSROADS
from cluster.demo.world.views.junction import JUNCTION
from cluster.demo.world.views.street import STREET

VIEWS: dict[str, View] = {
    view.name: view for view in (CROSSROADS, BRIDGE, STREET, CAR_PARK, JUNCTION)
}
