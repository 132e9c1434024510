"""The registry: desired streams, leases and status, in Redis."""

from cluster.registry.index import Wanted
from cluster.registry.leases import FreeStream, Left, Renewal
from cluster.registry.records import (
    ClassLoad,
    CropStatus,
    GpuLoad,
    Ladder,
    Lease,
    LedgerStatus,
    PipelineRecord,
    SinkLoad,
    SlotInfo,
    SlotState,
    SourceStatus,
    StageLatency,
    StreamRecord,
    StreamStatus,
)
from cluster.registry.registry import Registry, Snapshot, WakeUp
from cluster.registry.scripts import FOR_SLOT
from cluster.registry.states import ShownState, StateView
from cluster.registry.store import connect

__all__ = [
    "FOR_SLOT",
    "ClassLoad",
    "CropStatus",
    "FreeStream",
    "GpuLoad",
    "Ladder",
    "Lease",
    "LedgerStatus",
    "Left",
    "PipelineRecord",
    "Registry",
    "Renewal",
    "ShownState",
    "SinkLoad",
    "SlotInfo",
    "SlotState",
    "Snapshot",
    "SourceStatus",
    "StageLatency",
    "StateView",
    "StreamRecord",
    "StreamStatus",
    "WakeUp",
    "Wanted",
    "connect",
]
