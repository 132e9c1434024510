"""One thread that reads and decodes for all cameras of an actor whose pictures a GPU decodes.

A thread a camera wakes up for each of its packets, waits for each of its pictures and meets all
others at Python's lock and at those of the driver: with 32 cameras 19 times a picture. Here nobody
waits: a round begins a picture of each camera whose packets have come, which gives out the one
before, and collects those that were begun two rounds before where no other has come. Where cameras
have more, the next round comes sooner; but not at once: a picture that is asked for before it is
done costs more than all the rest of it, and makes all other cameras' pictures late.
"""

from __future__ import annotations

import logging
import selectors
import threading
import time
from collections.abc import Iterable
from typing import Protocol

from actors.ingest.delivery import Arrival

_USUAL_BEAT_S = 0.016
_FEW = 8
_FASTER = 4.0
_CATCHING_UP = 2.0
"""So much shorter is the pause where a camera has more packets: none would be waiting again."""
_PATIENCE = 2
"""Rounds after which a picture is asked for; by then the next one of most cameras has come."""
_EARLY = 0.25
"""Of a beat: rounds do not come to the microsecond."""
_LOOK_AFTER_S = 0.05
_IDLE_S = 1.0
_MAX_WAITING = 8
"""Packets of a camera; what comes beyond stays in its connection."""

log = logging.getLogger(__name__)


class Seat(Protocol):
    """A camera in the rounds. What its methods raise ends its stay."""

    @property
    def has_left(self) -> bool:
        """Whether it wants no further turn."""

    def fileno(self) -> int:
        """What can be read when packets have come."""

    @property
    def num_waiting(self) -> int:
        """Packets that have been read and not begun."""

    def collect(self) -> None:
        """Deliver what was begun last, if no other packet has made it come."""

    def begin(self) -> None:
        """Begin to decode one packet, if there is any, and deliver what was begun before it."""

    def read(self, arrival: Arrival, waited_s: float) -> None:
        """Take what has come.

        Args:
            arrival: Of the round before, when it had not come yet.
            waited_s: How long the rounds have stood still so far, seconds.
        """


class Rounds:
    """Takes cameras round after round, each in the middle of a beat.

    With few cameras the rounds are shorter: then a picture's latency is worth more than the
    processor time of looking for it.

    Args:
        beat_s: From one round to the next; 0 for the usual one. Where the engine is called on a
            beat, half of that: a call comes half a round after a round has begun.
    """

    def __init__(self, beat_s: float) -> None:
        self._beat_s = beat_s or _USUAL_BEAT_S
        self._changed = threading.Condition()
        self._joining: list[_Stay] = []
        self._is_ending = False
        self._thread: threading.Thread | None = None
        self._began: float | None = None

    def play(self, seat: Seat) -> None:
        """Take part until the seat has left or the rounds are over.

        Raises:
            Exception: what one of its methods has raised.
        """
        stay = _Stay(seat)
        with self._changed:
            if self._is_ending:
                return
            self._joining.append(stay)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rounds", daemon=True)
                self._thread.start()
            self._changed.notify()
        stay.is_over.wait()
        if stay.error is not None:
            raise stay.error

    def stop(self) -> None:
        """End all stays; may be called twice."""
        with self._changed:
            self._is_ending = True
            self._changed.notify()

    def stuck_s(self, now: float) -> float:
        """How long the round of this moment has lasted, seconds: a call of the GPU may hang."""
        began = self._began
        return 0.0 if began is None else max(now - began, 0.0)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            rounds = _Cycle(selector)
            try:
                while self._admit(rounds):
                    beat_s = self._beat_s if len(rounds.stays) > _FEW else self._beat_s / _FASTER
                    self._began = began = time.monotonic()
                    rounds.turn(beat_s)
                    ended, self._began = time.monotonic(), None
                    if rounds.is_behind:
                        beat_s /= _CATCHING_UP
                    rounds.rest(_pause_s(beat_s, began, ended))
            finally:
                with self._changed:
                    self._thread = self._began = None  # whoever comes next begins anew
                rounds.end()

    def _admit(self, rounds: _Cycle) -> bool:
        """Let in whoever waits, and sleep while nobody is there; False when all is over."""
        with self._changed:
            while not self._is_ending and not self._joining and not rounds.stays:
                self._changed.wait(_IDLE_S)
            joining, self._joining = self._joining, []
            for stay in joining:
                rounds.admit(stay)
            return not self._is_ending


class _Stay:
    """A seat from its coming to its leaving."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.is_over = threading.Event()
        self.error: BaseException | None = None
        self._begun_at = float("-inf")

    def read(self, arrival: Arrival, waited_s: float) -> None:
        """See ``Seat.read``; what it raises is kept, as is what ``go_on`` meets."""
        try:
            self.seat.read(arrival, waited_s)
        except BaseException as error:  # its own thread says what it means
            self.error = error

    def go_on(self, now: float, beat_s: float) -> bool:
        """Begin a picture, or collect one; False where none is left to collect.

        Args:
            now: When this round has begun, monotonic, seconds.
            beat_s: From one round to the next, seconds.
        """
        if self.error is not None:
            return False
        try:
            has_more = self.seat.num_waiting > 0
            num_rounds = 1 if has_more else _PATIENCE
            if now - self._begun_at < (num_rounds - _EARLY) * beat_s:
                return True
            if not has_more:
                self.seat.collect()
                return False
            self.seat.begin()
            self._begun_at = now
        except BaseException as error:
            self.error = error
        return self.error is None


class _Cycle:
    """The rounds' own thread: who is in, and what was seen when.

    Attributes:
        stays: Who is in.
        is_behind: Whether a camera has packets that the last round has not begun.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self.stays: list[_Stay] = []
        self.is_behind = False
        self._selector = selector
        self._busy: dict[_Stay, None] = {}
        self._looked: Arrival | None = None
        self._looked_after = 0.0
        self._waited_s = 0.0

    def admit(self, stay: _Stay) -> None:
        """From the next round on."""
        if not self.stays:
            self._looked = None  # there were no rounds meanwhile
        try:
            self._selector.register(stay.seat.fileno(), selectors.EVENT_READ, stay)
        except (OSError, ValueError, KeyError) as error:  # hung up meanwhile
            stay.error = error
            stay.is_over.set()
        else:
            self.stays.append(stay)

    def turn(self, beat_s: float) -> None:
        """One round; see ``_Stay.go_on``."""
        now = Arrival(time.monotonic(), time.time())
        arrival, self._looked = self._looked or now, now
        for key, _ in self._selector.select(0):
            stay: _Stay = key.data
            if stay.seat.num_waiting < _MAX_WAITING:
                stay.read(arrival, self._waited_s)
            self._busy[stay] = None
        turned, self._busy, self.is_behind = self._busy, {}, False
        for stay in turned:
            if stay.go_on(now.monotonic, beat_s):
                self._busy[stay] = None
                self.is_behind |= stay.seat.num_waiting > 0
        self._dismiss(turned, now.monotonic)

    def rest(self, pause_s: float) -> None:
        """Sleep until the next round."""
        time.sleep(pause_s)
        self._waited_s += pause_s

    def end(self) -> None:
        """Let everybody go."""
        for stay in self.stays:
            stay.is_over.set()

    def _dismiss(self, turned: Iterable[_Stay], now: float) -> None:
        """Whoever had a turn is looked at at once, all others several times a second."""
        if now - self._looked_after > _LOOK_AFTER_S:
            turned, self._looked_after = self.stays, now
        for stay in [stay for stay in turned if stay.error is not None or stay.seat.has_left]:
            self.stays.remove(stay)
            self._busy.pop(stay, None)
            self._selector.unregister(stay.seat.fileno())
            stay.is_over.set()


def _pause_s(beat_s: float, began: float, ended: float) -> float:
    """To the middle of a beat, which all processes of a machine share; 0 if that has passed."""
    next_s = began + beat_s - (began - beat_s / 2) % beat_s
    if next_s - began < beat_s / 2:
        next_s += beat_s
    return max(0.0, next_s - ended)
