"""One camera's video through libnvcuvid: the parser finds pictures, the hardware decodes them."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import byref, c_void_p

from actors.errors import ActorError
from actors.ingest.nvcuvid import structs
from actors.ingest.nvcuvid.copying import Copier
from actors.ingest.nvcuvid.hardware import Geometry, Hardware
from actors.ingest.nvcuvid.library import Library, load_library
from actors.ingest.nvcuvid.surface import Colors, Place, Surface
from actors.ingest.nvcuvid.waiting import Waiting
from engines.cuda.context import open_device

_FEWEST_SURFACES = 1  # until the sequence header says how many
_CLOCK_HZ = 10_000_000
_MACROBLOCK_PX = 256


class UnfamiliarVideoError(ActorError):
    """A stream is of a kind that is not known for certain to come out right.

    Args:
        what: Continues a sentence that names the stream.
    """


class CurrentContext:
    """Makes a GPU's primary context current in the calling thread; nested or not."""

    def __init__(self, library: Library) -> None:
        self._library = library
        with open_device():
            handle = c_void_p()
            library.check(library.current_context(byref(handle)), "finding the context")
        self._context = handle

    def __enter__(self) -> None:
        self._library.check(self._library.push_context(self._context), "entering the context")

    def __exit__(self, *_: object) -> None:
        self._library.pop_context(byref(c_void_p()))


class VideoStream:
    """A parser and a decoder. Not for two threads at once; ``close`` it.

    Args:
        codec: ``h264`` or ``hevc``.
        is_in_order: Whether pictures seem to be shown in the order in which they are coded. The
            parser believes that of H.264 only where it is written in the stream, and holds
            pictures back where it is not. They are shown at once until one comes out of order.
        waiting: How to wait.
        library: Functions; those of this machine's driver if None.
        current: Makes the context current; that of the first GPU if None.

    Attributes:
        num_refused: Pictures that the decoder did not take.

    Raises:
        DeviceError: if the GPU cannot be used.
    """

    def __init__(
        self,
        codec: str,
        *,
        is_in_order: bool,
        waiting: Waiting,
        library: Library | None = None,
        current: CurrentContext | None = None,
    ) -> None:
        self.num_refused = 0
        self._codec = codec
        self._shows_at_once = is_in_order and codec == "h264"
        self._library = library or load_library()
        self._current = current or CurrentContext(self._library)
        self._parser = c_void_p()
        self._callbacks: tuple[object, ...] = ()
        self._packet = structs.SourcePacket()
        self._colors = Colors(2, 1)
        self._failure: Exception | None = None
        self._num_begun = 0
        self._last_order = -1
        self._ahead: set[int] = set()
        self._shown: list[Surface] = []
        self._given: list[Surface] = []
        with self._current:
            copier = Copier(self._library, waiting)
            hardware = Hardware(self._library, codec, waiting)
            self._place = Place(hardware, copier, self._current)
            try:
                self._open_parser()
            except BaseException:
                copier.close()
                raise

    def feed(self, address: int, size_bytes: int, number: int) -> list[Surface]:
        """The pictures that a coded one completes, in order of presentation.

        Args:
            address: Of the coded picture, with all its NAL units behind start codes.
            size_bytes: Its length.
            number: Comes back with the picture; of 63 bits.

        Raises:
            UnfamiliarVideoError: if FFmpeg should decode the stream, from this picture on.
            DeviceError: if the GPU failed.
        """
        packet = self._packet
        packet.flags = structs.PACKET_TIMESTAMP | structs.PACKET_END_OF_PICTURE
        packet.payload, packet.size_bytes, packet.timestamp = address, size_bytes, number
        return self._parse()

    def drain(self) -> list[Surface]:
        """The pictures that are left; ``restart`` before the next packet."""
        packet = self._packet
        packet.flags, packet.payload, packet.size_bytes = structs.PACKET_END_OF_STREAM, None, 0
        return self._parse()

    @property
    def num_begun(self) -> int:
        """Pictures that the decoder has been given."""
        return self._num_begun

    def restart(self) -> None:
        """Expect a sequence to begin; what has not come out is dropped."""
        with self._current:
            self._drop_given()
            self._library.destroy_parser(self._parser)
            self._open_parser()

    def close(self) -> None:
        """Give all back; may be called twice."""
        if not self._callbacks:
            return
        with self._current:
            self._drop_given()
            self._library.destroy_parser(self._parser)
            self._place.hardware.close()
            self._place.copier.close()
        self._callbacks = ()

    def _parse(self) -> list[Surface]:
        with self._current:
            self._drop_given()
            status = self._library.parse(self._parser, byref(self._packet))
        failure, self._failure = self._failure, None
        self._given, self._shown = self._shown, []
        if failure is not None:
            raise failure
        if status:
            self.num_refused += 1
        return self._given

    def _open_parser(self) -> None:
        kinds = (self._on_sequence, self._on_decode, self._on_display)
        self._callbacks = tuple(structs.HEADER_CALLBACK(self._guarded(each)) for each in kinds)
        sequence, decode, display = self._callbacks
        params = structs.ParserParams(
            codec=structs.CODECS[self._codec],
            max_num_surfaces=_FEWEST_SURFACES,
            clock_hz=_CLOCK_HZ,
            max_display_delay=0,
            on_sequence=sequence,
            on_decode=decode,
            on_display=display,
        )
        self._ahead.clear()
        self._last_order = -1
        status = self._library.create_parser(byref(self._parser), byref(params))
        self._library.check(status, "opening a parser")

    def _guarded(self, heed: Callable[[int], int]) -> Callable[[int | None, int | None], int]:
        """A callback of the parser, out of which no exception can go."""

        def called(_user: int | None, told: int | None) -> int:
            try:
                return heed(told or 0)
            except Exception as error:  # it is raised again once the parser has returned
                self._failure = self._failure or error
                return 0

        return called

    def _on_sequence(self, address: int) -> int:
        form = structs.VideoFormat.from_address(address)
        geometry = Geometry.of(form)
        _check_kind(form)
        _check_size(geometry, _caps(self._library, form.codec))
        if geometry != self._place.hardware.geometry:
            for surface in self._shown:
                surface.keep()
        self._place.hardware.adopt(geometry)
        self._colors = Colors.of(form.signal_flags, form.matrix)
        return geometry.num_surfaces

    def _on_decode(self, address: int) -> int:
        params = structs.PictureParams.from_address(address)
        for surface in self._shown:
            if surface.index == params.picture_index:
                surface.keep()
        self._num_begun += 1
        if self._place.hardware.decode(address):
            self.num_refused += 1
            return 0
        if self._shows_at_once and self._is_next(params):
            self._ahead.add(params.picture_index)
            self._show(params.picture_index, self._packet.timestamp)
        return 1

    def _on_display(self, address: int) -> int:
        info = structs.DisplayInfo.from_address(address)
        if info.picture_index in self._ahead:
            self._ahead.remove(info.picture_index)
        else:
            self._show(info.picture_index, info.timestamp)
        return 1

    def _show(self, index: int, number: int) -> None:
        self._shown.append(Surface(self._place, index, self._colors, number))

    def _is_next(self, params: structs.PictureParams) -> bool:
        """Whether a picture is shown after the one before; else the parser's order counts."""
        order = min(params.h264_order)
        self._shows_at_once = order > self._last_order or bool(params.is_intra)
        self._last_order = order
        return self._shows_at_once

    def _drop_given(self) -> None:
        for surface in self._given:
            surface.drop()
        self._given = []


def _caps(library: Library, codec: int) -> structs.DecodeCaps:
    """What the GPU decodes of a codec, 8 bits and 4:2:0."""
    caps = structs.DecodeCaps(codec=codec, chroma_format=structs.CHROMA_420)
    library.check(library.get_caps(byref(caps)), "asking what the GPU decodes")
    return caps


def _check_kind(form: structs.VideoFormat) -> None:
    if form.chroma_format != structs.CHROMA_420:
        raise UnfamiliarVideoError("is not 4:2:0")
    if form.bit_depth_luma_minus8 or form.bit_depth_chroma_minus8:
        raise UnfamiliarVideoError("has more than 8 bits")
    if not form.is_progressive:
        raise UnfamiliarVideoError("may be interlaced")


def _check_size(geometry: Geometry, caps: structs.DecodeCaps) -> None:
    width, height = geometry.coded
    if not caps.is_supported:
        raise UnfamiliarVideoError("has a codec that the GPU does not decode")
    fits = (
        caps.min_width <= width <= caps.max_width and caps.min_height <= height <= caps.max_height
    )
    if not fits or width * height > _MACROBLOCK_PX * caps.max_num_macroblocks:
        raise UnfamiliarVideoError(f"has {width}x{height}, which the GPU does not decode")
    if geometry.width % 2 or geometry.height % 2 or min(geometry.width, geometry.height) < 1:
        raise UnfamiliarVideoError(f"shows {geometry.width}x{geometry.height}")
