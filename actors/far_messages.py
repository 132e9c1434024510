"""What travels between an engine and ingest actors on other machines."""

from __future__ import annotations

from dataclasses import dataclass

from actors.messages import SubmitReply, SubmitRequest


@dataclass(frozen=True, slots=True)
class FarRequest:
    """A request of an ingest actor on another machine, which cannot write into the pool itself.

    Attributes:
        request: With all times by the engine's clock.
        pictures: The packed planes of each ticket's picture, in the order of the tickets.
    """

    request: SubmitRequest
    pictures: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class FarReply:
    """The answer, with what tells the two machines' clocks apart.

    Attributes:
        reply: With all times by the engine's clock.
        received_at: The engine's ``time.monotonic()`` when the request was there, seconds.
        answered_at: The same when the answer left.
    """

    reply: SubmitReply
    received_at: float
    answered_at: float
