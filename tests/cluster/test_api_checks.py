"""Files that a request names are looked at before it is accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.errors import SourceError
from cluster.api.checks import check_model, probe_file
from cluster.config import PipelineSpec
from engines.errors import ModelError

SPEC = """
name: cars
path: cars.onnx
family: yolox
input: {width: 64, height: 64}
labels: [car]
"""


def test_the_detector_that_ships_needs_no_look() -> None:
    check_model(PipelineSpec(model="builtin"))


@pytest.mark.parametrize("content", [b"", b"\x08\x08\x12\x07pytorch", b"not a model"])
def test_a_model_that_cannot_be_loaded_is_refused_with_a_remedy(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "cars.onnx").write_bytes(content)
    (tmp_path / "cars.yaml").write_text(SPEC)
    for name in ("cars.onnx", "cars.yaml"):
        with pytest.raises(ModelError) as caught:
            check_model(PipelineSpec(model=str(tmp_path / name)))
        assert caught.value.message
        assert caught.value.remedy


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"not a video")
    with pytest.raises(SourceError):
        probe_file(clip.as_uri())
