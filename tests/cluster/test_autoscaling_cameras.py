"""Cameras come and go, and slots with them: the policy and placement together, on paper."""

from __future__ import annotations

from cluster.autoscaling.demand import SlotShape, demand_of
from cluster.autoscaling.policy import Bounds, Hysteresis, wanted_slots
from cluster.placement import Axes
from tests.cluster.placement_model import Cluster, Slot, need

CAPACITY = Axes(10.0, 400.0)  # four cameras of two frames a second, planned to three and a half
START_S = 20
BOUNDS = Bounds(min_slots=1, max_slots=6, headroom=0.8, downscale_delay_s=60)


class Growing:
    """Serve and Ray on paper: a slot that is wanted is ready 20 s later; one that goes drains."""

    def __init__(self) -> None:
        self.cluster = Cluster({"s0": Slot("s0", CAPACITY)}, {})
        self.target = 1
        self.starting: list[float] = []
        self.state = Hysteresis()
        self.shape = SlotShape()
        self.targets: list[int] = []
        self.made = 1

    def second(self) -> None:
        cluster = self.cluster
        cluster.round()
        self._follow()
        loads = [cluster.load(name) for name in cluster.slots]
        demand = demand_of(loads, cluster.free(), self.shape)
        self.shape = demand.shape
        wanted = wanted_slots(demand, self.target, BOUNDS, self.state, cluster.now)
        self.target, self.state = wanted.number, wanted.state
        self.targets.append(self.target)

    def _follow(self) -> None:
        """The newest go first, as Serve does."""
        cluster = self.cluster
        for begun in [t for t in self.starting if cluster.now - t >= START_S]:
            self.starting.remove(begun)
            cluster.slots[f"s{self.made}"] = Slot(f"s{self.made}", CAPACITY)
            self.made += 1
        for name in [n for n, slot in cluster.slots.items() if slot.is_draining]:
            if not cluster.held(name):
                del cluster.slots[name]
        staying = [name for name, slot in cluster.slots.items() if not slot.is_draining]
        num = len(staying) + len(self.starting)
        self.starting += [cluster.now] * (self.target - num)
        for name in staying[self.target :] if num > self.target else []:
            cluster.change(name, is_draining=True)

    def seconds(self, num: int) -> None:
        for _ in range(num):
            self.second()

    def cameras(self, num: int) -> None:
        """So many there are from now on; the newest go first."""
        cluster = self.cluster
        names = [f"cam{at:02d}" for at in range(num)]
        cluster.needs = {name: need(name, floor_fps=2.0, decode_mpx_s=57.6) for name in names}
        cluster.owner = {s: slot for s, slot in cluster.owner.items() if s in cluster.needs}


def test_slots_follow_from_one_camera_to_ten_and_back() -> None:
    growing = Growing()
    growing.cameras(1)
    growing.seconds(100)
    assert set(growing.targets) == {1}
    growing.cameras(10)
    growing.seconds(2)
    assert growing.target == 3
    growing.seconds(100)
    assert growing.targets[-1] == 3, "what is on its way is waited for"
    assert len(growing.cluster.owner) == 10
    assert len(growing.cluster.slots) == 3
    growing.cameras(1)
    growing.seconds(90)
    assert growing.target == 1
    assert set(growing.cluster.owner.values()) == {"s0"}
    assert set(growing.cluster.slots) == {"s0"}
    assert growing.cluster.released == []
    changes = [b - a for a, b in zip(growing.targets, growing.targets[1:], strict=False) if a != b]
    assert changes == [2, -2]


def test_no_more_slots_come_than_may_and_the_rest_waits_with_them_full() -> None:
    growing = Growing()
    growing.cameras(60)
    growing.seconds(120)
    assert growing.target == BOUNDS.max_slots == len(growing.cluster.slots)
    assert len(growing.cluster.owner) == 6 * 4


def test_cameras_that_blink_change_nothing() -> None:
    growing = Growing()
    growing.cameras(7)
    growing.seconds(60)
    before = growing.target
    for _ in range(10):
        growing.cameras(3)
        growing.seconds(40)
        growing.cameras(7)
        growing.seconds(10)
    assert set(growing.targets[60:]) == {before} == {2}
