"""TensorRT's messages: kept for our errors, and handed to Python's logging."""

from __future__ import annotations

import logging
import re
from collections import deque
from typing import Any

_log = logging.getLogger(__name__)

MAX_KEPT = 4
_NO_MEMORY = re.compile(
    r"out ?of ?memory|memory is insufficient|insufficient memory|memory .*could not be allocated"
    r"|initialization failure with error: 2\b",
    re.IGNORECASE,
)
"""As 8.6 to 11 say that the GPU is full: of an allocation, of CUDA, of a tactic left out for it."""


def make_logger(trt: Any) -> Any:
    """A ``tensorrt.ILogger`` that remembers the last errors in ``errors``; must outlive its users.

    A tactic that found no memory is a warning to TensorRT, and is remembered too: where all are
    left out for that, the error at the end does not say why.

    TensorRT calls it from threads of its own.
    """
    levels = {
        trt.Logger.INTERNAL_ERROR: logging.ERROR,
        trt.Logger.ERROR: logging.ERROR,
        trt.Logger.WARNING: logging.WARNING,
        trt.Logger.INFO: logging.DEBUG,
    }

    class Logger(trt.ILogger):  # type: ignore[misc]
        """Takes what TensorRT has to say."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: deque[str] = deque(maxlen=MAX_KEPT)

        def log(self, severity: Any, message: str) -> None:
            level = levels.get(severity, logging.NOTSET)
            no_memory = level >= logging.WARNING and _NO_MEMORY.search(message)
            if level >= logging.ERROR or no_memory:
                self.errors.append(message)
            if level:
                _log.log(level, "%s", message)

    return Logger()


def last_words(logger: Any) -> str:
    """What TensorRT said last that was an error."""
    return "; ".join(logger.errors) or "it gives no reason"


def is_out_of_memory(logger: Any) -> bool:
    """Whether one of the last errors was that the GPU is full."""
    return any(_NO_MEMORY.search(message) for message in logger.errors)
