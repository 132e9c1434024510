"""Values and servers that several tests of cluster build."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

from actors.messages import StreamState
from actors.specs import StreamSpec
from cluster.registry import SlotInfo, StreamRecord, StreamStatus

_PREFIXES = itertools.count()


def fresh_prefix() -> str:
    """A key prefix that no other test of this run uses."""
    return f"test{next(_PREFIXES)}"


def stream_spec(stream: str = "gate", **fields: Any) -> StreamSpec:
    return StreamSpec.model_validate({"id": stream, "url": "rtsp://127.0.0.1:8554/gate", **fields})


def stream_record(stream: str = "gate", generation: int = 1, **fields: Any) -> StreamRecord:
    return StreamRecord(
        spec=stream_spec(stream, **fields), generation=generation, created_at=1.0, updated_at=2.0
    )


def stream_status(slot: str = "slot-a", token: int = 1, **fields: Any) -> StreamStatus:
    return StreamStatus(
        **{"state": StreamState.RUNNING, "slot": slot, "token": token, "updated_at": 5.0, **fields}
    )


def slot_info(name: str = "slot-a", **fields: Any) -> SlotInfo:
    return SlotInfo(**{"name": name, "max_streams": 64, **fields})


def eventually(holds: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """The first true answer; fails where none comes in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        answer = holds()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"did not hold within {timeout_s} s")
