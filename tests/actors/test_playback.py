"""Pictures are booked with the arrival of their own packets, whenever the decoder gives them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from actors.ingest.decoder import CpuDecoder, Decoded
from actors.ingest.delivery import Arrival, FramePolicy
from actors.ingest.giving_way import Lateness
from actors.ingest.playback import Playback
from actors.ingest.source import FfmpegSource, open_source
from actors.messages import DegradeStep
from cluster.demo.rtsp.pattern import write_pattern
from tests.actors.builders import open_deferred

GOP, NUM = 5, 15


@pytest.fixture(scope="module", params=["libx264", "libx265"])
def clip(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("playback") / "clip.ts"
    write_pattern(path, codec=request.param, width=128, height=96, seconds=NUM / 25, gop_size=GOP)
    return path


class Booked:
    """In the place of a delivery: what it is given."""

    def __init__(self) -> None:
        self.num_frames = 0
        self.arrivals_s: dict[int, float] = {}

    def deliver(self, decoded: Decoded, arrival: Arrival, policy: FramePolicy) -> None:
        assert decoded.frame.pts is not None
        self.arrivals_s[decoded.frame.pts] = arrival.monotonic


class Outcomes:
    """In the place of an outbox."""

    def count_skipped(self, lane: object) -> None:
        """Packets of the steps of the ladder that leave pictures out."""


def played(source: FfmpegSource, decoder: CpuDecoder) -> tuple[Playback, Booked]:
    booked: Any = Booked()
    facilities: Any = SimpleNamespace(outbox=Outcomes(), gate=None, lateness=Lateness())
    lane: Any = None
    return Playback(decoder, booked, lane, facilities, source.properties), booked


@pytest.mark.parametrize("is_shared", [True, False])
@pytest.mark.parametrize("step", [DegradeStep.NONE, DegradeStep.KEY_FRAMES])
def test_each_picture_is_booked_with_its_own_packet(clip, is_shared, step):
    source = open_source(clip.as_uri())
    decoder = open_deferred("nvdec", source.codec_context, 0.04)
    assert decoder.is_deferred
    playback, booked = played(source, decoder)
    policy, own = FramePolicy(None, 1.0, step), {}
    for index, packet in enumerate(source.packets()):
        arrival = Arrival(100.0 + index, 100.0 + index)
        if packet.pts is not None and (step is DegradeStep.NONE or packet.is_keyframe):
            own[packet.pts] = arrival.monotonic
        if is_shared:
            playback.collect(policy)
            playback.begin(packet, arrival, policy)
        else:
            playback.take(packet, arrival, policy)
    playback.collect(policy)
    assert booked.arrivals_s == own
    assert len(own) == (NUM if step is DegradeStep.NONE else NUM // GOP)
