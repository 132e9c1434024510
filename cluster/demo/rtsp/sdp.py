"""The description of a camera (SDP, RFC 4566) that DESCRIBE returns."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cluster.demo.rtsp.clip import Clip
from cluster.demo.rtsp.nal import Codec
from cluster.demo.rtsp.rtp import PAYLOAD_TYPE
from cluster.demo.rtsp.timestamps import TICKS_PER_S

TRACK = "trackID=0"


def describe(name: str, clip: Clip, host: str) -> bytes:
    """Return the SDP of a camera that plays ``clip``; ``host`` is the server's address."""
    family = "IP6" if ":" in host else "IP4"
    unspecified = "::" if family == "IP6" else "0.0.0.0"  # noqa: S104
    lines = (
        "v=0",
        f"o=- 0 0 IN {family} {host}",
        f"s={name}",
        f"c=IN {family} {unspecified}",
        "t=0 0",
        "a=control:*",
        "a=range:npt=now-",
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} {clip.codec.encoding}/{TICKS_PER_S}",
        f"a=fmtp:{PAYLOAD_TYPE} {_format_parameters(clip.codec, clip.parameter_sets)}",
        f"a=framerate:{clip.fps:.6g}",
        f"a=framesize:{PAYLOAD_TYPE} {clip.width}-{clip.height}",
        f"a=control:{TRACK}",
    )
    return "".join(line + "\r\n" for line in lines).encode()


def _format_parameters(codec: Codec, parameter_sets: Sequence[bytes]) -> str:
    if codec.name == "h264":
        return _h264_parameters(codec, parameter_sets)
    names = zip(("vps", "sps", "pps"), codec.parameter_types, strict=True)
    groups = {
        name: [unit for unit in parameter_sets if codec.nal_type(unit) == kind]
        for name, kind in names
    }
    return "; ".join(f"sprop-{name}={_encoded(units)}" for name, units in groups.items() if units)


def _h264_parameters(codec: Codec, parameter_sets: Sequence[bytes]) -> str:
    parameters = ["packetization-mode=1"]
    sequence = [unit for unit in parameter_sets if codec.nal_type(unit) == codec.sequence_type]
    if sequence:
        parameters.append(f"profile-level-id={sequence[0][1:4].hex().upper()}")
    if parameter_sets:
        parameters.append(f"sprop-parameter-sets={_encoded(parameter_sets)}")
    return "; ".join(parameters)


def _encoded(units: Sequence[bytes]) -> str:
    return ",".join(base64.b64encode(unit).decode() for unit in units)
