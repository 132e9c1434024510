"""Cameras that do what this client does not know: they are left to FFmpeg for a while."""

from __future__ import annotations

import logging
import threading
import time

from actors.errors import SourceError
from actors.ingest.source_errors import describe

_FORGET_S = 3600.0
_MAX_REMEMBERED = 10_000

log = logging.getLogger(__name__)

_until: dict[str, float] = {}
_remembering = threading.Lock()


class UnfamiliarError(SourceError):
    """A camera does what this client does not know for certain.

    Args:
        what: Continues a sentence that names the camera; no credentials, nothing that it sent.
    """

    def __init__(self, what: str) -> None:
        super().__init__("invalid", what)


def remember(url: str, error: UnfamiliarError) -> None:
    """Leave a camera to FFmpeg for the next hour, and say so in the log."""
    with _remembering:
        if len(_until) >= _MAX_REMEMBERED:
            _until.clear()
        _until[url] = time.monotonic() + _FORGET_S
    log.info("%s %s: FFmpeg reads it, at a higher cost", describe(url), error.message)


def is_unfamiliar(url: str) -> bool:
    """Whether FFmpeg should read the camera at ``url``."""
    return time.monotonic() < _until.get(url, 0.0)
