"""PETS09-S2L1: a real film of people, coded as cameras do, and who is really in it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from actors.ingest.config import DecoderName
from actors.ingest.decoding import open_decoder
from actors.ingest.picture import PictureLayout
from actors.ingest.source import open_source
from cluster.errors import UnavailableError
from engines.detections import Detections
from engines.evaluation import Truth, evaluate
from engines.frames import Frame

FPS = 10
EVERY = 2
"""Frames that are looked at: 398 of 795."""

_H264 = {"preset": "veryfast", "crf": "12"}


@dataclass(frozen=True, slots=True)
class Pets:
    """The files of a data folder.

    Attributes:
        film: MPEG-4, 768x576.
        truth: Ground truth as MOT15 writes it.
        model: YOLOX-Nano of COCO.
    """

    film: Path
    truth: Path
    model: Path

    @classmethod
    def within(cls, data: Path, model: Path | None = None) -> Pets:
        """The files, with another model if one is given.

        Raises:
            UnavailableError: if one of them is missing.
        """
        found = cls(
            data / "videos" / "pets09_s2l1_vtest.avi",
            data / "mot" / "MOT15" / "PETS09-S2L1" / "gt" / "gt.txt",
            model or data / "models" / "yolox_nano_dyn.onnx",
        )
        for path in (found.film, found.truth, found.model):
            if not path.is_file():
                raise UnavailableError(f"{path} does not exist: name what has it with --data")
        return found


def coded_copy(film: Path, folder: Path) -> Path:
    """The film as H.264, 8-bit 4:2:0, nearly without loss; made where the folder has none."""
    copy = folder / f"{film.stem}-h264-crf{_H264['crf']}.mp4"
    if copy.exists():
        return copy
    folder.mkdir(parents=True, exist_ok=True)
    part = copy.with_suffix(f".{os.getpid()}.part.mp4")
    try:
        with av.open(str(film)) as source, av.open(str(part), "w", format="mp4") as out:
            video = source.streams.video[0]
            stream = out.add_stream("libx264", rate=FPS, options=_H264)
            stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
            for index, frame in enumerate(source.decode(video)):
                frame.pts, frame.time_base, frame.pict_type = index, Fraction(1, FPS), 0
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        part.replace(copy)
    finally:
        part.unlink(missing_ok=True)
    return copy


def play(film: Path, wanted: DecoderName, max_frames: int | None = None) -> Iterator[VideoFrame]:
    """Every second frame, each to be used before the next is asked for.

    Args:
        film: A file.
        wanted: What must decode it.
        max_frames: So many at most; None for all.

    Raises:
        UnavailableError: if something else decodes it, with the reason.
    """
    source = open_source(film.absolute().as_uri())
    decoder = open_decoder(wanted, source.codec_context, 1 / FPS)
    num_decoded = 0
    try:
        for packet in source.packets():
            for decoded in decoder.decode(packet):
                if decoder.name != wanted:
                    raise UnavailableError(f"{film.name} without {wanted}: {decoder.fallback}")
                if max_frames is not None and num_decoded >= EVERY * max_frames:
                    return
                if num_decoded % EVERY == 0:
                    yield decoded.frame
                num_decoded += 1
    finally:
        source.close()


def host_frame(frame: VideoFrame, layout: PictureLayout) -> Frame:
    """A picture of the CPU's decoder, copied."""
    picture = layout.picture(frame, frame.width * frame.height * 3)
    planes = zip(layout.planes(frame, picture), picture.plane_shapes, strict=True)
    copies = tuple(np.asarray(plane)[:rows, :columns].copy() for plane, (rows, columns) in planes)
    return Frame(picture, copies, frame.width, frame.height)


def ap50(found: Mapping[int, Detections], truth: NDArray[Any], person: int) -> float:
    """Average precision of persons at an overlap of 0.5.

    Args:
        found: Of each frame, by its number from 1.
        truth: Rows of MOT15: frame, id, left, top, width, height, whether it counts.
        person: The model's class.
    """
    pictures = []
    for number, detections in found.items():
        rows = truth[truth[:, 0] == number]
        xyxy = np.concatenate((rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]), axis=1)
        # Those that do not count may be found or not.
        there = Truth.of(xyxy, np.full(len(rows), person), rows[:, 6] == 0)
        pictures.append((detections[detections.class_id == person], there))
    curve = evaluate(pictures).curves.get(person)
    return curve.average_precision if curve else 0.0
