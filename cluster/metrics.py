"""Prometheus metrics of all streams and slots, made from the registry at each scrape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from actors.crop_messages import MissReason
from actors.messages import DropReason
from cluster.errors import UnavailableError
from cluster.registry import CropStatus, LedgerStatus, Registry, ShownState, Snapshot
from cluster.slot_metrics import scaling_metrics, slot_metrics

OTHER = "_other"
"""Label of the streams beyond the bound, taken together; no stream id begins like this."""

_MAX_LABELS = 1000
_QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}
_COUNTERS = {
    "frames_decoded": "Pictures that came out of the decoder.",
    "frames_inferred": "Of the decoded, how many went through the model.",
    "frames_analysed": "Of the inferred, how many went through tracker and rules.",
    "events": "Events written.",
    "reconnects": "Times that the camera was opened again.",
    "decode_errors": "Packets that the decoder refused.",
    "skipped": "Packets that were not decoded, to catch up with the camera or by the ladder.",
}


def collector_registry(registry: Registry, max_labels: int = _MAX_LABELS) -> CollectorRegistry:
    """A registry of metrics of its own, so that nothing else of the process shows in it.

    Args:
        registry: What is read at each scrape.
        max_labels: Streams that get their own label; the rest is added up as ``_other``.
    """
    collectors = CollectorRegistry(auto_describe=False)
    collectors.register(_RegistryCollector(registry, max_labels))
    return collectors


class _RegistryCollector(Collector):
    def __init__(self, registry: Registry, max_labels: int) -> None:
        self._registry = registry
        self._max_labels = max_labels

    def collect(self) -> Iterator[Metric]:
        try:
            snapshot, scaling = self._registry.snapshot(), self._registry.scaling.get()
        except UnavailableError:
            yield _redis_up(False)
            return
        yield _redis_up(True)
        ledgers = _labelled(snapshot, self._max_labels)
        yield from _counters(ledgers)
        yield _drops(ledgers)
        yield _deadlines(ledgers)
        yield _latencies(ledgers)
        yield from _crops(snapshot, self._max_labels)
        yield from _states(snapshot, self._max_labels)
        yield _steps(snapshot, self._max_labels)
        yield from slot_metrics(snapshot.slots.values())
        yield from scaling_metrics(scaling)


def _redis_up(up: bool) -> Metric:
    return GaugeMetricFamily("sightline_redis_up", "1 where Redis answers.", value=float(up))


def _labelled(snapshot: Snapshot, max_labels: int) -> dict[str, LedgerStatus]:
    """The counts by label; the first streams in order of their ids have their own."""
    ids = [stream for stream in snapshot.streams if stream in snapshot.statuses]
    ledgers = {stream: snapshot.statuses[stream].ledger for stream in ids[:max_labels]}
    if ids[max_labels:]:
        ledgers[OTHER] = _total(snapshot.statuses[stream].ledger for stream in ids[max_labels:])
    return ledgers


def _total(ledgers: Iterable[LedgerStatus]) -> LedgerStatus:
    """Counts add up; quantiles do not, so they are left out."""
    all_of_them = list(ledgers)
    names = ["on_time", *(name.removeprefix("frames_") for name in _COUNTERS)]
    sums = {name: sum(getattr(ledger, name) for ledger in all_of_them) for name in names}
    dropped = {r: sum(ledger.dropped.get(r, 0) for ledger in all_of_them) for r in DropReason}
    return LedgerStatus(dropped=dropped, **sums)


def _counters(ledgers: Mapping[str, LedgerStatus]) -> Iterator[Metric]:
    for name, help_text in _COUNTERS.items():
        family = CounterMetricFamily(f"sightline_{name}", help_text, labels=["stream"])
        for stream, ledger in ledgers.items():
            family.add_metric([stream], getattr(ledger, name.removeprefix("frames_")))
        yield family


def _drops(ledgers: Mapping[str, LedgerStatus]) -> Metric:
    family = CounterMetricFamily(
        "sightline_frames_dropped",
        "Decoded frames that did not reach the model, by reason.",
        labels=["stream", "reason"],
    )
    for stream, ledger in ledgers.items():
        for reason, num in ledger.dropped.items():
            family.add_metric([stream, reason.value], num)
    return family


def _deadlines(ledgers: Mapping[str, LedgerStatus]) -> Metric:
    family = CounterMetricFamily(
        "sightline_deadlines",
        "Frames by what became of their deadline: hit, late (inferred after it), or dropped.",
        labels=["stream", "outcome"],
    )
    for stream, ledger in ledgers.items():
        family.add_metric([stream, "hit"], ledger.on_time)
        family.add_metric([stream, "late"], ledger.late)
        family.add_metric([stream, "dropped"], ledger.dropped.get(DropReason.DEADLINE, 0))
    return family


def _latencies(ledgers: Mapping[str, LedgerStatus]) -> Metric:
    family = GaugeMetricFamily(
        "sightline_latency_seconds",
        "Arrival of a frame to its detections, quantiles since the stream was claimed.",
        labels=["stream", "quantile"],
    )
    for stream, ledger in ledgers.items():
        for name, quantile in _QUANTILES.items():
            if name in ledger.latency_ms:
                family.add_metric([stream, quantile], ledger.latency_ms[name] / 1e3)
    return family


def _crops(snapshot: Snapshot, max_labels: int) -> Iterator[Metric]:
    """Crops for secondary models; those of streams beyond the bound are added up."""
    asked, answered, missed = (
        CounterMetricFamily(f"sightline_crops_{name}", about, labels=["stream", "secondary", *more])
        for name, about, more in (
            ("asked", "Crops of objects that secondary models were asked to look at.", []),
            ("answered", "Of these, how many were read.", []),
            ("missed", "Of these, how many were not, by reason.", ["reason"]),
        )
    )
    for (stream, name), some in _crops_by_label(snapshot, max_labels).items():
        asked.add_metric([stream, name], sum(each.num_asked for each in some))
        answered.add_metric([stream, name], sum(each.num_answered for each in some))
        for why in MissReason:
            num = sum(each.missed.get(why, 0) for each in some)
            missed.add_metric([stream, name, why.value], num)
    yield from (asked, answered, missed)


def _crops_by_label(snapshot: Snapshot, max_labels: int) -> dict[tuple[str, str], list[CropStatus]]:
    found: dict[tuple[str, str], list[CropStatus]] = {}
    streams = [stream for stream in snapshot.streams if stream in snapshot.statuses]
    for number, stream in enumerate(streams):
        label = stream if number < max_labels else OTHER
        for name, crops in snapshot.statuses[stream].crops.items():
            found.setdefault((label, name), []).append(crops)
    return found


def _states(snapshot: Snapshot, max_labels: int) -> Iterator[Metric]:
    states = {stream: snapshot.state(stream).state for stream in snapshot.streams}
    info = GaugeMetricFamily(
        "sightline_stream_state", "1 for the state that a stream is in.", labels=["stream", "state"]
    )
    for stream, state in list(states.items())[:max_labels]:
        info.add_metric([stream, state.value], 1.0)
    yield info
    count = GaugeMetricFamily("sightline_streams", "Stream jobs by state.", labels=["state"])
    for state in ShownState:
        count.add_metric([state.value], sum(s is state for s in states.values()))
    yield count


def _steps(snapshot: Snapshot, max_labels: int) -> Metric:
    family = GaugeMetricFamily(
        "sightline_stream_degrade_step",
        "1 for what long overload takes from a stream.",
        labels=["stream", "step"],
    )
    for stream in list(snapshot.streams)[:max_labels]:
        family.add_metric([stream, snapshot.state(stream).degrade_step.value], 1.0)
    return family
