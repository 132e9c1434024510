"""One child actor of a slot: started, polled, noticed when it comes back as a new process."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import ray
from ray.exceptions import GetTimeoutError, RayActorError

logger = logging.getLogger(__name__)

_CALL_TIMEOUT_S = 5.0
HUNG_AFTER_S = 15.0


class Status(Protocol):
    """What every child's ``status()`` returns at least."""

    @property
    def incarnation(self) -> str:
        """Changes with each start of the process."""


@dataclass(slots=True)
class _Question:
    ref: Any
    asked_at: float


class Child:
    """A restartable actor. Ray starts it again in place; the slot tells it what it must know.

    Args:
        name: For people: ``engine``, ``ingest-0``.
        handle: The actor's handle; the actor has ``status()``.
        on_start: Called for each new incarnation that answers, before its status is used.
        hung_after_s: So long may it leave a question for its status unanswered.
    """

    def __init__(
        self,
        name: str,
        handle: Any,
        on_start: Callable[[Child], None],
        hung_after_s: float = HUNG_AFTER_S,
    ) -> None:
        self.name = name
        self.handle = handle
        self.status: Status | None = None
        self.pid: int | None = None
        self.num_starts = 0
        self._on_start = on_start
        self._hung_after_s = hung_after_s
        self._question: _Question | None = None

    @property
    def ready(self) -> bool:
        """Whether its process has answered and is not known to have died since."""
        return self.status is not None

    def poll(self, now: float) -> None:
        """Ask for the status, or take the answer to an earlier question; never waits.

        A child that has died loses its status until it answers again; one that hangs is killed.
        """
        if self._question is None:
            self._question = _Question(self.handle.status.remote(), now)
        done, _ = ray.wait([self._question.ref], timeout=0)
        if done:
            self._answered(self._question.ref)
            self._question = None
        elif self.ready and now - self._question.asked_at > self._hung_after_s:
            logger.error(
                "%s has not answered for %.0f s: restarting it", self.name, self._hung_after_s
            )
            ray.kill(self.handle, no_restart=False)
            self.status = self._question = None

    def call(self, method: str, *args: object) -> Any:
        """Call a method and wait for it.

        Raises:
            ConnectionError: if the child is dead or does not answer; it is told again when it is
                back.
        """
        try:
            return ray.get(getattr(self.handle, method).remote(*args), timeout=_CALL_TIMEOUT_S)
        except (RayActorError, GetTimeoutError) as error:
            raise ConnectionError(f"{self.name}: {error}") from error

    def stop(self) -> None:
        """Let the process clean up, then end it."""
        try:
            self.call("stop")
        except ConnectionError as error:
            logger.warning("%s did not stop by itself: %s", self.name, error)
        ray.kill(self.handle)

    def _answered(self, ref: Any) -> None:
        try:
            status: Status = ray.get(ref)
        except RayActorError as error:
            if self.ready:
                logger.warning("%s died: %s", self.name, error)
            self.status = None
            return
        if self.status is None or self.status.incarnation != status.incarnation:
            self._started()
        self.status = status

    def _started(self) -> None:
        self.num_starts += 1
        self.pid = ray.get(self.handle.__ray_call__.remote(_pid), timeout=_CALL_TIMEOUT_S)
        self._on_start(self)


def _pid(_: object) -> int:
    return os.getpid()
