"""How long to wait before a camera is opened again."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Delays between attempts.

    Attributes:
        first_s: Delay after the first failure; it doubles with each further one.
        cap_s: Longest delay while the fault is young, so that a camera is back soon after it.
        guard_s: Longest delay for a camera that keeps failing.
        patience_s: A fault is young for so long ...
        patience_failures: ... or until so many failures, whichever is later.
        short_s: A session shorter than this counts as a failure.
        healthy_s: A session at least this long forgets all failures.
    """

    first_s: float = 0.25
    cap_s: float = 2.0
    guard_s: float = 30.0
    patience_s: float = 60.0
    patience_failures: int = 10
    short_s: float = 5.0
    healthy_s: float = 10.0


class Backoff:
    """The failures of one camera, and the delay that follows from them.

    Args:
        rng: Source of the jitter: each delay is between half of its nominal value and all of it.
        policy: The delays.
    """

    def __init__(self, rng: Random, policy: RetryPolicy | None = None) -> None:
        self.policy = policy or RetryPolicy()
        self._rng = rng
        self.reset()

    def reset(self) -> None:
        """Forget all failures."""
        self._num_failures = 0
        self._num_guarded = 0
        self._since = 0.0

    def delay_s(self, now: float, lived_s: float = 0.0) -> float:
        """The delay after an attempt that has just ended.

        Args:
            now: Monotonic time, seconds.
            lived_s: How long the source had been open; 0 where it did not open.
        """
        if lived_s >= self.policy.healthy_s:
            self.reset()
        elif lived_s < self.policy.short_s:
            self._count_failure(now)
        return self._nominal_s() * self._rng.uniform(0.5, 1.0)

    def _count_failure(self, now: float) -> None:
        if self._num_failures == 0:
            self._since = now
        self._num_failures += 1
        is_old = now - self._since > self.policy.patience_s
        if is_old and self._num_failures > self.policy.patience_failures:
            self._num_guarded += 1

    def _nominal_s(self) -> float:
        policy = self.policy
        if self._num_guarded:
            return min(policy.guard_s, policy.cap_s * 2.0 ** min(self._num_guarded, 32))
        return min(policy.cap_s, policy.first_s * 2.0 ** min(max(self._num_failures - 1, 0), 32))
