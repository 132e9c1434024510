"""Functions of libnvcuvid and of the CUDA driver, as the decoder calls them.

They are plain values of a dataclass, so that a test can put its own in their place. All of them
return a ``CUresult``, which is 0 where all went well.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from ctypes import POINTER, c_char_p, c_int, c_uint, c_ulonglong, c_void_p
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from actors.ingest.nvcuvid import structs
from engines.errors import DeviceError

Function = Callable[..., int]

NOT_READY = 600
"""``CUDA_ERROR_NOT_READY``: what was asked after still runs."""

NON_BLOCKING_STREAM = 1
BLOCKING_EVENT = 1 | 2
"""``CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING``."""

_REMEDY = "it comes with the driver; in a container NVIDIA_DRIVER_CAPABILITIES must name video"


@dataclass
class Library:
    """The functions by our names; ``_SIGNATURES`` says which they are."""

    create_parser: Function
    parse: Function
    destroy_parser: Function
    get_caps: Function
    create_decoder: Function
    reconfigure_decoder: Function
    destroy_decoder: Function
    decode: Function
    get_status: Function
    map_frame: Function
    unmap_frame: Function
    push_context: Function
    pop_context: Function
    current_context: Function
    create_stream: Function
    destroy_stream: Function
    query_stream: Function
    wait_stream: Function
    create_event: Function
    destroy_event: Function
    record_event: Function
    wait_event: Function
    copy: Function
    allocate: Function
    free: Function
    error_name: Function

    def check(self, status: int, what: str) -> None:
        """Raise DeviceError unless a call went well.

        Args:
            status: What it returned.
            what: What failed, as a sentence ends.
        """
        if status:
            name = c_char_p()
            self.error_name(status, ctypes.byref(name))
            word = (name.value or b"unknown").decode()
            raise DeviceError(f"NVDEC: {what} failed with CUDA error {status} ({word})")

    def hold(self, names: Iterable[str]) -> None:
        """Let these calls, and no others, keep the interpreter's lock.

        A call that gives it up must wait for it afterwards, which costs a thread among many more
        than a short call itself.
        """
        held = frozenset(names)
        for each in fields(self):
            setattr(self, each.name, _function(each.name, holds_lock=each.name in held))


SHORT = frozenset(
    {"push_context", "pop_context", "get_status", "query_stream", "copy", "unmap_frame"}
)
"""Calls that never wait."""

_CUVID = "libnvcuvid.so.1"
_CUDA = "libcuda.so.1"
_HANDLE = c_void_p
_NEW = POINTER(c_void_p)
_SIGNATURES: dict[str, tuple[str, str, tuple[Any, ...]]] = {
    "create_parser": (_CUVID, "cuvidCreateVideoParser", (_NEW, POINTER(structs.ParserParams))),
    "parse": (_CUVID, "cuvidParseVideoData", (_HANDLE, POINTER(structs.SourcePacket))),
    "destroy_parser": (_CUVID, "cuvidDestroyVideoParser", (_HANDLE,)),
    "get_caps": (_CUVID, "cuvidGetDecoderCaps", (POINTER(structs.DecodeCaps),)),
    "create_decoder": (_CUVID, "cuvidCreateDecoder", (_NEW, POINTER(structs.CreateInfo))),
    "reconfigure_decoder": (
        _CUVID,
        "cuvidReconfigureDecoder",
        (_HANDLE, POINTER(structs.ReconfigureInfo)),
    ),
    "destroy_decoder": (_CUVID, "cuvidDestroyDecoder", (_HANDLE,)),
    "decode": (_CUVID, "cuvidDecodePicture", (_HANDLE, c_void_p)),
    "get_status": (
        _CUVID,
        "cuvidGetDecodeStatus",
        (_HANDLE, c_int, POINTER(structs.DecodeStatus)),
    ),
    "map_frame": (
        _CUVID,
        "cuvidMapVideoFrame64",
        (
            _HANDLE,
            c_int,
            POINTER(c_ulonglong),
            POINTER(c_uint),
            POINTER(structs.ProcessingParams),
        ),
    ),
    "unmap_frame": (_CUVID, "cuvidUnmapVideoFrame64", (_HANDLE, c_ulonglong)),
    "push_context": (_CUDA, "cuCtxPushCurrent_v2", (_HANDLE,)),
    "pop_context": (_CUDA, "cuCtxPopCurrent_v2", (_NEW,)),
    "current_context": (_CUDA, "cuCtxGetCurrent", (_NEW,)),
    "create_stream": (_CUDA, "cuStreamCreate", (_NEW, c_uint)),
    "destroy_stream": (_CUDA, "cuStreamDestroy_v2", (_HANDLE,)),
    "query_stream": (_CUDA, "cuStreamQuery", (_HANDLE,)),
    "wait_stream": (_CUDA, "cuStreamSynchronize", (_HANDLE,)),
    "create_event": (_CUDA, "cuEventCreate", (_NEW, c_uint)),
    "destroy_event": (_CUDA, "cuEventDestroy_v2", (_HANDLE,)),
    "record_event": (_CUDA, "cuEventRecord", (_HANDLE, _HANDLE)),
    "wait_event": (_CUDA, "cuEventSynchronize", (_HANDLE,)),
    "copy": (_CUDA, "cuMemcpy2DAsync_v2", (POINTER(structs.Copy2D), _HANDLE)),
    "allocate": (_CUDA, "cuMemAlloc_v2", (POINTER(c_ulonglong), ctypes.c_size_t)),
    "free": (_CUDA, "cuMemFree_v2", (c_ulonglong,)),
    "error_name": (_CUDA, "cuGetErrorName", (c_int, POINTER(c_char_p))),
}


@cache
def load_library() -> Library:
    """The functions of this machine's driver.

    Raises:
        DeviceError: if one of the libraries, or a function, is missing.
    """
    try:
        return Library(**{each.name: _function(each.name) for each in fields(Library)})
    except (OSError, AttributeError) as error:
        raise DeviceError(f"{_CUVID} cannot be used ({error}): {_REMEDY}") from error


def _function(name: str, *, holds_lock: bool = False) -> Function:
    file, symbol, arguments = _SIGNATURES[name]
    found: Any = getattr(_loaded(file, holds_lock), symbol)
    found.argtypes, found.restype = arguments, c_int
    return found  # type: ignore[no-any-return]


@cache
def _loaded(file: str, holds_lock: bool) -> ctypes.CDLL:
    return ctypes.PyDLL(file) if holds_lock else ctypes.CDLL(file)
