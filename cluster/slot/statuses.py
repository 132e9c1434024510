"""The status of each stream of a slot, from what its actors last said and what was seen before."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from actors.ingest.status import StreamStatus as CameraStatus
from actors.ledger import Ledger
from cluster.registry import StreamStatus
from cluster.slot.crew import Crew
from cluster.slot.decode_load import DecodeMeter
from cluster.slot.holdings import Holdings
from cluster.slot.rates import NOT_OFFERED, RateMeter, Rates
from cluster.slot.stream_report import (
    Doing,
    StreamNews,
    analytics_of,
    cameras_of,
    doing,
    queue_age_ms,
    stream_status,
)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the last look at a stream found."""

    doing: Doing
    fps: float
    rates: Rates


class Statuses:
    """Remembers of each stream what is needed to say how it is.

    All streams are looked at again and again; of few the whole status is written each time.

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
        self._seen: dict[str, _Seen] = {}
        self._meters: dict[str, RateMeter] = {}
        self._decoding: dict[str, DecodeMeter] = {}

    def look(self, streams: Collection[str], now: float) -> dict[str, Doing]:
        """What these streams do, which are held; ``now`` in seconds, never going back."""
        cameras = cameras_of(self._crew)
        frames = self._ledger.frames(NOT_OFFERED).tolist()
        for stream in streams:
            offered, inferred = frames[self._holdings[stream].assignment.ledger_row]
            meter = self._meters.setdefault(stream, RateMeter())
            rates = meter.measure(offered, inferred, now)
            self._seen[stream] = self._look_at(stream, cameras.get(stream), rates, now)
        return {stream: self._seen[stream].doing for stream in streams}

    def of(self, streams: Iterable[str]) -> dict[str, StreamStatus]:
        """The status of these streams, as of the last look at each, with the counts of now."""
        analysed, engine = analytics_of(self._crew), self._crew.engine_status
        statuses = {}
        for stream in streams:
            seen, known = self._seen[stream], analysed.get(stream)
            event = known.last_event if known is not None else None
            news = StreamNews(
                doing=seen.doing,
                fps=seen.fps,
                entry=self._ledger.row(self._holdings[stream].assignment.ledger_row).read(),
                rates=seen.rates,
                queue_age_ms=queue_age_ms(engine, stream),
                last_event=event.to_dict() if event is not None else None,
                crops=known.crops if known is not None else {},
            )
            statuses[stream] = stream_status(news, self._name)
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
        self._seen.pop(stream, None)
        self._meters.pop(stream, None)
        self._decoding.pop(stream, None)

    def _look_at(self, stream: str, camera: CameraStatus | None, rates: Rates, now: float) -> _Seen:
        shown = self._camera(stream, camera)
        known = doing(
            self._holdings[stream],
            shown,
            was_seen=stream in self._last_seen,
            decode_mpx_s=self._measured_mpx_s(stream, camera, now),
        )
        return _Seen(known, shown.fps if shown else 0.0, rates)

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
