"""A stand-in for libnvcuvid: FFmpeg decodes on the CPU, pictures lie in memory of the host.

It keeps the rules of the real one that matter to its caller: callbacks within ``parse``, surfaces
that are used again, no more mapped than were asked for, a decoder for the size that was announced.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field, fields
from itertools import count
from typing import Any

import av
import numpy as np

from actors.ingest.nvcuvid import structs
from actors.ingest.nvcuvid.library import Library

PITCH = 2048
FORMATS = {value: name for name, value in structs.CODECS.items()}
RANGES = {2: 8}


@dataclass
class Parser:
    params: structs.ParserParams
    context: Any
    num_surfaces: int = 0
    size: tuple[int, int] = (0, 0)
    cycle: Any = field(default_factory=count)
    numbers: dict[int, int] = field(default_factory=dict)


@dataclass
class Decoder:
    info: Any
    surfaces: dict[int, np.ndarray] = field(default_factory=dict)
    mapped: set[int] = field(default_factory=set)


class StandIn:
    """What ``Library`` has, in Python; ``num_open`` of its objects are not closed yet."""

    def __init__(self) -> None:
        self.objects: dict[int, Any] = {}
        self.handles = count(1)
        self.calls: list[str] = []
        self.statuses: list[int] = []
        self.fails: dict[str, int] = {}
        self.is_progressive = 1
        self.bit_depth_minus8 = 0
        self.max_size = (4096, 4096)
        self.pictures: dict[int, np.ndarray] = {}
        self.script: list[list[tuple[str, Any]]] = []

    def library(self) -> Library:
        return Library(**{each.name: self._called(each.name) for each in fields(Library)})

    @property
    def num_open(self) -> int:
        return len(self.objects)

    def _called(self, name: str) -> Any:
        function = getattr(self, name, lambda *_: 0)

        def call(*arguments: Any) -> int:
            self.calls.append(name)
            return self.fails.get(name) or function(*arguments) or 0

        return call

    def _new(self, out: Any, thing: Any) -> None:
        handle = next(self.handles)
        self.objects[handle] = thing
        out._obj.value = handle

    def create_parser(self, out: Any, params: Any) -> None:
        copied = structs.ParserParams.from_buffer_copy(params._obj)
        name = FORMATS[copied.codec]
        self._new(out, Parser(copied, av.CodecContext.create(name, "r")))

    def destroy_parser(self, handle: Any) -> None:
        del self.objects[handle.value]

    def create_decoder(self, out: Any, info: Any) -> None:
        self._new(out, Decoder(structs.CreateInfo.from_buffer_copy(info._obj)))

    def reconfigure_decoder(self, handle: Any, info: Any) -> int:
        decoder = self.objects[handle.value]
        found = structs.ReconfigureInfo.from_buffer_copy(info._obj)
        if found.width > decoder.info.max_width or decoder.mapped:
            return 1
        decoder.surfaces.clear()
        for name in ("width", "height", "target_width", "target_height"):
            setattr(decoder.info, name, getattr(found, name))
        return 0

    def destroy_decoder(self, handle: Any) -> None:
        del self.objects[handle.value]

    def create_stream(self, out: Any, _flags: int) -> None:
        self._new(out, "stream")

    create_event = create_stream

    def destroy_stream(self, handle: Any) -> None:
        del self.objects[handle.value]

    destroy_event = destroy_stream

    def get_caps(self, caps: Any) -> None:
        found = caps._obj
        found.is_supported = 1
        found.min_width, found.min_height = 48, 16
        found.max_width, found.max_height = self.max_size
        found.max_num_macroblocks = 65536

    def get_status(self, _handle: Any, _index: int, status: Any) -> None:
        status._obj.status = self.statuses.pop(0) if self.statuses else 2

    def parse(self, handle: Any, packet: Any) -> int:
        parser, given = self.objects[handle.value], packet._obj
        if self.script:
            self._play(parser, self.script.pop(0), given.timestamp)
            return 0
        try:
            if given.flags & structs.PACKET_END_OF_STREAM:
                frames = parser.context.decode(None)
            else:
                coded = av.Packet(ctypes.string_at(given.payload, given.size_bytes))
                coded.pts = coded.dts = given.timestamp
                frames = parser.context.decode(coded)
        except av.FFmpegError:
            return 0
        return 0 if all(self._picture(parser, frame) for frame in frames) else 1

    def _picture(self, parser: Parser, frame: Any) -> bool:
        if parser.size != (frame.width, frame.height):
            parser.size = (frame.width, frame.height)
            parser.num_surfaces = self._announce(parser, frame)
            if not parser.num_surfaces:
                return False
        index = next(parser.cycle) % parser.num_surfaces
        params = structs.PictureParams(picture_index=index, is_intra=frame.key_frame)
        params.h264_order[:] = (frame.pts, frame.pts)
        pixels = np.full((frame.height * 3 // 2, PITCH), 99, np.uint8)
        pixels[:, : frame.width] = frame.reformat(format="nv12").to_ndarray()
        self.pictures[index] = pixels
        if not parser.params.on_decode(None, ctypes.addressof(params)):
            return False
        info = structs.DisplayInfo(picture_index=index, timestamp=frame.pts)
        return bool(parser.params.on_display(None, ctypes.addressof(info)))

    def _play(self, parser: Parser, acts: list[tuple[str, Any]], number: int) -> None:
        """Call back as a test has written: decode (index, order, is_intra), display (index)."""
        for act, value in acts:
            if act == "sequence":
                frame = av.VideoFrame(*value, "yuv420p")
                assert self._announce(parser, frame)
            elif act == "decode":
                index, order, is_intra = value
                params = structs.PictureParams(picture_index=index, is_intra=is_intra)
                params.h264_order[:] = (order, order + 1)
                parser.numbers[index] = number
                self.pictures[index] = np.full((96, PITCH), number, np.uint8)
                assert parser.params.on_decode(None, ctypes.addressof(params))
            else:
                number = parser.numbers[value]
                info = structs.DisplayInfo(picture_index=value, timestamp=number)
                assert parser.params.on_display(None, ctypes.addressof(info))

    def _announce(self, parser: Parser, frame: Any) -> int:
        form = structs.VideoFormat(
            codec=parser.params.codec,
            is_progressive=self.is_progressive,
            bit_depth_luma_minus8=self.bit_depth_minus8,
            min_num_surfaces=4,
            coded_width=(frame.width + 15) // 16 * 16,
            coded_height=(frame.height + 15) // 16 * 16,
            right=frame.width,
            bottom=frame.height,
            chroma_format=1,
            signal_flags=RANGES.get(int(frame.color_range), 0),
            matrix=int(frame.colorspace),
        )
        return int(parser.params.on_sequence(None, ctypes.addressof(form)))

    def decode(self, handle: Any, params: int) -> int:
        index = structs.PictureParams.from_address(params).picture_index
        decoder = self.objects[handle.value]
        if index in decoder.mapped or index >= decoder.info.num_surfaces:
            return 1
        decoder.surfaces[index] = self.pictures[index]
        return 0

    def map_frame(self, handle: Any, index: int, out: Any, pitch: Any, _params: Any) -> int:
        decoder = self.objects[handle.value]
        if index not in decoder.surfaces or len(decoder.mapped) >= decoder.info.num_output_surfaces:
            return 1
        decoder.mapped.add(index)
        out._obj.value = decoder.surfaces[index].ctypes.data
        pitch._obj.value = PITCH
        return 0

    def unmap_frame(self, handle: Any, address: Any) -> int:
        decoder = self.objects[handle.value]
        indices = [
            index
            for index in decoder.mapped
            if decoder.surfaces[index].ctypes.data == address.value
        ]
        decoder.mapped.difference_update(indices)
        return 0 if indices else 1

    def copy(self, copied: Any, _stream: Any) -> None:
        job = copied._obj
        target = job.target_device if job.target_kind == structs.ON_DEVICE else job.target_host
        for row in range(job.num_rows):
            source = job.source_device + row * job.source_pitch
            ctypes.memmove(target + row * job.target_pitch, source, job.row_bytes)

    def allocate(self, out: Any, size_bytes: int) -> None:
        memory = np.empty(size_bytes, np.uint8)
        out._obj.value = memory.ctypes.data
        self.objects[memory.ctypes.data] = memory

    def free(self, address: int) -> None:
        del self.objects[address]


class Anywhere:
    """In the place of the GPU's context."""

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        return
