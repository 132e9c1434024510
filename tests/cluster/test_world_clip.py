"""Clips of the synthetic world: what is written can be played, looped and trusted."""

from __future__ import annotations

import av
import numpy as np
import pytest

from cluster.demo.world import Scenario, Truth, World, cached_clip, render_clip, truth_path

SMALL = Scenario(seed=4, view="street", width=320, height=180, fps=10, duration_s=2.5)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_clip_decodes_to_its_frames_in_order_with_a_keyframe_each_second(tmp_path, codec):
    path = tmp_path / "clip.mp4"
    render_clip(SMALL, path, codec=codec)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [(float(f.time), f.key_frame, int(f.pict_type)) for f in container.decode(stream)]
        assert (stream.width, stream.height, stream.pix_fmt) == (320, 180, "yuv420p")
        assert (stream.codec_context.color_range, stream.codec_context.colorspace) == (1, 1)
    assert [round(t * 10) for t, _, _ in frames] == list(range(25))
    assert [i for i, (_, key, _) in enumerate(frames) if key] == [0, 10, 20]
    assert {kind for _, _, kind in frames} == {1, 2}  # I and P, no B


def test_the_decoded_picture_is_the_one_that_was_drawn(tmp_path):
    path = tmp_path / "clip.mp4"
    render_clip(SMALL, path, crf=12)
    drawn = next(iter(World(SMALL)))[0]
    with av.open(str(path)) as container:
        first = next(container.decode(video=0))
    seen = first.to_ndarray(format="rgb24", src_colorspace="ITU709", src_color_range="MPEG")
    assert np.abs(seen.astype(int) - drawn).mean() < 6


def test_the_truth_lies_beside_the_clip_and_nothing_else(tmp_path):
    path = tmp_path / "folder" / "clip.mp4"
    done = []
    truth = render_clip(SMALL, path, progress=lambda frame, total: done.append((frame, total)))
    assert Truth.from_json(truth_path(path).read_text()) == truth
    assert done == [(i, 25) for i in range(1, 26)]
    assert sorted(p.name for p in path.parent.iterdir()) == ["clip.mp4", "clip.truth.json"]


def test_a_rendering_that_fails_leaves_nothing_behind(tmp_path):
    def fail(frame: int, total: int) -> None:
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        render_clip(SMALL, tmp_path / "clip.mp4", progress=fail)
    assert list(tmp_path.iterdir()) == []


def test_a_cached_clip_is_rendered_once(tmp_path):
    frames = []
    path, truth = cached_clip(SMALL, tmp_path, progress=lambda i, n: frames.append(i))
    again, same = cached_clip(SMALL, tmp_path, progress=lambda i, n: frames.append(i))
    assert (again, same) == (path, truth)
    assert len(frames) == 25
    other, _ = cached_clip(Scenario(**{**scenario_fields(SMALL), "seed": 5}), tmp_path)
    assert other != path


def scenario_fields(scenario: Scenario) -> dict:
    return {name: getattr(scenario, name) for name in scenario.__slots__}
