"""What can go wrong with a camera server or its videos; each message carries the remedy."""

from __future__ import annotations


class CameraServerError(Exception):
    """The root of every error that this package raises on purpose."""


class VideoError(CameraServerError):
    """A video that cannot be played."""


class UnreadableVideoError(VideoError):
    """The file is missing, truncated or not a video."""


class NoVideoStreamError(VideoError):
    """The file can be read, and holds no pictures."""


class UnsupportedCodecError(VideoError):
    """The pictures are neither H.264 nor H.265."""


class VideoTooLargeError(VideoError):
    """The packets of the video would not fit in the memory that is allowed for them."""


class TranscodeError(VideoError):
    """The video could not be decoded and encoded again."""


class InvalidCameraError(CameraServerError):
    """A camera was described with a value that cannot work."""


class UnknownCameraError(CameraServerError):
    """No camera of that name is on the server."""


class InvalidFaultError(CameraServerError):
    """A fault was described with an unknown kind or a bad parameter."""


class CameraProcessError(CameraServerError):
    """The process of the camera server did not start, or did not answer."""
