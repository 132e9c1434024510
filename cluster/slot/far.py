"""Ingest actors of a slot on other machines, which decode what the slot's own machine does not.

Such a machine needs no GPU. Each inferred picture crosses the network, scaled down; so they are
used only for streams that ask for it, and where the slot's own decoder is full.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from actors.channel import ChannelAddress
from actors.ingest.config import IngestConfig
from actors.ingest.decode_cost import FULL_HD, cost_mpx_s
from actors.ingest.far import FarConfig
from actors.ingest.far_actor import FarIngestActor
from actors.ingest.status import IngestStatus
from actors.ledger import Ledger
from actors.specs import Decoding
from cluster.slot.child import Child
from cluster.slot.holdings import Holding, Holdings
from cluster.slot.role import Role, tell

logger = logging.getLogger(__name__)

_CONCURRENCY = 16
_FULL_HD_MPX = cost_mpx_s(*FULL_HD, 1.0)


@dataclass(frozen=True, slots=True)
class FarPlan:
    """The far ingest actors of a slot.

    Attributes:
        num: How many.
        num_cpus: Cores that each reserves in Ray, and decodes on.
        resources: What each reserves besides.
        ingest: Time-outs of the cameras.
        route: How pictures travel.
    """

    num: int
    num_cpus: float
    resources: Mapping[str, float]
    ingest: IngestConfig
    route: FarConfig

    def most_mpx_s(self, decode_mpx_s: float) -> float:
        """What they are good for together: what they decode, or what the network takes.

        Every decoded picture of 1080p may have to be sent.

        Args:
            decode_mpx_s: What one was measured to decode; 0 while that is not known.
        """
        sent_mpx_s = self.route.max_bytes_s / self.route.slot_bytes * _FULL_HD_MPX
        return self.num * min(decode_mpx_s, sent_mpx_s)


def decodes_far(wish: Decoding, need_mpx_s: float, near_mpx_s: float, limit_mpx_s: float) -> bool:
    """Whether a stream is decoded on another machine, where there is one. Pure.

    Args:
        wish: What its job says.
        need_mpx_s: What decoding it takes.
        near_mpx_s: What the streams take that are decoded on the slot's own machine.
        limit_mpx_s: Up to which that one takes streams; 0 while it is not known.
    """
    if wish is Decoding.AUTO:
        return 0 < limit_mpx_s < near_mpx_s + need_mpx_s
    return wish is Decoding.FAR


class FarIngests:
    """Starts them, tells them of streams, and brings their counts home.

    Args:
        plan: How many, and what they are given.
        ledger: The slot's.
        holdings: The streams that it holds.
    """

    def __init__(self, plan: FarPlan, ledger: Ledger, holdings: Holdings) -> None:
        self.plan = plan
        self._ledger = ledger
        self._holdings = holdings
        self._engine: ChannelAddress | None = None
        self._closing: dict[Any, Holding] = {}
        self._known: dict[str, IngestStatus] = {}
        start = _starter(plan, ledger.num_rows)
        names = [f"far-{number}" for number in range(plan.num)]
        self.role = Role([Child(name, start(), self._started, is_near=False) for name in names])

    @property
    def children(self) -> list[Child]:
        """The actors."""
        return self.role.children

    def poll(self, now: float, answered: Collection[Any] = ()) -> None:
        """Take news, counts too; never waits. See ``Child.poll``."""
        self.role.poll(now, answered)
        for child in self.children:
            status = child.status
            if isinstance(status, IngestStatus) and self._known.get(child.name) is not status:
                self._known[child.name] = status
                self._take(status.counts)

    def use_engine(self, engine: ChannelAddress | None) -> None:
        """The engine is there now."""
        self._engine = engine
        for child in self.children:
            if child.ready and engine is not None:
                tell(child, "use_engine", engine)

    def open(self, holding: Holding) -> None:
        """Begin a stream, and let its counts go on."""
        row = self._ledger.row(holding.assignment.ledger_row)
        tell(self.children[holding.ingest], "open_stream", holding.assignment, row.counts())

    def update(self, holding: Holding) -> None:
        """Take over a changed spec of a stream that runs."""
        tell(self.children[holding.ingest], "update_stream", holding.assignment)

    def close(self, stream: str, holding: Holding) -> Any:
        """Begin to end a stream; returns a reference that is done when its frames have ended."""
        reference = self.children[holding.ingest].handle.close_stream.remote(stream)
        self._closing[reference] = holding
        return reference

    def take_last(self, references: Sequence[Any]) -> None:
        """Take the last counts of those of the streams that have ended here."""
        for reference in references:
            holding = self._closing.pop(reference, None)
            if holding is None:
                continue
            try:
                self._take({holding.assignment.spec.id: ray.get(reference)})
            except RayError as error:
                logger.warning("the last counts of a stream are lost: %s", error)

    def _take(self, counts: Mapping[str, bytes]) -> None:
        for stream, row in counts.items():
            if row and stream in self._holdings and self._holdings[stream].is_far:
                self._ledger.row(self._holdings[stream].assignment.ledger_row).take(row)

    def _started(self, child: Child) -> None:
        """Book what a dead process held as lost, then open its cameras again."""
        tell(child, "begin", child.name)
        if self._engine is not None:
            tell(child, "use_engine", self._engine)
        for holding in self._holdings.of_ingest(self.children.index(child), is_far=True):
            if child.num_starts > 1:
                self._ledger.row(holding.assignment.ledger_row).settle()
            self.open(holding)


def _starter(plan: FarPlan, num_rows: int) -> Callable[[], Any]:
    """Starts one actor, wherever Ray has what it asks for; it dies with its slot."""

    def start() -> Any:
        remote: Any = ray.remote(FarIngestActor).options(
            num_cpus=plan.num_cpus,
            resources=dict(plan.resources),
            max_restarts=-1,
            max_task_retries=0,
            max_concurrency=_CONCURRENCY,
            scheduling_strategy="SPREAD",
        )
        return remote.remote(num_rows, plan.ingest, plan.route)

    return start
