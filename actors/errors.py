"""Everything that actors raise.

ActorError
├── SourceError            a camera or file could not be opened or read; says whether to try again
├── SinkError              a sink refused or lost its server
├── DecodeMeasurementError what a decoder does could not be measured
├── StateError             what analytics are to go on from cannot be read
└── StaleGenerationError   a caller speaks of a pool or session that has been replaced
"""

from __future__ import annotations


class ActorError(Exception):
    """Root of all errors raised by actors."""


class SourceError(ActorError):
    """A source cannot be opened or read.

    Args:
        reason: A short word for states, events and metrics: ``refused``, ``not_found``,
            ``unauthorized``, ``timeout``, ``disconnected``, ``no_video``, ``invalid``,
            ``unsupported``, ``stalled``, ``forbidden``.
        message: What happened, without credentials, and the remedy.
        permanent: True where trying again cannot help without a change by the user.
    """

    def __init__(self, reason: str, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.permanent = permanent

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the fields when the error crosses a process."""
        return _source_error, (self.reason, self.message, self.permanent)


def _source_error(reason: str, message: str, permanent: bool) -> SourceError:
    return SourceError(reason, message, permanent=permanent)


class SinkError(ActorError):
    """A sink refused an event or lost its server."""


class DecodeMeasurementError(ActorError):
    """What a decoder does could not be measured.

    Args:
        decoder: ``cpu`` or ``nvdec``.
        reason: For people.
    """

    def __init__(self, decoder: str, reason: str) -> None:
        super().__init__(f"what {decoder} decodes cannot be measured: {reason}")
        self.decoder = decoder
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the fields when the error crosses a process."""
        return DecodeMeasurementError, (self.decoder, self.reason)


class StateError(ActorError):
    """What a stream's analytics are to go on from is damaged, or of another version."""


class StaleGenerationError(ActorError):
    """A caller speaks of a pool or session that has been replaced; it must attach again."""
