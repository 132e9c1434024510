"""What the streams of a slot need of it, by what is known of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from actors.specs import StreamSpec
from cluster.placement import Need, need_of
from cluster.slot.holdings import Holdings
from cluster.slot.statuses import Statuses


@dataclass(frozen=True, slots=True)
class _Made:
    """A need, and what it was made of: a slot asks for all of them again and again."""

    spec: StreamSpec
    facts: tuple[float | None, float, bool]
    need: Need


class Needs:
    """The needs of held streams.

    Args:
        holdings: The slot's streams.
        statuses: Know what decoding them takes.
    """

    def __init__(self, holdings: Holdings, statuses: Statuses) -> None:
        self._holdings = holdings
        self._statuses = statuses
        self._on_trial: set[str] = set()
        self._made: dict[str, _Made] = {}

    def begin(self, stream: str, known_mpx_s: float | None) -> None:
        """A stream was claimed; ``known_mpx_s`` is what decoding it took before, None if unknown.

        One of which that is unknown is on trial until it is known.
        """
        if known_mpx_s is None:
            self._on_trial.add(stream)
        else:
            self._statuses.expect(stream, known_mpx_s)

    def forget(self, stream: str) -> None:
        """The stream was let go."""
        self._on_trial.discard(stream)
        self._made.pop(stream, None)

    def of(self, stream: str, assumed_mpx_s: float) -> Need:
        """What a stream needs.

        Args:
            stream: Which.
            assumed_mpx_s: What decoding it is taken for while that is not known.
        """
        spec = self._holdings[stream].assignment.spec
        facts = self._statuses.decode_mpx_s(stream), assumed_mpx_s, stream in self._on_trial
        made = self._made.get(stream)
        if made is None or made.spec is not spec or made.facts != facts:
            need = need_of(spec, facts[0], assumed_mpx_s)
            made = _Made(spec, facts, replace(need, is_on_trial=True) if facts[2] else need)
            self._made[stream] = made
        return made.need

    def staying(self, assumed_mpx_s: float) -> list[Need]:
        """Of the streams that stay; what is being closed counts as gone."""
        return [
            self.of(stream, assumed_mpx_s)
            for stream, holding in self._holdings.items()
            if not holding.closing
        ]

    def judged(self) -> None:
        """Those of which it is known what decoding takes are on trial no longer."""
        self._on_trial = {s for s in self._on_trial if self._statuses.decode_mpx_s(s) is None}

    @property
    def num_assumed(self) -> int:
        """Streams that were claimed by a guess which is still one."""
        return sum(self._statuses.decode_mpx_s(stream) is None for stream in self._on_trial)
