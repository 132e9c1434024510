"""The places of one kind of actor in a slot, and a spare process that takes a dead one's place.

Ray starts a dead actor again, but a new Python process takes seconds until it has imported what it
needs. A spare has done that already.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Any

import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from cluster.slot.child import HUNG_AFTER_S, Child

logger = logging.getLogger(__name__)

_CONCURRENCY = 16


class Role:
    """Actors that do the same work, each for its own part of it.

    Args:
        children: One a place.
        make_spare: Starts one process more; None where no spare is wanted.

    Attributes:
        children: One a place.
        spare: The process that waits; None before ``start_spare``.
    """

    def __init__(
        self, children: list[Child], make_spare: Callable[[], Child] | None = None
    ) -> None:
        self.children = children
        self.spare: Child | None = None
        self._make_spare = make_spare

    @property
    def all(self) -> list[Child]:
        """Every process, the spare last."""
        return self.children if self.spare is None else [*self.children, self.spare]

    def poll(self, now: float, answered: Collection[Any] = ()) -> None:
        """Take news from all; never waits. A place whose process has died gets the spare.

        Args:
            now: Seconds, never going back.
            answered: References that are done.
        """
        for child in self.all:
            was_ready = child.ready
            child.poll(now, answered)
            if was_ready and not child.ready and child is not self.spare:
                self._replace(child)

    def start_spare(self) -> bool:
        """Start the spare, if one is wanted and there is none; whether it did."""
        if self._make_spare is None or self.spare is not None:
            return False
        self.spare = self._make_spare()
        return True

    def _replace(self, child: Child) -> None:
        """Its own process, once Ray has started it again, is the next spare."""
        if self.spare is not None and self.spare.ready:
            logger.warning("%s: the spare takes its place", child.name)
            child.trade_places(self.spare)


def make_role(
    names: list[str],
    start: Callable[[], Any],
    on_start: Callable[[Child], None],
    on_spare: Callable[[Child], None] | None,
    patience_s: float = HUNG_AFTER_S,
) -> Role:
    """Start an actor for each name; with ``on_spare``, called for it, a spare may follow."""
    children = [Child(name, start(), on_start, patience_s) for name in names]
    if on_spare is None:
        return Role(children)
    kind, told = names[0].partition("-")[0], on_spare
    return Role(children, lambda: Child(f"{kind}-spare", start(), told, patience_s))


def say_nothing(_: Child) -> None:
    """What a spare is told that learns all with its place."""


def numbered(kind: str, num: int) -> list[str]:
    """Names of the places of a kind."""
    return [f"{kind}-{number}" for number in range(num)]


def tell(child: Child, method: str, *args: object) -> None:
    """A child that is away is told when it is back, by its ``on_start``."""
    asked(child, method, *args)


def asked(child: Child, method: str, *args: object) -> Any:
    """What a child answers; None where it is away."""
    try:
        return child.call(method, *args)
    except ConnectionError as error:
        logger.warning("%s not told %s: %s", child.name, method, error)
        return None


def start_actor(actor: type, *args: object, num_gpus: float = 0.0) -> Any:
    """Start an actor beside the calling one, on the same bundle of resources."""
    group = ray.util.get_current_placement_group()
    strategy = PlacementGroupSchedulingStrategy(group) if group else "DEFAULT"
    remote: Any = ray.remote(actor).options(
        num_cpus=0,
        num_gpus=num_gpus,
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=_CONCURRENCY,
        scheduling_strategy=strategy,
    )
    return remote.remote(*args)
