"""The loop of a slot: takes news from its actors, follows the registry, says how it is."""

from __future__ import annotations

import logging
import threading
import time

import ray

from actors.inference.options import DeviceName
from actors.ledger import Ledger
from cluster.config import SightlineConfig
from cluster.devices import is_on_gpu
from cluster.errors import UnavailableError
from cluster.models import engine_options, resolve_model, resolve_secondaries
from cluster.nvml import GpuWatch
from cluster.placement import Axes
from cluster.registry import Registry, SlotState, WakeUp
from cluster.slot.capacity import Capacity
from cluster.slot.crew import Crew
from cluster.slot.decoding import SlotDecoding
from cluster.slot.holdings import PIPELINE, Holdings
from cluster.slot.keeper import StreamKeeper
from cluster.slot.labels import slot_labels
from cluster.slot.plan import crew_config, decode_cores
from cluster.slot.report import Nameplate, decode_fields, slot_info
from cluster.slot.surroundings import look_after_s
from cluster.slot.timetable import LOOK_AT_MOST_EVERY_S, LOOK_EVERY_S, Timetable
from engines.errors import ModelError

logger = logging.getLogger(__name__)

_TICK_S = 0.1
_PUBLISH_EVERY_S = 0.5
_ANSWERED_AFTER_S = 0.1
_DRAIN_TIMEOUT_S = 7.0
_LEAVE_TIMEOUT_S = 5.0
_ENDING_TICK_S = 0.02


class SlotWorker:
    """One slot from start to end, on a thread of its own.

    Args:
        name: Unique among slots, and over restarts.
        config: The whole configuration, with ``redis.url`` filled in.
    """

    def __init__(self, name: str, config: SightlineConfig) -> None:
        self.name = name
        self.failure: Exception | None = None
        self._ttl_ms = round(config.lease.ttl_s * 1e3)
        self._registry = Registry.open(
            str(config.redis.url), config.redis.prefix, config.api.max_streams
        )
        plan = crew_config(name, config)
        of_node = ray.get_runtime_context().get_node_labels()
        self._device: DeviceName = "cuda" if is_on_gpu(config) else "cpu"
        labels = slot_labels(config.slots.labels, of_node)
        self._plate = Nameplate(name, plan.max_streams, time.time(), self._device, labels)
        self._ledger = Ledger.create(plan.max_streams, name=f"{name}-ledger")
        num_far = plan.far.num if plan.far else 0
        self._holdings = Holdings(plan.max_streams, plan.num_ingests, num_far)
        self._crew = Crew(plan, self._ledger, self._holdings)
        self._keeper = StreamKeeper(
            name,
            self._registry,
            self._crew,
            self._ledger,
            self._holdings,
            max_streams=plan.max_streams,
            ttl_ms=self._ttl_ms,
            labels=labels,
        )
        self._capacity = Capacity()
        self._decoding = SlotDecoding(decode_cores(config), plan.far)
        self._gpu = GpuWatch()
        self._pipeline_generation = 0
        self._model_error = ""
        self._is_ready = False
        self._waits_for_decoder = plan.ingest.decoder == "nvdec"
        self._times = Timetable()
        self._wake: WakeUp | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slot", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the loop still turns."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End all streams, give up their leases, end the actors."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._turn()
            self._drain()
            self._leave()
        except Exception as error:
            logger.exception("slot %s failed", self.name)
            self.failure = error

    def _turn(self) -> None:
        """One round. While Redis is away streams run on, and what must be written waits."""
        try:
            self._follow_crew(time.monotonic())
            self._follow_registry(time.monotonic())
            self._wait()
        except UnavailableError as error:
            logger.warning("%s", error)
            self._times.at_once("renew")  # others may take what has ended soon after Redis is back
            self._stopping.wait(_TICK_S)

    def _follow_crew(self, now: float) -> None:
        """Ask the actors shortly before what they say is published."""
        is_asking = self._times.is_due("ask", now, _PUBLISH_EVERY_S)
        self._crew.poll(now, is_asking=is_asking)
        if is_asking:
            self._times.put_off("publish", now + _ANSWERED_AFTER_S)

    def _follow_registry(self, now: float) -> None:
        self._renew(now)
        if self._times.is_due("pipeline", now, LOOK_EVERY_S):
            self._follow_pipeline()
        if self._crew.ready != self._is_ready or self._times.is_look_due(now):
            self._place(now)
        self._finish_closing(now)
        if self._times.is_due("publish", now, _PUBLISH_EVERY_S):
            self._capacity.observe(self._crew.engine_status, now)
            self._decoding.follow(self._crew, now)
            self._keeper.near_limit_mpx_s = self._decoding.near_limit_mpx_s
            self._publish()
            num_assumed = self._keeper.num_assumed
            self._keeper.publish(now)
            if self._keeper.num_assumed < num_assumed:
                self._times.look_soon(now)  # what was learnt of them makes room, or takes it

    def _renew(self, now: float) -> None:
        if self._times.is_due("renew", now, self._ttl_ms / 3e3):
            self._times.lease_ends(now + self._keeper.renew())

    def _place(self, now: float) -> None:
        """Take streams, give some up; there may be more soon."""
        self._is_ready = self._crew.ready
        self._times.looked(now)
        if not self._is_ready or (self._waits_for_decoder and self._decoding.is_awaited):
            self._keeper.stand_by()
            return
        more_s = self._keeper.place(self._admitted())
        if more_s is not None:
            self._times.look_soon(now, more_s)

    def _finish_closing(self, now: float) -> None:
        """What has ended makes room for others."""
        num_held = len(self._holdings)
        self._keeper.finish_closing(now)
        if len(self._holdings) < num_held:
            self._times.look_soon(now)

    def _admitted(self) -> Axes:
        """Up to what streams are taken, on each axis."""
        return Axes(self._capacity.admission_fps, self._decoding.limit_mpx_s)

    def _wait(self) -> None:
        """Until something is due, or somebody has changed something."""
        if self._wake is None:
            self._wake = self._registry.subscribe()
        tick_s = _ENDING_TICK_S if self._keeper.is_ending_some else _TICK_S
        due_s = self._times.next_look_at - time.monotonic()
        changed = self._wake.wait(min(tick_s, max(0.0, due_s)))
        if not changed:
            return
        self._keeper.refresh(changed)
        if PIPELINE in changed:
            self._times.at_once("pipeline")
        wait_s = look_after_s(self.name, changed, self._keeper.num_others)
        if wait_s is not None:
            self._times.look_soon(time.monotonic(), wait_s)

    def _follow_pipeline(self) -> None:
        record = self._registry.pipelines.some([PIPELINE]).get(PIPELINE)
        if record is None or record.generation == self._pipeline_generation:
            return
        self._pipeline_generation = record.generation
        try:
            model = resolve_model(record.spec, self._device)
            secondaries = resolve_secondaries(record.spec, model)
            self._crew.load(model, engine_options(record.spec, self._device, secondaries))
            self._model_error = ""
        except ModelError as error:
            logger.error("pipeline %s: %s", PIPELINE, error)
            self._model_error = str(error)

    def _publish(self) -> None:
        engine = self._crew.engine_status
        self._gpu.follow(engine.gpu if engine else "")
        info = slot_info(
            self._plate,
            self._crew,
            self._holdings,
            self._capacity,
            error=self._model_error,
            gpu=self._gpu.newest,
            **decode_fields(self._decoding, self._keeper.decode_load_mpx_s),
        )
        if self._stopping.is_set():
            info = info.model_copy(update={"state": SlotState.DRAINING})
        self._registry.slots.publish(info, self._ttl_ms)

    def _drain(self) -> None:
        """Hand streams to other slots while they run on, as long as there is time."""
        deadline = time.monotonic() + _DRAIN_TIMEOUT_S
        self._times.at_once("publish")
        is_done = False
        while not is_done and time.monotonic() < deadline:
            try:
                is_done = self._drain_turn(time.monotonic())
            except UnavailableError as error:
                logger.warning("the streams stay: %s", error)
                return
            time.sleep(_ENDING_TICK_S)

    def _drain_turn(self, now: float) -> bool:
        self._follow_crew(now)
        self._renew(now)
        is_turn = self._times.is_due("drain", now, LOOK_AT_MOST_EVERY_S)
        is_done = is_turn and self._keeper.drain(now, self._admitted())
        self._keeper.finish_closing(now)
        if self._times.is_due("publish", now, _PUBLISH_EVERY_S):
            self._publish()
            self._keeper.publish(now)
        return is_done

    def _leave(self) -> None:
        """End what is left, and give up its leases."""
        deadline = time.monotonic() + _LEAVE_TIMEOUT_S
        try:
            self._keeper.close_all()
            while not self._keeper.finish_closing(now := time.monotonic()) and now < deadline:
                time.sleep(_ENDING_TICK_S)
            self._keeper.abandon()
            self._registry.slots.remove(self.name)
        except UnavailableError as error:
            logger.warning("the leases are left to expire: %s", error)
        self._gpu.close()
        self._crew.stop()
        self._ledger.unlink()
