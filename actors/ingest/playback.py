"""One session's packets on their way through the decoder into the outbox."""

from __future__ import annotations

import time
from dataclasses import replace

from av.packet import Packet
from av.video.stream import VideoStream

from actors.ingest.decoder import CpuDecoder, Decoded
from actors.ingest.decoding import tell_fallback
from actors.ingest.delivery import Arrival, Delivery, FramePolicy
from actors.ingest.facilities import Facilities
from actors.ingest.giving_way import Patience
from actors.ingest.lag import DecodeLag
from actors.ingest.lane import Lane
from actors.ingest.properties import SourceProperties
from actors.messages import HELD_BACK

_MAX_LATE_S = 0.25  # of a picture that had to wait for its turn: the rest of its GOP would, too


class Playback:
    """Decodes packets and delivers their pictures, in whichever thread has them; one at a time.

    Args:
        decoder: Of the stream.
        delivery: Of the session.
        lane: Its way into the outbox.
        facilities: Of the actor.
        properties: What the source says of itself.

    Attributes:
        properties: The same with what the pictures tell.
        held_at: Monotonic time of the last packet that needed not become a picture.
    """

    def __init__(
        self,
        decoder: CpuDecoder,
        delivery: Delivery,
        lane: Lane,
        facilities: Facilities,
        properties: SourceProperties,
    ) -> None:
        self.properties = properties
        self.held_at: float | None = None
        self._decoder = decoder
        self._delivery = delivery
        self._lane = lane
        self._outbox = facilities.outbox
        self._gate = facilities.gate
        self._lag = DecodeLag()
        self._tick_s: float | None = None
        self._num_errors = decoder.num_errors
        self._seen: tuple[int, int, str] | None = None
        self._last: Arrival | None = None
        self._patience = Patience(facilities.lateness)

    @property
    def can_be_deferred(self) -> bool:
        """Whether pictures come from the GPU, and may be collected some time after their packets.

        Not before the first: a decoder is opened with it, which takes long.
        """
        decoder = self._decoder
        return decoder.is_deferred and decoder.name == "nvdec" and self._seen is not None

    @property
    def has_begun(self) -> bool:
        """Whether the last packet was decoded, or begun; else it was left out."""
        return self._decoder.has_begun

    @property
    def progress(self) -> object:
        """Differs from what it was before if anything has been played."""
        return self._delivery.num_frames, self.held_at

    def time_s(self, packet: Packet[VideoStream]) -> float | None:
        """When a packet is to be decoded, seconds in the source's clock; None if it has no time."""
        if self._tick_s is None:  # it costs as much as all else here, and stays the same
            self._tick_s = float(packet.time_base or 0)
        stamp = packet.dts
        if stamp is None:
            stamp = packet.pts
        return None if stamp is None or not self._tick_s else stamp * self._tick_s

    def note(self, packet: Packet[VideoStream], now: float, waited_s: float) -> None:
        """A packet is taken up by a thread of the session's own; see ``DecodeLag.note``."""
        busy_s = time.thread_time() if self._lag.is_due(now) else None  # a system call
        self._lag.note(self.time_s(packet), now, waited_s, busy_s)

    def note_shared(self, packet: Packet[VideoStream], now: float, waited_s: float) -> None:
        """The same by a thread that works for many, and has waited for all of them so long."""
        self._lag.note(self.time_s(packet), now, waited_s, 0.0)

    def lag_s(self, now: float) -> float:
        """How far the session is behind for want of processor time, seconds; see DecodeLag."""
        return self._lag.lag_s(now)

    def repeat(self) -> None:
        """A file begins again."""
        self._decoder.restart()
        self._lag.repeat()

    def take(self, packet: Packet[VideoStream], arrival: Arrival, policy: FramePolicy) -> None:
        """Decode when it is the camera's turn; go on with the next key frame where it is late."""
        decoder = self._decoder
        if decoder.name != "cpu":
            self.give_way(packet, policy)
        elif not decoder.leaves_out(packet):
            self._take_in_turn(packet, arrival, policy)
            return
        self._take(packet, arrival, policy)

    def give_way(self, packet: Packet[VideoStream], policy: FramePolicy) -> None:
        """Go on with the next key frame where the GPU's decoder is behind; see ``Patience``."""
        now = time.monotonic()
        late_s = self._lag.late_s(self.time_s(packet), now)
        if self._patience.ends(policy.rank, late_s, now):
            self.collect(policy)
            self._decoder.catch_up()

    def begin(self, packet: Packet[VideoStream], arrival: Arrival, policy: FramePolicy) -> None:
        """Begin to decode a packet; what comes out at once is of the one before, where it can be.

        A key frame that is decoded alone comes at once.
        """
        decoder, is_held = self._decoder, policy.step in HELD_BACK
        if is_held:
            self.collect(policy)
        last, self._last = self._last or arrival, arrival
        came = last if decoder.is_deferred and not is_held else arrival
        if is_held or not decoder.has_begun:
            self._note_step(packet, arrival, policy)
        self._deliver(decoder.begin(packet, policy.step), came, policy)

    def collect(self, policy: FramePolicy) -> None:
        """Deliver the picture that was begun last, if it has not come yet."""
        if self._last is not None:
            self._deliver(self._decoder.collect(), self._last, policy)

    def _take_in_turn(
        self, packet: Packet[VideoStream], arrival: Arrival, policy: FramePolicy
    ) -> None:
        came_at = arrival.monotonic - self._lag.lag_s(arrival.monotonic)
        with self._gate.enter(came_at, policy.rank):
            if time.monotonic() - came_at > _MAX_LATE_S:
                self._decoder.catch_up()
            self._take(packet, arrival, policy)

    def _take(self, packet: Packet[VideoStream], arrival: Arrival, policy: FramePolicy) -> None:
        self.begin(packet, arrival, policy)
        self.collect(policy)

    def _note_step(
        self, packet: Packet[VideoStream], arrival: Arrival, policy: FramePolicy
    ) -> None:
        if policy.step in HELD_BACK:
            self.held_at = arrival.monotonic
        if self._decoder.leaves_out(packet):
            self._outbox.count_skipped(self._lane)

    def _deliver(self, pictures: list[Decoded], arrival: Arrival, policy: FramePolicy) -> None:
        """Hand on the pictures that the decoder has given, and count what it has refused."""
        decoder = self._decoder
        for decoded in pictures:
            frame = decoded.frame
            seen = (frame.width, frame.height, decoder.name)
            if seen != self._seen:
                self._note_picture(*seen)
                self._seen = seen
            self._delivery.deliver(decoded, arrival, policy)
        num_refused = decoder.num_errors - self._num_errors
        if num_refused:
            self._num_errors += num_refused
            self._outbox.count_decode_errors(self._lane, num_refused)

    def _note_picture(self, width: int, height: int, decoder: str) -> None:
        """Size and decoder are known with the first picture, and may change with a later one."""
        known, fallback = self.properties, self._decoder.fallback
        if fallback and known.decoder != decoder:
            tell_fallback(fallback)
        self.properties = replace(
            known, width=width, height=height, decoder=decoder, fallback=fallback
        )
