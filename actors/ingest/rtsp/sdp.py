"""What a camera says of its video (SDP, RFC 8866, with the formats of RFC 6184 and RFC 7798)."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from actors.ingest.rtsp.unfamiliar import UnfamiliarError

CLOCK_HZ = 90_000
"""Of all video in RTP that is read here."""

_MAX_FPS = 1000.0
_PROFILES = ("RTP/AVP", "RTP/AVP/TCP")
_CODECS: Mapping[str, str] = {"H264": "h264", "H265": "hevc", "HEVC": "hevc"}
_SETS: Mapping[str, Sequence[str]] = {
    "h264": ("sprop-parameter-sets",),
    "hevc": ("sprop-vps", "sprop-sps", "sprop-pps"),
}
# Parameters by which packets come in another order than pictures are coded.
_REORDERING = ("sprop-interleaving-depth", "sprop-max-don-diff", "sprop-depack-buf-nalus")


@dataclass(frozen=True, slots=True)
class VideoDescription:
    """The one video of a camera.

    Attributes:
        codec: FFmpeg's name: ``h264`` or ``hevc``.
        payload_type: Of its RTP packets.
        control: Names the video in SETUP; may be relative or empty.
        aggregate_control: Names the whole in PLAY; may be relative or empty.
        parameter_sets: NAL units; none where they come with the pictures only.
        fps: Pictures a second; None where it does not say.
    """

    codec: str
    payload_type: int
    control: str
    aggregate_control: str
    parameter_sets: tuple[bytes, ...]
    fps: float | None


@dataclass(slots=True)
class _Section:
    media: str = ""
    attributes: dict[str, list[str]] = field(default_factory=dict)

    def value(self, name: str) -> str:
        return self.attributes.get(name, [""])[0]

    def of_type(self, name: str, payload_type: int) -> str:
        """An attribute's value for a payload type; empty where there is none."""
        for value in self.attributes.get(name, ()):
            number, _, rest = value.partition(" ")
            if number == str(payload_type):
                return rest.strip()
        return ""


def parse_sdp(body: bytes) -> VideoDescription:
    """The video that a description offers.

    Raises:
        UnfamiliarError: if that is not exactly one, or one that this client cannot read.
    """
    session, *media = _sections(body.decode("utf-8", "replace"))
    videos = [section for section in media if section.media.startswith("video ")]
    if len(videos) != 1:
        raise UnfamiliarError(f"offers {len(videos)} videos")
    video = videos[0]
    payload_type = _payload_type(video.media)
    codec = _codec(video.of_type("rtpmap", payload_type))
    parameters = _parameters(video.of_type("fmtp", payload_type))
    _check_order(parameters)
    return VideoDescription(
        codec=codec,
        payload_type=payload_type,
        control=video.value("control"),
        aggregate_control=session.value("control"),
        parameter_sets=_parameter_sets(codec, parameters),
        fps=_fps(video.value("framerate")),
    )


def _sections(text: str) -> list[_Section]:
    sections = [_Section()]
    for line in text.splitlines():
        kind, _, value = line.strip().partition("=")
        if kind == "m":
            sections.append(_Section(value))
        elif kind == "a":
            name, _, content = value.partition(":")
            sections[-1].attributes.setdefault(name.lower(), []).append(content.strip())
    return sections


def _payload_type(media: str) -> int:
    words = media.split()
    if len(words) != 4 or words[2].upper() not in _PROFILES:
        raise UnfamiliarError("offers its video by another way than plain RTP of one format")
    if words[3] not in map(str, range(128)):
        raise UnfamiliarError("names no payload type for its video")
    return int(words[3])


def _codec(mapping: str) -> str:
    encoding, _, clock = mapping.partition("/")
    codec = _CODECS.get(encoding.upper())
    if codec is None or clock.strip() != str(CLOCK_HZ):
        raise UnfamiliarError("sends another coding than H.264 or H.265")
    return codec


def _parameters(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _check_order(parameters: Mapping[str, str]) -> None:
    is_plain = (
        parameters.get("packetization-mode", "0") in ("0", "1")
        and parameters.get("tx-mode", "SRST").upper() == "SRST"
        and all(parameters.get(name, "0") == "0" for name in _REORDERING)
    )
    if not is_plain:
        raise UnfamiliarError("interleaves the NAL units of its video")


def _parameter_sets(codec: str, parameters: Mapping[str, str]) -> tuple[bytes, ...]:
    texts = [text for name in _SETS[codec] for text in parameters.get(name, "").split(",")]
    try:
        units = [base64.b64decode(text, validate=True) for text in texts]
    except (binascii.Error, ValueError):
        return ()  # they come with the pictures, too
    return tuple(unit for unit in units if len(unit) > 2)


def _fps(text: str) -> float | None:
    try:
        fps = float(text)
    except ValueError:
        return None
    return fps if math.isfinite(fps) and 0 < fps <= _MAX_FPS else None
