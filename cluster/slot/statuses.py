"""The status of each stream of a slot, from what its actors last said and what was seen before."""

from __future__ import annotations

from collections.abc import Iterable

from actors.ingest.status import StreamStatus as CameraStatus
from actors.ledger import Ledger
from cluster.registry import StreamStatus
from cluster.slot.crew import Crew
from cluster.slot.decode_load import DecodeMeter
from cluster.slot.holdings import Holdings
from cluster.slot.rates import RateMeter
from cluster.slot.stream_report import (
    StreamNews,
    cameras_of,
    crops_of,
    last_events_of,
    queue_ages_of,
    stream_status,
)


class Statuses:
    """Remembers of each stream what is needed to say how it is.

    Args:
        name: The slot's.
        crew: The slot's actors.
        ledger: Its frame ledger.
        holdings: The streams that it holds.
    """

    def __init__(self, name: str, crew: Crew, ledger: Ledger, holdings: Holdings) -> None:
        self._name = name
        self._crew = crew
        self._ledger = ledger
        self._holdings = holdings
        self._last_seen: dict[str, CameraStatus] = {}
        self._meters: dict[str, RateMeter] = {}
        self._decoding: dict[str, DecodeMeter] = {}

    def of(self, streams: Iterable[str], now: float) -> dict[str, StreamStatus]:
        """The status of these streams, which are held; ``now`` in seconds, never going back."""
        cameras, events = cameras_of(self._crew), last_events_of(self._crew)
        ages, crops = queue_ages_of(self._crew), crops_of(self._crew)
        statuses = {}
        for stream in streams:
            holding = self._holdings[stream]
            entry = self._ledger.row(holding.assignment.ledger_row).read()
            meter = self._meters.setdefault(stream, RateMeter())
            news = StreamNews(
                camera=self._camera(stream, cameras.get(stream)),
                entry=entry,
                rates=meter.measure(entry, now),
                queue_age_ms=ages.get(stream),
                last_event=events.get(stream),
                was_seen=stream in self._last_seen,
                decode_mpx_s=self._measured_mpx_s(stream, cameras.get(stream), now),
                crops=crops.get(stream, {}),
            )
            statuses[stream] = stream_status(holding, news, self._name)
        return statuses

    def expect(self, stream: str, decode_mpx_s: float) -> None:
        """The stream was claimed; decoding it took so much where it ran before."""
        self._decoding[stream] = DecodeMeter(decode_mpx_s)

    def decode_mpx_s(self, stream: str) -> float | None:
        """What decoding a stream takes; None while that is not known."""
        meter = self._decoding.get(stream)
        return None if meter is None else meter.mpx_s

    @property
    def decode_load_mpx_s(self) -> float:
        """What decoding all streams takes; those of which that is not known left out."""
        return sum(meter.mpx_s or 0.0 for meter in self._decoding.values())

    def forget(self, stream: str) -> None:
        """The stream was let go."""
        self._last_seen.pop(stream, None)
        self._meters.pop(stream, None)
        self._decoding.pop(stream, None)

    def _measured_mpx_s(self, stream: str, camera: CameraStatus | None, now: float) -> float | None:
        meter = self._decoding.setdefault(stream, DecodeMeter())
        if camera is not None:
            meter.observe(camera, now)
        return meter.mpx_s

    def _camera(self, stream: str, camera: CameraStatus | None) -> CameraStatus | None:
        """A camera that was closed is still shown as it was last seen, until it is let go."""
        if camera is not None:
            self._last_seen[stream] = camera
            return camera
        return self._last_seen.get(stream) if self._holdings[stream].closing else None
