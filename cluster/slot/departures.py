"""Streams on their way out of a slot: their cameras close, and what is known of them goes along."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from actors.ledger import Ledger
from cluster.slot.crew import Crew
from cluster.slot.holdings import Holdings

_RESULTS_WAIT_S = 0.25
"""Results come to tracker and rules in a fifth of that; a few may have been lost for good."""


@dataclass(frozen=True, slots=True)
class Departed:
    """A stream whose frames have all ended.

    Attributes:
        stream: Its id.
        to: The slot that shall have it; empty for anybody; None where it is not handed over.
        state: What its tracker and rules remember, if that was taken from them.
    """

    stream: str
    to: str | None
    state: bytes = b""


@dataclass(slots=True)
class _Departure:
    """First its frames end, then their results are analysed, then its rules may be exported.

    Attributes:
        to: See ``Departed``.
        reference: Of what its actors were asked to do; None while its results are waited for.
        ended_at: When its frames had ended, monotonic, seconds; infinite before.
        departed: What came of it.
    """

    to: str | None
    reference: Any
    ended_at: float = float("inf")
    departed: Departed | None = None


class Departures:
    """Ends streams without waiting for them.

    Args:
        crew: The slot's actors.
        holdings: The streams that it holds.
        ledger: Where their frames are counted.
    """

    def __init__(self, crew: Crew, holdings: Holdings, ledger: Ledger) -> None:
        self._crew = crew
        self._holdings = holdings
        self._ledger = ledger
        self._leaving: dict[str, _Departure] = {}

    def __len__(self) -> int:
        return len(self._leaving)

    @property
    def targets(self) -> dict[str, str]:
        """Streams that are to be handed over to a certain slot, and which."""
        return {stream: each.to for stream, each in self._leaving.items() if each.to}

    def begin(self, stream: str, to: str | None = None) -> None:
        """Close a stream's camera; with ``to``, what is open in its rules does not end."""
        closing = self._crew.close_camera(stream, self._holdings[stream])
        self._leaving[stream] = _Departure(to, closing)
        self._holdings.close(stream)

    def end_here(self, stream: str) -> None:
        """Hand a stream over to nobody after all."""
        departure = self._leaving.get(stream)
        if departure is None:
            return
        departure.to = None
        if departure.departed is not None:
            departure.departed = replace(departure.departed, to=None)

    def finished(self, now: float) -> list[Departed]:
        """Those whose frames have all ended; they are found again until they are ``forgotten``.

        Args:
            now: Monotonic, seconds.
        """
        pending = {s: each for s, each in self._leaving.items() if each.departed is None}
        references = [each.reference for each in pending.values() if each.reference is not None]
        done = self._crew.ended(references) if references else []
        for stream, each in pending.items():
            if each.reference is None:
                self._await_results(stream, each, now)
            elif each.reference in done:
                self._go_on(stream, each, now)
        return [each.departed for each in self._leaving.values() if each.departed is not None]

    def forget(self, stream: str) -> None:
        """The stream was let go."""
        del self._leaving[stream]

    def _go_on(self, stream: str, departure: _Departure, now: float) -> None:
        if departure.ended_at > now:
            departure.reference, departure.ended_at = None, now
            self._await_results(stream, departure, now)
        else:
            state = self._crew.exported(departure.reference)
            departure.departed = Departed(stream, departure.to, state)

    def _await_results(self, stream: str, departure: _Departure, now: float) -> None:
        """Tracker and rules come after the last frame, if somebody goes on from them."""
        holding = self._holdings[stream]
        counts = self._ledger.row(holding.assignment.ledger_row).read()
        if counts.analysed < counts.inferred and now - departure.ended_at < _RESULTS_WAIT_S:
            return
        if departure.to is None:
            departure.departed = Departed(stream, None)
        else:
            departure.reference = self._crew.export_rules(stream, holding)
