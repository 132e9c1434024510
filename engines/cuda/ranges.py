"""Ranges by stage for Nsight Systems (NVTX). They are nothing unless somebody looks.

Somebody looks where ``SIGHTLINE_NVTX=1`` is set, or ``nsys`` has started the process; ``nvtx`` is
not imported otherwise. Ranges are of the host: a CUDA graph is launched as one, within ``infer``,
and ``nsys --cuda-graph-trace=node`` tells its kernels apart.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar

SWITCH = "SIGHTLINE_NVTX"
NSYS_SESSION = "NSYS_PROFILING_SESSION_ID"
DOMAIN = "sightline"

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)


class Stage(Protocol):
    """A stage of a frame's way: a ``with`` block, or a function that it decorates."""

    def __enter__(self) -> None:
        """Begin a range of the calling thread."""

    def __exit__(self, *_: object) -> None:
        """End it."""

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """A function each call of which is a range; unchanged where nobody looks."""


def stage(name: str, environment: Mapping[str, str] = os.environ) -> Stage:
    """A stage by name, for any number of threads at once.

    Args:
        name: As Nsight Systems shows it.
        environment: Says whether anybody looks.
    """
    if environment.get(SWITCH) != "1" and NSYS_SESSION not in environment:
        return _Unseen()
    try:
        import nvtx
    except ImportError:
        log.warning("no range %s: nvtx cannot be imported: pip install 'sightline[gpu]'", name)
        return _Unseen()
    return _Range(nvtx.get_domain(DOMAIN), name)


class _Unseen:
    """A stage at which nobody looks."""

    __slots__ = ()

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        return

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        return function


class _Range:
    """A stage that NVTX is told of; the stack of open ranges is NVTX's, one a thread."""

    __slots__ = ("_attributes", "_domain")

    def __init__(self, domain: Any, name: str) -> None:
        self._domain = domain
        self._attributes = domain.get_event_attributes(name)

    def __enter__(self) -> None:
        self._domain.push_range(self._attributes)

    def __exit__(self, *_: object) -> None:
        self._domain.pop_range()

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def ranged(*args: P.args, **named: P.kwargs) -> R:
            with self:
                return function(*args, **named)

        return ranged


DECODE = stage("decode")
COPY = stage("copy")
PREPROCESS = stage("preprocess")
INFER = stage("infer")
SUPPRESS = stage("suppress")
PUBLISH = stage("publish")
