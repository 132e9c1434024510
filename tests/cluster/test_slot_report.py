"""What a slot says of itself and its streams, also while some of its actors are away."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from actors.analytics.events import Event, EventType, Phase
from actors.analytics.status import AnalyticsStatus, StreamAnalytics
from actors.crop_counts import CropTally
from actors.crop_messages import MissReason
from actors.inference.actor import EngineStatus
from actors.inference.ladder import LadderStatus
from actors.inference.snapshot import ClassSnapshot, SchedulerSnapshot, StreamSnapshot
from actors.ingest.properties import SourceProperties
from actors.ingest.status import IngestStatus
from actors.ingest.status import StreamStatus as CameraStatus
from actors.ledger import LedgerEntry
from actors.messages import DegradeStep, DropReason, StreamState
from actors.sinks import SinkStatus
from actors.specs import QosClass
from actors.stages import Stage
from cluster.registry import GpuLoad, SlotInfo, SlotState, StreamStatus
from cluster.slot.capacity import Capacity
from cluster.slot.child import Child
from cluster.slot.crew import Crew
from cluster.slot.holdings import Holding, Holdings
from cluster.slot.rates import Rates
from cluster.slot.report import Nameplate, slot_info
from cluster.slot.role import Role
from cluster.slot.stream_report import (
    StreamNews,
    analytics_of,
    cameras_of,
    doing,
    queue_age_ms,
    stream_status,
)
from tests.cluster.builders import stream_record

EVENT = Event(
    "0" * 32, EventType.LINE_CROSS, Phase.INSTANT, "gate", 1_750_000_000_000, 1.0, rule="in"
)
SNAPSHOT = SchedulerSnapshot(
    2,
    3,
    1,
    num_batches=4,
    num_batched=10,
    batch_ms={1: 6.0},
    capacity_fps=166.0,
    utilisation=0.97312,
    classes={QosClass.HIGH: ClassSnapshot(2, 1, 40.0, 9, 8, 3)},
    batch_counts={1: 2, 4: 2},
    streams={
        "gate": StreamSnapshot(QosClass.HIGH, 31.46, 9, 8),
        "yard": StreamSnapshot(QosClass.HIGH, None, 0, 0),
    },
)
PLATE = Nameplate("slot-a", max_streams=8, started_at=1.0)
LADDER = LadderStatus(2, "normal capped", 5.0, {"gate": DegradeStep.CAPPED}, 3)
DROPPED = dict.fromkeys(DropReason, 0) | {DropReason.SAMPLED: 30}
ENTRY = LedgerEntry(100, 60, DROPPED, 59, 4, 1, 0, {"p50": 12.0}, on_time=58)


def camera(stream: str = "gate", **fields: Any) -> CameraStatus:
    known: dict[str, Any] = {
        "stream": stream,
        "state": StreamState.RUNNING,
        "reason": "",
        "message": "",
        "since": 5.0,
        "properties": SourceProperties("h264", 640, 360, 25.0, True, None),
        "fps": 24.987,
        "session": 3,
        "generation": 1,
    }
    return CameraStatus(**{**known, **fields})


def shown(
    holding: Holding, seen: CameraStatus | None, *, was_seen: bool = True, **fields: Any
) -> StreamStatus:
    """A stream of which its camera and its ledger say this, as the registry shows it."""
    does, fps = doing(holding, seen, was_seen=was_seen), seen.fps if seen else 0.0
    return stream_status(StreamNews(does, fps, ENTRY, Rates(12.345, 6.0), **fields), "slot-a")


def ingest(*cameras: CameraStatus) -> IngestStatus:
    return IngestStatus("ingest", "a", True, 8, cameras)


def analytics(**streams: StreamAnalytics) -> AnalyticsStatus:
    return AnalyticsStatus("a", streams, (), 0)


def engine(model: str = "traffic", error: str = "") -> EngineStatus:
    return EngineStatus("a", model, error, SNAPSHOT if model else None, 0, LADDER, load_s=1.5)


def child(name: str, status: Any) -> Child:
    made = Child(name, None, lambda _: None)
    made.status, made.pid = status, 42 if status else None
    made.num_starts = 1
    return made


def crew(engine_says: Any, *, ingests: tuple[Any, ...], shards: tuple[Any, ...]) -> Crew:
    """A crew whose actors have said this; None for one that is away."""
    made = Crew.__new__(Crew)
    made._engines = Role([child("engine", engine_says)])
    made._ingests = Role([child(f"ingest-{n}", status) for n, status in enumerate(ingests)])
    made._shards = Role([child(f"analytics-{n}", status) for n, status in enumerate(shards)])
    return made


def info(of: Crew, error: str = "") -> Any:
    holdings, capacity = Holdings(4, 1), Capacity()
    holdings.add(stream_record("gate", qos={"class": "high"}), token=9)
    holdings.add(stream_record("yard", max_fps=0.5), token=10)
    for now in range(7):
        capacity.observe(of.engine_status, now)
    return slot_info(PLATE, of, holdings, capacity, error=error)


def test_a_slot_shows_the_gauges_of_its_gpu_and_none_where_there_are_none() -> None:
    idle, load = crew(None, ingests=(), shards=()), GpuLoad(uuid="GPU-1", sm=0.5)
    assert info(idle).gpu is None
    shown = slot_info(PLATE, idle, Holdings(4, 1), Capacity(), gpu=load)
    assert shown.gpu == load


@pytest.fixture
def holding() -> Holding:
    return Holdings(4, 1).add(stream_record("gate", generation=6), token=9)


def test_cameras_are_known_from_the_ingests_that_answer() -> None:
    north, south = camera("north"), camera("south")
    assert cameras_of(crew(None, ingests=(ingest(north), ingest(south)), shards=())) == {
        "north": north,
        "south": south,
    }
    assert cameras_of(crew(None, ingests=(ingest(north), None), shards=())) == {"north": north}


def test_streams_are_known_from_the_shards_that_answer() -> None:
    north, south = StreamAnalytics(1, last_event=EVENT), StreamAnalytics(1)
    says = analytics(north=north), analytics(south=south)
    both = crew(None, ingests=(), shards=says)
    assert analytics_of(both) == {"north": north, "south": south}
    assert analytics_of(crew(None, ingests=(), shards=(says[0], None))) == {"north": north}


def test_a_stream_shows_what_became_of_its_crops(holding: Holding) -> None:
    tally = CropTally(9, 5, Counter({MissReason.LATE: 3}))
    crops = shown(holding, camera(), crops={"vehicle": tally}).crops["vehicle"]
    assert (crops.num_asked, crops.num_answered) == (9, 5)
    assert crops.missed == {MissReason.LATE: 3}
    assert shown(holding, camera(), crops={}).crops == {}


def test_queue_ages_are_known_from_the_engine_where_a_frame_waits() -> None:
    assert queue_age_ms(engine(), "gate") == 31.5
    assert queue_age_ms(engine(), "yard") is None
    assert queue_age_ms(engine(), "another") is None
    assert queue_age_ms(engine(model=""), "gate") is None
    assert queue_age_ms(None, "gate") is None


def test_a_stream_shows_its_camera_its_counts_and_its_lease(holding: Holding) -> None:
    seen = camera(degrade_step=DegradeStep.KEY_FRAMES)
    status = shown(holding, seen, last_event=EVENT.to_dict(), queue_age_ms=31.5)
    assert (status.state, status.since, status.session) == (StreamState.RUNNING, 5.0, 3)
    assert (status.slot, status.token, status.generation) == ("slot-a", 9, 6)
    assert (status.fps, status.offered_fps, status.inferred_fps) == (24.99, 12.35, 6.0)
    assert (status.degrade_step, status.queue_age_ms) == (DegradeStep.KEY_FRAMES, 31.5)
    assert (status.ledger.on_time, status.ledger.late) == (58, 2)
    assert status.source is not None
    assert (status.source.codec, status.source.width, status.source.fps) == ("h264", 640, 25.0)
    assert (status.ledger.decoded, status.ledger.in_flight) == (100, 10)
    assert status.ledger.dropped[DropReason.SAMPLED] == 30
    assert status.last_event is not None
    assert status.last_event["rule"] == "in"


@pytest.mark.parametrize("state", list(StreamState))
def test_a_stream_is_in_the_state_that_its_camera_is_in(
    holding: Holding, state: StreamState
) -> None:
    seen = camera(state=state, reason="timeout", message="no answer")
    status = shown(holding, seen)
    assert (status.state, status.reason, status.message) == (state, "timeout", "no answer")


def test_while_its_ingest_is_away_a_stream_reconnects_and_keeps_its_counts(
    holding: Holding,
) -> None:
    status = shown(holding, None)
    assert (status.state, status.reason) == (StreamState.RECONNECTING, "restarting")
    assert status.message
    assert (status.fps, status.source, status.session) == (0.0, None, 0)
    assert (status.ledger.decoded, status.token) == (100, 9)
    assert status.since > 0


def test_a_stream_of_which_no_ingest_knows_yet_is_connecting(holding: Holding) -> None:
    status = shown(holding, None, was_seen=False)
    assert (status.state, status.reason) == (StreamState.CONNECTING, "claimed")
    assert status.message


def test_a_camera_that_has_not_opened_has_no_source(holding: Holding) -> None:
    seen = camera(state=StreamState.CONNECTING, properties=None, fps=0.0, session=0)
    assert shown(holding, seen).source is None


def test_a_source_of_unknown_rate_is_shown_with_rate_zero(holding: Holding) -> None:
    seen = camera(properties=SourceProperties("hevc", 640, 360, None, True, None))
    source = shown(holding, seen).source
    assert source is not None
    assert source.fps == 0.0


def test_a_slot_is_ready_when_all_its_actors_answer_and_a_model_is_loaded() -> None:
    whole = info(crew(engine(), ingests=(ingest(),), shards=(analytics(),)))
    assert (whole.state, whole.message) == (SlotState.READY, "")
    assert (whole.num_streams, whole.max_streams) == (2, 8)
    assert whole.model == "traffic"
    assert whole.batch_fill == 2.5
    assert whole.num_waiting == 3
    assert [actor["name"] for actor in whole.details["actors"]] == [
        "analytics-0",
        "engine",
        "ingest-0",
    ]
    assert {"pid": 42, "starts": 1, "ready": True}.items() <= whole.details["actors"][0].items()
    assert whole.details["actors"][2]["free_slots"] == 8
    assert whole.details["load_s"] == 1.5


@pytest.mark.parametrize(
    ("engine_says", "ingest_says", "shard_says"),
    [
        (None, ingest(), analytics()),
        (engine(model=""), ingest(), analytics()),
        (engine(), None, analytics()),
        (engine(), ingest(), None),
    ],
)
def test_a_slot_without_all_its_actors_is_starting(
    engine_says: Any, ingest_says: Any, shard_says: Any
) -> None:
    assert (
        info(crew(engine_says, ingests=(ingest_says,), shards=(shard_says,))).state
        is SlotState.STARTING
    )


def test_a_slot_whose_first_model_is_no_good_has_failed_and_says_why() -> None:
    says = engine(model="", error="labels: 3 for 4 classes")
    failed = info(crew(says, ingests=(ingest(),), shards=(analytics(),)))
    assert (failed.state, failed.message) == (SlotState.FAILED, "labels: 3 for 4 classes")


@pytest.mark.parametrize("error", ["", "labels: 3 for 4 classes"])
def test_a_slot_says_that_it_builds_a_plan_and_for_how_long(error: str) -> None:
    building = "building the plan of traffic (37 s)"
    says = replace(engine(model="", error=error), building=building)
    first = info(crew(says, ingests=(ingest(),), shards=(analytics(),)))
    assert (first.state, first.message) == (SlotState.STARTING, building)
    says = replace(engine(error=error), building=building)
    next_one = info(crew(says, ingests=(ingest(),), shards=(analytics(),)))
    assert (next_one.state, next_one.message) == (SlotState.READY, building)


def test_a_slot_that_refused_a_new_model_goes_on_with_the_old_and_says_so() -> None:
    running = crew(engine(), ingests=(ingest(),), shards=(analytics(),))
    told = info(running, error="path: no such file")
    assert (told.state, told.message) == (SlotState.READY, "path: no such file")


def test_a_slot_whose_actors_have_not_answered_yet_can_be_shown() -> None:
    new = info(crew(None, ingests=(None,), shards=(None,)))
    assert new.state is SlotState.STARTING
    assert (new.batch_fill, new.capacity_fps, new.ladder.rung) == (0.0, 0.0, 0)
    assert new.model_dump(mode="json")["model"] == ""


def test_a_slot_tells_what_it_can_do_what_it_promised_and_how_its_classes_fare() -> None:
    told = info(crew(engine(), ingests=(ingest(),), shards=(analytics(),)))
    assert (told.capacity_fps, told.admission_fps) == (166.0, 166.0)
    assert (told.frame_ms, told.floors_fps) == (6.0, 2.5)
    assert told.utilisation == 0.973
    assert (told.batch_ms, told.batch_counts) == ({1: 6.0}, {1: 2, 4: 2})
    high = told.classes[QosClass.HIGH]
    assert (high.num_streams, high.num_waiting, high.oldest_wait_ms) == (2, 1, 40.0)
    assert (high.num_inferred, high.num_on_time, high.num_dropped) == (9, 8, 3)
    assert (told.ladder.rung, told.ladder.name, told.ladder.num_climbs) == (
        2,
        "normal capped",
        3,
    )
    assert told.ladder.steps == {"gate": DegradeStep.CAPPED}


def test_a_slot_shows_each_stage_by_class_of_all_its_processes() -> None:
    counts = {Stage.QUEUE: {QosClass.HIGH: {10.0: 98, 40.0: 2}}, Stage.DECODE: {}}
    says = replace(engine(), stages=counts)
    shards = [
        replace(analytics(), stages={Stage.ANALYTICS: {QosClass.HIGH: {5.0: n, 8.0: 1}}})
        for n in (3, 4)
    ]
    told = info(crew(says, ingests=(ingest(),), shards=(*shards, None)))
    queue, decode = told.stages[Stage.QUEUE][QosClass.HIGH], told.stages.get(Stage.DECODE)
    assert queue.latency_ms == {"p50": 10.0, "p95": 10.0, "p99": 40.0}
    assert queue.latency_counts == {10.0: 98, 40.0: 2}
    assert not decode
    assert told.stages[Stage.ANALYTICS][QosClass.HIGH].latency_counts == {5.0: 7, 8.0: 2}
    assert SlotInfo.model_validate_json(told.model_dump_json()) == told


def test_a_slot_shows_each_sink_over_all_its_shards() -> None:
    away = "no connection to redis://user:hunter2@h:6379"
    shards = (
        AnalyticsStatus("a", {}, (SinkStatus("redis", num_written=5), SinkStatus("file")), 0),
        AnalyticsStatus(
            "b",
            {},
            (
                SinkStatus("redis", False, 3, 2, num_fenced=4, num_waiting=9, error=away),
                SinkStatus("file", num_written=7, num_dropped=1),
            ),
            0,
        ),
    )
    redis, file = info(crew(engine(), ingests=(ingest(),), shards=(*shards, None))).sinks
    assert (redis.name, redis.is_connected, redis.num_written) == ("redis-0", False, 8)
    assert (redis.num_spooled, redis.num_fenced, redis.num_waiting) == (2, 4, 9)
    assert redis.error.startswith("no connection to redis://")
    assert "hunter2" not in redis.error
    assert (file.name, file.is_connected, file.num_written, file.num_dropped) == (
        "file-1",
        True,
        7,
        1,
    )
