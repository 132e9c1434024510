"""One camera: a succession of sessions, supervised by ticks of a clock that all cameras share."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from actors.errors import SourceError
from actors.ingest.backoff import Backoff
from actors.ingest.delivery import FramePolicy
from actors.ingest.facilities import Facilities
from actors.ingest.lane import Lane
from actors.ingest.properties import SourceProperties
from actors.ingest.session import Session, SessionSpec
from actors.ingest.status import StreamStatus
from actors.ledger import LedgerRow
from actors.messages import Assignment, StreamState
from actors.specs import QosClass

_PATIENCE = 3
_RANKS = {qos_class: rank for rank, qos_class in enumerate(QosClass)}

log = logging.getLogger(__name__)


class Camera:
    """Opens its source, opens it again when it fails, and says what it is doing.

    Not thread-safe: whoever ticks, updates, closes and asks must do so one at a time.

    Args:
        assignment: The stream.
        row: Its ledger row.
        facilities: Of the actor.
        backoff: Delays between attempts.
        utc: Now, seconds since 1970.
    """

    def __init__(
        self,
        assignment: Assignment,
        row: LedgerRow,
        facilities: Facilities,
        backoff: Backoff,
        utc: float,
    ) -> None:
        self.assignment = assignment
        self._row = row
        self._facilities = facilities
        self._steps = facilities.outbox.steps
        self._config = facilities.config
        self._backoff = backoff
        self._session: Session | None = None
        self._stuck: list[Session] = []
        self._number = 0
        self._num_attempts = 0
        self._num_running = 0
        self._last_ts = 0.0
        self._properties: SourceProperties | None = None
        self._state = StreamState.PENDING
        self._reason = self._message = ""
        self._since = utc
        self._next_attempt: float | None = None
        self._begin(utc)

    def tick(self, now: float, utc: float, stood_still_s: float) -> None:
        """See how the session does, and start one where it is time.

        Args:
            now: Monotonic time, seconds.
            utc: Now, seconds since 1970.
            stood_still_s: For so long the process has not run since the last tick.
        """
        if self._stuck:
            self._stuck = [session for session in self._stuck if not session.is_over]
        if self._session is None:
            self._start_if_due(now, utc)
        elif self._session.is_over:
            self._conclude(self._session, self._session.error, now, utc)
        else:
            self._supervise(self._session, now, utc, stood_still_s)

    def update(self, assignment: Assignment, row: LedgerRow, utc: float) -> None:
        """Follow a changed spec; the source is opened anew only where it or its row is another."""
        is_same_source = _source_key(assignment) == _source_key(self.assignment)
        self.assignment, self._row = assignment, row
        if not is_same_source:
            self._drop_session()
            self._backoff.reset()
            self._begin(utc)
        elif self._session is not None:
            self._session.policy = self._policy()

    def close(self) -> None:
        """End the session; nothing more comes of it from now on."""
        self._drop_session()
        self._next_attempt = None

    def join(self, deadline: float) -> None:
        """Wait for the threads of all sessions, until ``deadline`` of the monotonic clock."""
        for session in self._stuck:
            session.join(max(0.0, deadline - time.monotonic()))

    def status(self, now: float) -> StreamStatus:
        """What the camera is doing."""
        return StreamStatus(
            stream=self.assignment.spec.id,
            state=self._state,
            reason=self._reason,
            message=self._message,
            since=self._since,
            properties=self._current_properties(),
            fps=self._session.delivery.rate.fps(now) if self._session is not None else 0.0,
            session=self._number,
            generation=self.assignment.generation,
            degrade_step=self._steps.of(self.assignment.spec.id).step,
            decode_lag_s=self.decode_lag_s(now),
        )

    def decode_lag_s(self, now: float) -> float:
        """How far the session is behind for want of processor time, seconds; see DecodeLag."""
        return self._session.decode_lag_s(now) if self._session is not None else 0.0

    def _begin(self, utc: float) -> None:
        if self.assignment.spec.enabled:
            self._set_state(StreamState.CONNECTING, utc)
            self._next_attempt = 0.0
        else:
            self._set_state(StreamState.PENDING, utc, "disabled", "switched off: set enabled")
            self._next_attempt = None

    def _start_if_due(self, now: float, utc: float) -> None:
        if self._next_attempt is None or now < self._next_attempt:
            return
        if len(self._stuck) >= self._config.max_stuck_sessions:
            return
        spec = self.assignment.spec
        # Numbers go on from the clock, so that they count up over restarts of the actor too.
        self._number = max(self._number + 1, int(utc))
        plan = SessionSpec(
            self._number, spec.url, spec.transport, spec.loop, self._open_timeout_s(), self._last_ts
        )
        lane = Lane(spec.id, self._row)
        self._session = Session(plan, self._policy(), lane, self._facilities)
        self._session.start()

    def _follow_step(self, session: Session) -> None:
        """Take over what the engine's ladder has said meanwhile; asked at every tick."""
        held, policy = self._steps.of(self.assignment.spec.id), session.policy
        if held.step is not policy.step or held.max_fps != policy.cap_fps:
            session.policy = replace(policy, step=held.step, cap_fps=held.max_fps)

    def _policy(self) -> FramePolicy:
        spec = self.assignment.spec
        held = self._steps.of(spec.id)
        deadline_s = spec.qos.resolved().deadline_ms / 1e3
        rank = _RANKS[spec.qos.class_name]
        return FramePolicy(spec.max_fps, deadline_s, held.step, held.max_fps, rank)

    def _open_timeout_s(self) -> float:
        # Some servers send nothing before the next key frame. A camera that has never opened gets
        # more time for that at every second attempt; one that has must be back soon.
        self._num_attempts += 1
        is_patient = not self._num_running and self._num_attempts % 2 == 0
        return self._config.open_timeout_s * (_PATIENCE if is_patient else 1)

    def _current_properties(self) -> SourceProperties | None:
        """Those of the session; while there is none, of the last one that had any."""
        if self._session is not None and self._session.properties is not None:
            self._properties = self._session.properties
        return self._properties

    def _supervise(self, session: Session, now: float, utc: float, stood_still_s: float) -> None:
        self._follow_step(session)
        error = session.overdue(now, stood_still_s)
        if error is not None:
            self._drop_session()
            self._conclude(session, error, now, utc)
        elif session.has_begun and self._state is not StreamState.RUNNING:
            if self._num_running:
                self._row.count_reconnect()
            self._num_running += 1
            self._set_state(StreamState.RUNNING, utc)

    def _conclude(
        self, session: Session, error: SourceError | None, now: float, utc: float
    ) -> None:
        self._session = None
        self._last_ts = session.delivery.last_ts
        self._next_attempt = None
        if error is None:
            self._set_state(StreamState.ENDED, utc)
        elif error.permanent:
            self._set_state(StreamState.FAILED, utc, error.reason, error.message)
        else:
            self._set_state(StreamState.RECONNECTING, utc, error.reason, error.message)
            self._next_attempt = self._attempt_after(session, now)

    def _attempt_after(self, session: Session, now: float) -> float:
        # Counted from the start of the attempt: one that has waited long for an answer need not
        # be followed by a long pause.
        delay_s = self._backoff.delay_s(now, session.lived_s(now))
        return max(session.started_at + delay_s, now + min(delay_s, self._backoff.policy.first_s))

    def _drop_session(self) -> None:
        if self._session is not None:
            self._session.abandon()
            self._stuck.append(self._session)
            self._last_ts = self._session.delivery.last_ts
            self._session = None

    def _set_state(
        self, state: StreamState, utc: float, reason: str = "", message: str = ""
    ) -> None:
        if (state, reason) != (self._state, self._reason):
            self._since = utc
            log.info("stream %s: %s %s", self.assignment.spec.id, state.value, message)
        self._state, self._reason, self._message = state, reason, message


def _source_key(assignment: Assignment) -> tuple[object, ...]:
    spec = assignment.spec
    return spec.url, spec.transport, spec.loop, spec.enabled, assignment.ledger_row
