"""TensorRT's messages: kept for our errors, and handed to Python's logging."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

_log = logging.getLogger(__name__)

MAX_KEPT = 4


def make_logger(trt: Any) -> Any:
    """A ``tensorrt.ILogger`` that remembers the last errors in ``errors``; must outlive its users.

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
            if level >= logging.ERROR:
                self.errors.append(message)
            if level:
                _log.log(level, "%s", message)

    return Logger()


def last_words(logger: Any) -> str:
    """What TensorRT said last that was an error."""
    return "; ".join(logger.errors) or "it gives no reason"
