"""What Serve's controller asks how many slots there shall be, ten times a second.

It answers at once with what a thread of its own has worked out from Redis. While Redis is away the
last answer stands. The thread ends with the policy.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import Any, Protocol

from cluster.autoscaling.demand import Demand, demand_of
from cluster.autoscaling.policy import Bounds, Hysteresis, wanted_slots
from cluster.errors import ClusterError
from cluster.placement import Free, SlotLoad, assumed_mpx_s
from cluster.registry import Registry
from cluster.registry.scaling import ScalingInfo

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_PAGE = 500
_MAX_FREE = 2_000  # far more than what asks for all slots that there may be


class Context(Protocol):
    """What the policy reads of Serve's AutoscalingContext."""

    target_num_replicas: int


class SlotScaling:
    """Serve's autoscaling policy for slots; pickled, and woken by its first call.

    Args:
        url: Of Redis, with its password: so it travels pickled and is shown nowhere.
        prefix: Of its keys.
        bounds: Floor, ceiling, headroom and delays.
        pipelines: Those that slots serve; streams of others need none.
        every_s: How often it looks.
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        bounds: Bounds,
        pipelines: tuple[str, ...] = ("default",),
        every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self._asked = (url, prefix, bounds, pipelines, every_s)
        self._answers: _Answers | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._asked

    def __call__(self, ctx: Context) -> tuple[int, dict[str, Any]]:
        """The number of slots that is wanted; what it was before the first look at Redis."""
        if self._answers is None:
            self._answers = self._begin(ctx.target_num_replicas)
        self._answers.current = ctx.target_num_replicas
        wanted = self._answers.wanted
        return (ctx.target_num_replicas if wanted is None else wanted), {}

    def _begin(self, current: int) -> _Answers:
        url, prefix, bounds, pipelines, every_s = self._asked
        answers = _Answers(current)
        watch = ScalingWatch(Registry.open(url, prefix), bounds, pipelines)
        arguments = (watch, answers, every_s)
        threading.Thread(target=_look, args=arguments, name="scaling", daemon=True).start()
        weakref.finalize(self, answers.ended.set)
        return answers


class _Answers:
    """What the policy and its thread share; the thread does not hold the policy."""

    def __init__(self, current: int) -> None:
        self.current = current
        self.wanted: int | None = None
        self.ended = threading.Event()


class ScalingWatch:
    """Works out from the registry how many slots are wanted, and publishes why.

    Args:
        registry: Where streams and slots are.
        bounds: Floor, ceiling, headroom and delays.
        pipelines: Those that slots serve.
    """

    def __init__(self, registry: Registry, bounds: Bounds, pipelines: tuple[str, ...]) -> None:
        self._registry = registry
        self._bounds = bounds
        self._pipelines = pipelines
        self._state = Hysteresis()
        self._demand = Demand()

    def look(self, current: int, now: float) -> int:
        """Decide and publish.

        Args:
            current: How many slots are asked for now.
            now: Seconds, never going back.

        Raises:
            UnavailableError: Redis does not answer.
        """
        loads = self._loads()
        free = self._free(assumed_mpx_s(loads))
        self._demand = demand = demand_of(loads, free, self._demand.shape)
        wanted = wanted_slots(demand, current, self._bounds, self._state, now)
        self._registry.scaling.publish(
            ScalingInfo(
                wanted=wanted.number,
                current=current,
                min_slots=self._bounds.min_slots,
                max_slots=self._bounds.max_slots,
                reason=wanted.reason,
                num_streams=demand.num_streams,
                num_pending=demand.num_pending,
                updated_at=time.time(),
            )
        )
        self._state = wanted.state
        return wanted.number

    def close(self) -> None:
        """Close the connections."""
        self._registry.close()

    def _loads(self) -> list[SlotLoad]:
        texts = self._registry.slots.loads().values()
        return [load for load in map(SlotLoad.from_json, texts) if load is not None]

    def _free(self, each_mpx_s: float) -> list[Free]:
        found: list[Free] = []
        for offset in range(0, _MAX_FREE, _PAGE):
            page = self._registry.leases.free(_PAGE, offset)
            found += [
                each.free(each_mpx_s) for each in page if each.wanted.pipeline in self._pipelines
            ]
            if len(page) < _PAGE:
                break
        return found


def _look(watch: ScalingWatch, answers: _Answers, every_s: float) -> None:
    """Until the policy is gone. A fault of ours must not end it: slots would never follow again."""
    is_away = False
    while not answers.ended.is_set():
        try:
            answers.wanted = watch.look(answers.current, time.monotonic())
            is_away = False
        except ClusterError as error:
            if not is_away:  # once an outage
                logger.warning("the number of slots stays as it is: %s", error)
            is_away = True
        except Exception:
            logger.exception("the number of slots stays as it is")
        answers.ended.wait(every_s)
    watch.close()
