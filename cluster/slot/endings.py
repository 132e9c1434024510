"""Ends what streams left open that were switched off on their way from one slot to another."""

from __future__ import annotations

import logging

from cluster.registry import Registry
from cluster.slot.crew import Crew
from cluster.slot.holdings import Holdings

logger = logging.getLogger(__name__)


class Endings:
    """What any slot does for streams that no slot holds any more.

    Args:
        name: The slot's.
        registry: Where they were left.
        crew: The slot's actors.
        holdings: The streams that it holds.

    Attributes:
        num_left: How many such streams there were when leases were renewed last.
    """

    def __init__(self, name: str, registry: Registry, crew: Crew, holdings: Holdings) -> None:
        self.num_left = 0
        self._name = name
        self._leases = registry.leases
        self._crew = crew
        self._holdings = holdings

    def end_left(self, lease_ms: int) -> None:
        """Take as many as there is room for, if there are any, and end them.

        A slot that dies meanwhile keeps them until its leases run out: another one says the same
        then, under the same ids.
        """
        if not self.num_left or not self._holdings.room:
            return
        for left in self._leases.take_left(self._name, self._holdings.room, lease_ms):
            stream = left.record.spec.id
            holding = self._holdings.add(left.record, left.token)
            self._crew.close_rules(stream, holding, left.state)
            self._holdings.drop(stream)
            self._leases.end_left(self._name, stream, left.token)
            logger.info("%s was switched off on its way to another slot: ended here", stream)
