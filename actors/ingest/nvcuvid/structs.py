"""What libnvcuvid and the CUDA driver read and write, laid out as on 64-bit Linux.

Fields are those of ``nvcuvid.h`` and ``cuviddec.h`` of NVIDIA's Video Codec SDK and of ``cuda.h``,
in our spelling. They have kept their places since version 9 of the SDK; later versions have named
some of the reserved ones. Only those that we use have names here.
"""

from __future__ import annotations

from ctypes import (
    CFUNCTYPE,
    Structure,
    c_int,
    c_longlong,
    c_short,
    c_size_t,
    c_ubyte,
    c_uint,
    c_ulong,
    c_ulonglong,
    c_ushort,
    c_void_p,
)

CODECS = {"h264": 4, "hevc": 8}
"""``cudaVideoCodec`` by FFmpeg's name."""

CHROMA_420 = 1
NV12 = 0
WEAVE = 0
USE_VIDEO_ENGINE = 4
"""``cudaVideoCreate_PreferCUVID``."""

PACKET_END_OF_STREAM = 0x01
PACKET_TIMESTAMP = 0x02
PACKET_DISCONTINUITY = 0x04
PACKET_END_OF_PICTURE = 0x08

STATUS_IN_PROGRESS = 1

ON_HOST = 1
ON_DEVICE = 2


class Rect(Structure):
    """An area in pixels, right and bottom exclusive."""

    _fields_ = (
        ("left", c_short),
        ("top", c_short),
        ("right", c_short),
        ("bottom", c_short),
    )


class VideoFormat(Structure):
    """``CUVIDEOFORMAT``: what a sequence header says."""

    _fields_ = (
        ("codec", c_int),
        ("frame_rate", c_uint * 2),
        ("is_progressive", c_ubyte),
        ("bit_depth_luma_minus8", c_ubyte),
        ("bit_depth_chroma_minus8", c_ubyte),
        ("min_num_surfaces", c_ubyte),
        ("coded_width", c_uint),
        ("coded_height", c_uint),
        ("left", c_int),
        ("top", c_int),
        ("right", c_int),
        ("bottom", c_int),
        ("chroma_format", c_int),
        ("bit_rate", c_uint),
        ("aspect_ratio", c_int * 2),
        ("signal_flags", c_ubyte),
        ("color_primaries", c_ubyte),
        ("transfer", c_ubyte),
        ("matrix", c_ubyte),
        ("header_bytes", c_uint),
    )


class SourcePacket(Structure):
    """``CUVIDSOURCEDATAPACKET``."""

    _fields_ = (
        ("flags", c_ulong),
        ("size_bytes", c_ulong),
        ("payload", c_void_p),
        ("timestamp", c_longlong),
    )


class DisplayInfo(Structure):
    """``CUVIDPARSERDISPINFO``."""

    _fields_ = (
        ("picture_index", c_int),
        ("is_progressive", c_int),
        ("top_field_first", c_int),
        ("repeat_first_field", c_int),
        ("timestamp", c_longlong),
    )


class PictureParams(Structure):
    """The beginning of ``CUVIDPICPARAMS`` as it is for H.264; it ends with the order of display."""

    _fields_ = (
        ("size_in_macroblocks", c_int * 2),
        ("picture_index", c_int),
        ("fields", c_int * 3),
        ("payload_bytes", c_uint),
        ("payload", c_void_p),
        ("num_slices", c_uint),
        ("slice_offsets", c_void_p),
        ("is_reference", c_int),
        ("is_intra", c_int),
        ("reserved", c_uint * 30),
        ("h264", c_int * 24),
        ("h264_order", c_int * 2),
    )


HEADER_CALLBACK = CFUNCTYPE(c_int, c_void_p, c_void_p)
"""Of all three kinds: the user's pointer, and one to what is told; gives 0 to fail."""


class ParserParams(Structure):
    """``CUVIDPARSERPARAMS``."""

    _fields_ = (
        ("codec", c_int),
        ("max_num_surfaces", c_uint),
        ("clock_hz", c_uint),
        ("error_threshold", c_uint),
        ("max_display_delay", c_uint),
        ("reserved", c_uint * 5),
        ("user", c_void_p),
        ("on_sequence", HEADER_CALLBACK),
        ("on_decode", HEADER_CALLBACK),
        ("on_display", HEADER_CALLBACK),
        ("reserved_pointers", c_void_p * 7),
        ("header", c_void_p),
    )


class DecodeCaps(Structure):
    """``CUVIDDECODECAPS``."""

    _fields_ = (
        ("codec", c_int),
        ("chroma_format", c_int),
        ("bit_depth_minus8", c_uint),
        ("reserved_in", c_uint * 3),
        ("is_supported", c_ubyte),
        ("num_engines", c_ubyte),
        ("output_formats", c_ushort),
        ("max_width", c_uint),
        ("max_height", c_uint),
        ("max_num_macroblocks", c_uint),
        ("min_width", c_ushort),
        ("min_height", c_ushort),
        ("reserved_out", c_uint * 11),
    )


class CreateInfo(Structure):
    """``CUVIDDECODECREATEINFO``."""

    _fields_ = (
        ("width", c_ulong),
        ("height", c_ulong),
        ("num_surfaces", c_ulong),
        ("codec", c_int),
        ("chroma_format", c_int),
        ("flags", c_ulong),
        ("bit_depth_minus8", c_ulong),
        ("is_intra_only", c_ulong),
        ("max_width", c_ulong),
        ("max_height", c_ulong),
        ("reserved", c_ulong),
        ("display_area", Rect),
        ("output_format", c_int),
        ("deinterlacing", c_int),
        ("target_width", c_ulong),
        ("target_height", c_ulong),
        ("num_output_surfaces", c_ulong),
        ("lock", c_void_p),
        ("target_rect", Rect),
        ("reserved_end", c_ulong * 5),
    )


class ReconfigureInfo(Structure):
    """``CUVIDRECONFIGUREDECODERINFO``."""

    _fields_ = (
        ("width", c_uint),
        ("height", c_uint),
        ("target_width", c_uint),
        ("target_height", c_uint),
        ("num_surfaces", c_uint),
        ("reserved", c_uint * 12),
        ("display_area", Rect),
        ("target_rect", Rect),
        ("reserved_end", c_uint * 11),
    )


class ProcessingParams(Structure):
    """``CUVIDPROCPARAMS``."""

    _fields_ = (
        ("is_progressive", c_int),
        ("second_field", c_int),
        ("top_field_first", c_int),
        ("is_unpaired", c_int),
        ("reserved", c_uint * 2),
        ("raw_input", c_ulonglong * 2),
        ("raw_output", c_ulonglong * 2),
        ("stream", c_void_p),
        ("reserved_more", c_uint * 46),
        ("reserved_pointers", c_void_p * 2),
    )


class DecodeStatus(Structure):
    """``CUVIDGETDECODESTATUS``."""

    _fields_ = (
        ("status", c_int),
        ("reserved", c_uint * 31),
        ("reserved_pointers", c_void_p * 8),
    )


class Copy2D(Structure):
    """``CUDA_MEMCPY2D``."""

    _fields_ = (
        ("source_x_bytes", c_size_t),
        ("source_y", c_size_t),
        ("source_kind", c_int),
        ("source_host", c_void_p),
        ("source_device", c_ulonglong),
        ("source_array", c_void_p),
        ("source_pitch", c_size_t),
        ("target_x_bytes", c_size_t),
        ("target_y", c_size_t),
        ("target_kind", c_int),
        ("target_host", c_void_p),
        ("target_device", c_ulonglong),
        ("target_array", c_void_p),
        ("target_pitch", c_size_t),
        ("row_bytes", c_size_t),
        ("num_rows", c_size_t),
    )
