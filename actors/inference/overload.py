"""Whether engine and decoders are overloaded, from what they report from second to second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_SMOOTHING = 0.3
_CATCHING_UP = 0.95
_TELLING = 0.5
"""An engine that is less busy shows little of what it can do."""


@dataclass(frozen=True, slots=True)
class LadderConfig:
    """When the ladder moves.

    Attributes:
        climb_after_s: So long must overload last for each rung, seconds.
        settle_s: After each move nothing counts for so long: those concerned must hear of it first.
        hold_s: So long must there be room for each step back, seconds.
        max_hold_s: Longest such wait, after steps back that did not hold.
        relapse_s: Overload so soon after a step back doubles the wait for the next to that rung.
        full: Utilisation of the engine from which it is at its limit.
        room: Share of the capacity that the load may have after a step back.
        fill: The class that is being capped may bring so much of the capacity, the others counted
            in: more than the engine takes keeps it busy, and latest-wins keeps its queue short.
        least_fill: The same where urgent frames come late otherwise: it is lowered step by step.
        max_late: Share of urgent frames that may be late.
        min_loss: Share of frames given up from which a full engine is overloaded.
        max_decode_lag_s: Decoders that are further behind are overloaded.
        turn_s: So long is a stream held back before it is the turn of others of its class: it
            comes back with its next key frame only.
        interval_s: How often to decide.
    """

    climb_after_s: float = 5.0
    settle_s: float = 2.0
    hold_s: float = 10.0
    max_hold_s: float = 300.0
    relapse_s: float = 300.0
    full: float = 0.95
    room: float = 0.9
    fill: float = 1.1
    least_fill: float = 0.85
    max_late: float = 0.01
    min_loss: float = 0.01
    max_decode_lag_s: float = 1.0
    turn_s: float = 20.0
    interval_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Load:
    """How engine and decoders do.

    Attributes:
        utilisation: Share of the last seconds in which the engine was busy, 0 to 1.
        batches_fps: Frames a second by what its batches cost; 0 where that is not known yet.
        num_inferred: Frames inferred so far.
        num_given_up: Frames so far that were superseded, too late, or found no room.
        decode_lags_s: How far decoders are behind, seconds, by ingest actor.
        num_on_time: Frames of ``critical`` and ``high`` so far that were inferred in time.
        num_late: Those that were late, or given up because they would have been.
    """

    utilisation: float
    batches_fps: float
    num_inferred: int
    num_given_up: int
    decode_lags_s: Mapping[str, float] = field(default_factory=dict)
    num_on_time: int = 0
    num_late: int = 0


class LoadTrend:
    """Smooths what is reported. After a move it begins anew, once the move has taken effect."""

    def __init__(self, config: LadderConfig) -> None:
        self._config = config
        self._last: tuple[float, Load] | None = None
        self._settled_at = float("-inf")
        self._is_settled = False
        self._lost_fps = 0.0
        self._usual_lags_s: dict[str, float] = {}
        self._on_time_fps = self._late_fps = 0.0
        self.served_fps = 0.0

    def restart(self, now: float) -> None:
        """The ladder has moved: what was before tells nothing any more."""
        self._settled_at = now + self._config.settle_s
        self._is_settled = False

    def observe(self, load: Load, now: float) -> None:
        """The load of this moment."""
        last, self._last = self._last, (now, load)
        if last is None or now <= last[0] or now < self._settled_at:
            return
        elapsed_s, before = now - last[0], last[1]
        served_fps = (load.num_inferred - before.num_inferred) / elapsed_s
        lost_fps = (load.num_given_up - before.num_given_up) / elapsed_s
        share = _SMOOTHING if self._is_settled else 1.0
        self.served_fps += share * (served_fps - self.served_fps)
        self._lost_fps += share * (lost_fps - self._lost_fps)
        on_time_fps = (load.num_on_time - before.num_on_time) / elapsed_s
        late_fps = (load.num_late - before.num_late) / elapsed_s
        self._on_time_fps += share * (on_time_fps - self._on_time_fps)
        self._late_fps += share * (late_fps - self._late_fps)
        usual_s = self._usual_lags_s
        self._usual_lags_s = {
            owner: lag_s + (1.0 - share) * (usual_s.get(owner, lag_s) - lag_s)
            for owner, lag_s in load.decode_lags_s.items()
        }
        self._is_settled = True

    @property
    def is_settled(self) -> bool:
        """Whether anything is known since the last move."""
        return self._is_settled

    @property
    def capacity_fps(self) -> float:
        """What the engine could do if it were always busy; 0 if not known.

        A busy one shows it by what it does, also of the cores that decoders leave it. Of one that
        rests there is only what its batches cost.
        """
        if self._last is None:
            return 0.0
        busy, load = self._last[1].utilisation, self._last[1]
        return self.served_fps / busy if busy >= _TELLING else load.batches_fps

    @property
    def is_late(self) -> bool:
        """Urgent frames miss their deadlines."""
        if not self._is_settled:
            return False
        all_fps = self._on_time_fps + self._late_fps
        return self._late_fps > self._config.max_late * all_fps

    @property
    def is_full(self) -> bool:
        """The engine is at its limit, and frames are given up for it."""
        if self._last is None or not self._is_settled:
            return False
        loss = self._lost_fps / max(self.served_fps + self._lost_fps, 1e-9)
        return self._last[1].utilisation >= self._config.full and loss >= self._config.min_loss

    @property
    def behind(self) -> frozenset[str]:
        """Ingest actors whose decoders are behind, and do not catch up."""
        if self._last is None or not self._is_settled:
            return frozenset()
        return frozenset(
            owner
            for owner, lag_s in self._last[1].decode_lags_s.items()
            if lag_s > self._config.max_decode_lag_s
            and lag_s >= _CATCHING_UP * self._usual_lags_s.get(owner, lag_s)
        )

    @property
    def decoders_keep_up(self) -> bool:
        """Decoders are not behind, or hardly."""
        if self._last is None or not self._is_settled:
            return False
        lag_s = max(self._last[1].decode_lags_s.values(), default=0.0)
        return lag_s <= self._config.max_decode_lag_s / 2
