"""What is fair: weighted max-min shares, and how far from them an outcome is. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def fair_shares(
    total: float, demands: Sequence[float], weights: Sequence[float]
) -> tuple[float, ...]:
    """Divide ``total`` by weight; nobody gets more than his demand, the rest goes to the others.

    Known as weighted max-min fairness (Bertsekas, Gallager: Data Networks, section 6.5.2).
    """
    shares = [0.0] * len(demands)
    hungry = list(range(len(demands)))
    while hungry and total > 0:
        level = total / sum(weights[i] for i in hungry)
        full = [i for i in hungry if demands[i] <= level * weights[i]]
        for i in full or hungry:
            shares[i] = demands[i] if full else level * weights[i]
        if not full:
            break
        total -= sum(demands[i] for i in full)
        hungry = [i for i in hungry if i not in full]
    return tuple(shares)


def jain_index(values: Sequence[float]) -> float:
    """1 where all are alike, 1 / n where one has it all (Jain, Chiu, Hawe 1984)."""
    squares = sum(value * value for value in values)
    if squares == 0:
        return 1.0
    return sum(values) ** 2 / (len(values) * squares)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Nearest rank, of values in ascending order: the same number on every machine."""
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]
