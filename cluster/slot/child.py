"""One child actor of a slot: started, polled, noticed when it comes back as a new process."""

from __future__ import annotations

import logging
import os
import select
from collections.abc import Callable, Collection, Iterable
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
        is_near: Whether it runs on this machine.
    """

    def __init__(
        self,
        name: str,
        handle: Any,
        on_start: Callable[[Child], None],
        hung_after_s: float = HUNG_AFTER_S,
        *,
        is_near: bool = True,
    ) -> None:
        self.name = name
        self.handle = handle
        self.status: Status | None = None
        self.pid: int | None = None
        self.gpus: tuple[str, ...] = ()
        self.num_starts = 0
        self._on_start = on_start
        self._hung_after_s = hung_after_s
        self._is_near = is_near
        self._question: _Question | None = None
        self._process: int | None = None  # a descriptor that tells when it ends

    @property
    def ready(self) -> bool:
        """Whether its process has answered and is not known to have died since."""
        return self.status is not None

    @property
    def question(self) -> Any:
        """The reference of what it was asked and has not been seen to answer; None for nothing."""
        return None if self._question is None else self._question.ref

    def ask(self, now: float) -> None:
        """Ask for its status, unless it is being asked already; ``poll`` takes the answer."""
        if self._question is None:
            self._question = _Question(self.handle.status.remote(), now)

    def poll(self, now: float, answered: Collection[Any] = ()) -> None:
        """Notice its death, and take its answer; never waits. One that is away is asked again.

        A child that has died loses its status until it answers again; one that hangs is killed.

        Args:
            now: Seconds, never going back.
            answered: References that are done.
        """
        if self.ready and self._has_ended():
            logger.warning("%s died, process %s", self.name, self.pid)
            self.status = self._question = None
        if self._question is None:
            if not self.ready:
                self.ask(now)
        elif self._question.ref in answered:
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

    def trade_places(self, other: Child) -> None:
        """Let the other's process be this child, and this one's the other; both go on as they are.

        The one that comes to this place is told all that it must know here.
        """
        for what in ("handle", "status", "pid", "gpus", "_question", "_process"):
            ours, theirs = getattr(self, what), getattr(other, what)
            setattr(self, what, theirs)
            setattr(other, what, ours)
        self.num_starts += 1
        self._on_start(self)

    def stop(self) -> None:
        """Let the process clean up, then end it."""
        self._forget_process()
        try:
            self.call("stop")
        except ConnectionError as error:
            logger.warning("%s did not stop by itself: %s", self.name, error)
        ray.kill(self.handle)

    def _answered(self, ref: Any) -> None:
        try:
            status: Status = ray.get(ref)
            if self.status is None or self.status.incarnation != status.incarnation:
                self._started()
        except (RayActorError, GetTimeoutError) as error:
            if self.ready:
                logger.warning("%s died: %s", self.name, error)
            self.status = None
            return
        self.status = status

    def _started(self) -> None:
        self.num_starts += 1
        found = ray.get(self.handle.__ray_call__.remote(_whereabouts), timeout=_CALL_TIMEOUT_S)
        pid, self.gpus = found
        self._watch(pid)
        self._on_start(self)

    def _watch(self, pid: int) -> None:
        """The kernel knows of a death at once, Ray a while later."""
        self._forget_process()
        self.pid = pid
        try:
            self._process = os.pidfd_open(pid) if self._is_near else None
        except OSError:  # it is gone already, or this kernel has no such descriptors: Ray will say
            self._process = None

    def _has_ended(self) -> bool:
        return self._process is not None and bool(select.select([self._process], [], [], 0)[0])

    def _forget_process(self) -> None:
        if self._process is not None:
            os.close(self._process)
            self._process = None


def answers_of(children: Iterable[Child]) -> frozenset[Any]:
    """References of the children's questions that are answered, all by one look; never waits."""
    questions = [child.question for child in children if child.question is not None]
    if not questions:
        return frozenset()
    return frozenset(ray.wait(questions, num_returns=len(questions), timeout=0)[0])


def _whereabouts(_: object) -> tuple[int, tuple[str, ...]]:
    """The process, and the GPUs of its machine that Ray gave it."""
    gpus = ray.get_runtime_context().get_accelerator_ids().get("GPU", ())
    return os.getpid(), tuple(gpus)
