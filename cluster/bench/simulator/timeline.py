"""Who had each stream when, from the notes of the slots. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cluster.bench.simulator.paper import Note


class Timeline:
    """Opens and closes of streams, in the order in which the server saw them."""

    def __init__(self) -> None:
        self._notes: dict[str, list[Note]] = {}

    def add(self, notes: Iterable[Note]) -> None:
        """Take notes, of any slots."""
        for note in notes:
            self._notes.setdefault(note.stream, []).append(note)

    def held_by(self, slot: str) -> set[str]:
        """Streams that a slot opened and never closed."""
        return {
            stream
            for stream, notes in self._notes.items()
            if (own := [note for note in notes if note.slot == slot]) and own[-1].is_open
        }

    def moved_since(self, at: float) -> set[str]:
        """Streams that some slot has opened since."""
        return {
            stream
            for stream, notes in self._notes.items()
            if any(note.is_open and note.at >= at for note in notes)
        }

    def num_with_state(self, since: float) -> int:
        """How often a stream was opened with what its last owner knew."""
        return sum(
            note.has_state and note.at >= since for notes in self._notes.values() for note in notes
        )

    def gaps_s(self, streams: Collection[str], since: float) -> list[float]:
        """How long each stream had nobody: from its close, else ``since``, to its next open."""
        return [gap_s for stream in streams for gap_s in _gaps_s(self._notes[stream], since)]

    def num_overlaps(self, dead: Collection[str]) -> int:
        """Streams that a slot opened while another one had them, or with a token that is not newer.

        Args:
            dead: Slots that stopped without a word: what they had open counts as closed.
        """
        return sum(_overlaps(notes, dead) for notes in self._notes.values())


def _gaps_s(notes: list[Note], since: float) -> list[float]:
    gaps, free_at = [], since
    for note in notes:
        if note.at < since:
            continue
        if note.is_open:
            gaps.append(max(0.0, note.at - free_at))  # an owner's end may last longer than a claim
        else:
            free_at = note.at
    return gaps


def _overlaps(notes: list[Note], dead: Collection[str]) -> bool:
    owner, newest = "", 0
    for note in notes:
        if not note.is_open:
            owner = ""
            continue
        if note.token <= newest or (owner and owner not in dead):
            return True
        owner, newest = note.slot, note.token
    return False
