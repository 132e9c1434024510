"""The slots as a decision goes on: what each still has room for, and which is best for a stream.

Arrays over the slots, in order of their names: a stream is compared with all of them at once. The
columns are frames/s, Mpx/s and the number of streams.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from cluster.placement.axes import limits
from cluster.placement.values import NUM_RANKS, Need, SlotLoad

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_ROUNDING = 1e-6
_CROWD = 1e4  # above any fullness; what is crowded counts before what is full
_ON_NODE = 1e4  # above any number of streams of a slot


class Places:
    """All slots that take streams.

    A slot whose capacity is not known yet refuses nothing, and is compared as the median of those
    that know theirs: neither preferred nor shunned.

    Args:
        loads: Of all slots; those that are not ready, or draining, are left out.

    Attributes:
        names: The slots in order.
        index: Their places in it.
    """

    def __init__(self, loads: Iterable[SlotLoad]) -> None:
        ready = [load for load in loads if load.is_ready and not load.is_draining]
        self._loads = sorted(ready, key=lambda load: load.name)
        self.names = [load.name for load in self._loads]
        self.index = {name: at for at, name in enumerate(self.names)}
        self._taken = _columns(
            (load.taken.infer_fps, load.taken.decode_mpx_s, load.num_streams)
            for load in self._loads
        )
        most = [limits(load.capacity) for load in self._loads]
        self._most = _columns(
            (axes.infer_fps, axes.decode_mpx_s, load.max_streams)
            for axes, load in zip(most, self._loads, strict=True)
        )
        self._share = 1 / np.maximum(_with_typical(self._most), _ROUNDING)
        nodes = sorted({load.node for load in self._loads})
        self._node = np.array([nodes.index(load.node) for load in self._loads], np.intp)
        self._groups: dict[str, Floats] = {}
        self._suitable: dict[frozenset[tuple[str, str]], Bools] = {}
        self._lower: Floats | None = None

    def best(self, need: Need) -> int | None:
        """The slot that is best for a stream; None where it fits nowhere."""
        return self.choice(need, None, 0)

    def choice(self, need: Need, own: int | None, num_passed: int) -> int | None:
        """The slot that shall have a stream; None where it fits nowhere.

        Args:
            need: The stream.
            own: A slot that has it instead of the best once the better ones have been passed over.
            num_passed: How many of the best have been.
        """
        if not self.names:
            return None
        scores = self.scores(need)
        best = int(scores.argmin())
        if scores[best] == np.inf:
            return None
        if own is None or scores[own] == np.inf:
            return best
        num_better = (scores < scores[own]).sum() + (scores[:own] == scores[own]).sum()
        return own if num_better <= num_passed else best

    def fits(self, need: Need, at: int) -> bool:
        """Whether a slot has the labels, and room on both axes and for one more stream."""
        return bool(self.scores(need)[at] < np.inf)

    def scores(self, need: Need) -> Floats:
        """By which slots are compared, the least is the best; infinite where it does not fit.

        First how many of its group are on the machine, then on the slot, then how full it will be.
        """
        after = self._taken + _row(need)
        fits = (after <= self._most + _ROUNDING).all(axis=1)
        if need.labels:
            fits &= self.suitable(need)
        scores: Floats = (after * self._share).max(axis=1, initial=0.0)
        if need.spread:
            scores = scores + _CROWD * self.crowd(need)
        return np.where(fits, scores, np.inf)

    def crowd(self, need: Need) -> Floats:
        """How many of the stream's group are on each slot's machine, times 1e4, and on the slot."""
        on_slot = self._group(need.spread)
        on_node = np.bincount(self._node, weights=on_slot)[self._node]
        crowd: Floats = _ON_NODE * on_node + on_slot
        return crowd

    def most_crowded(self, need: Need) -> int:
        """The slot with the most crowded one of the stream's group."""
        return int(np.where(self._group(need.spread) > 0, self.crowd(need), -1.0).argmax())

    def crowd_if_moved(self, need: Need, at: int) -> Floats:
        """The same as it would be for the stream itself, once it has moved from a slot there."""
        same = self._node == self._node[at]
        return self.crowd(need) + 1 + np.where(same, 0.0, _ON_NODE)

    def fullness(self, need: Need | None = None, sign: int = 1) -> Floats:
        """Share that is taken, of the axis or the number of streams that is the fullest.

        Args:
            need: A stream that has come besides; None for none.
            sign: -1 for one that has gone.
        """
        taken = self._taken if need is None else self._taken + sign * _row(need)
        full: Floats = (taken * self._share).max(axis=1, initial=0.0)
        return full

    def fullness_of(self, at: int, need: Need | None = None, sign: int = 1) -> float:
        """The same of one slot."""
        taken = self._taken[at] if need is None else self._taken[at] + sign * _row(need)
        return float((taken * self._share[at]).max())

    def suitable(self, need: Need) -> Bools:
        """Which slots have the stream's labels."""
        key = frozenset(need.labels.items())
        if key not in self._suitable:
            has = [key <= load.labels.items() for load in self._loads]
            self._suitable[key] = np.array(has, np.bool_)
        return self._suitable[key]

    def alike(self, labels: Mapping[str, str]) -> Bools:
        """Which slots have these labels and no other."""
        return np.array([load.labels == labels for load in self._loads], np.bool_)

    def shortfall(self, need: Need) -> Floats:
        """What must go from each slot for a stream, in all three columns."""
        return np.maximum(0.0, self._taken + _row(need) - self._most - _ROUNDING)

    def lower_load(self, rank: int) -> Floats:
        """What streams of lower classes than a rank took at the begin, in all three columns."""
        if self._lower is None:
            self._lower = np.array([_by_rank(load) for load in self._loads], np.float64)
        lower: Floats = self._lower[:, rank + 1 :].sum(axis=1)
        return lower

    def change(self, need: Need, at: int, sign: int = 1) -> None:
        """Count a stream in (1) or out (-1) at a slot."""
        self._taken[at] += sign * _row(need)
        if need.spread:
            self._group(need.spread)[at] += sign

    def _group(self, group: str) -> Floats:
        if group not in self._groups:
            counts = [load.groups.get(group, 0) for load in self._loads]
            self._groups[group] = np.array(counts, np.float64)
        return self._groups[group]


def _row(need: Need) -> Floats:
    return np.array((need.axes.infer_fps, need.axes.decode_mpx_s, 1.0))


def _columns(rows: Iterable[tuple[float, float, float]]) -> Floats:
    return np.array(list(rows), np.float64).reshape(-1, 3)


def _by_rank(load: SlotLoad) -> Sequence[tuple[float, float, float]]:
    ranks = range(NUM_RANKS)
    return [
        (load.by_rank[r].infer_fps, load.by_rank[r].decode_mpx_s, load.num_by_rank[r])
        for r in ranks
    ]


def _with_typical(most: Floats) -> Floats:
    """Limits with the median of what is known in place of what is not."""
    known: Floats = most.copy()
    for column in known.T:
        finite = np.isfinite(column)
        if finite.any():
            column[~finite] = np.median(column[finite])
    return known
