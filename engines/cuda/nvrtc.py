"""Kernels from CUDA C, compiled for the GPU at hand by NVRTC and kept on disk.

NVRTC comes as a wheel or with the CUDA toolkit and needs neither nvcc nor a host compiler. What it
made is cached by all that decides it: source, options, architecture and NVRTC's own version.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from engines.errors import DeviceError

KERNELS = Path(__file__).parent / "kernels"
SONAMES = ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so")
_DIGEST_BYTES = hashlib.sha256().digest_size


def cubin(
    name: str, arch: str, options: Sequence[str] = (), *, folder: Path | None = None
) -> bytes:
    """Machine code of a kernel file, from the cache or compiled now.

    Args:
        name: A file of ``engines/cuda/kernels``.
        arch: Real architecture, ``sm_90``.
        options: Further options of NVRTC.
        folder: The cache; by default the user's.

    Raises:
        DeviceError: if NVRTC is missing or refuses the source, with its log.
    """
    source = (KERNELS / name).read_bytes()
    compiler = load_nvrtc()
    arguments = (f"--gpu-architecture={arch}", "--std=c++17", *options)
    path = (folder or cache_dir()) / f"{_key(source, arguments, compiler.version)}.cubin"
    found = read_cached(path)
    if found is None:
        found = compiler.compile(name, source, arguments)
        write_cached(path, found)
    return found


def cache_dir() -> Path:
    """Where compiled kernels are kept: ``$XDG_CACHE_HOME/sightline/kernels``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sightline" / "kernels"


def read_cached(path: Path) -> bytes | None:
    """What ``write_cached`` wrote; None where it is missing or damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, code = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    return code if code and hashlib.sha256(code).digest() == digest else None


def write_cached(path: Path, code: bytes) -> None:
    """Publish at once and whole; a folder that cannot be written costs a compilation each start."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            whole = Path(folder, path.name)
            whole.write_bytes(hashlib.sha256(code).digest() + code)
            os.replace(whole, path)


def _key(source: bytes, arguments: Sequence[str], version: tuple[int, int]) -> str:
    parts = (source, *(argument.encode() for argument in arguments), repr(version).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


class Nvrtc:
    """The few calls of libnvrtc that a compilation takes."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.nvrtcGetErrorString.restype = ctypes.c_char_p
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        self.version = (major.value, minor.value)

    def compile(self, name: str, source: bytes, arguments: Sequence[str]) -> bytes:
        """Machine code.

        Raises:
            DeviceError: with the compiler's log.
        """
        program = ctypes.c_void_p()
        self._call(
            "nvrtcCreateProgram", ctypes.byref(program), source, name.encode(), 0, None, None
        )
        try:
            options = (ctypes.c_char_p * len(arguments))(*(a.encode() for a in arguments))
            status = self._library.nvrtcCompileProgram(program, len(arguments), options)
            if status:
                raise DeviceError(self._refusal(status, name, arguments, program))
            return self._fetch("nvrtcGetCUBIN", program)
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    def _refusal(
        self, status: int, name: str, arguments: Sequence[str], program: ctypes.c_void_p
    ) -> str:
        log = self._fetch("nvrtcGetProgramLog", program).rstrip(b"\0\n").decode(errors="replace")
        version = ".".join(map(str, self.version))
        return (
            f"NVRTC {version} does not compile {name} with {' '.join(arguments)} "
            f"({self._error(status)}); a newer GPU needs a newer nvidia-cuda-nvrtc\n{log}"
        )

    def _fetch(self, what: str, program: ctypes.c_void_p) -> bytes:
        size = ctypes.c_size_t()
        self._call(f"{what}Size", program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        self._call(what, program, buffer)
        return buffer.raw

    def _call(self, function: str, *arguments: object) -> None:
        status = getattr(self._library, function)(*arguments)
        if status:
            raise DeviceError(f"{function} failed: {self._error(status)}")

    def _error(self, status: int) -> str:
        text: bytes = self._library.nvrtcGetErrorString(status)
        return text.decode()


@cache
def load_nvrtc() -> Nvrtc:
    """The newest NVRTC that the loader, a wheel or the CUDA toolkit offers.

    Raises:
        DeviceError: if there is none.
    """
    for name in _candidates():
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        _load_builtins_beside(Path(name))
        return Nvrtc(library)
    raise DeviceError(
        f"NVRTC is missing (looked for {', '.join(SONAMES)}): pip install nvidia-cuda-nvrtc, "
        "or set CUDA_HOME to a CUDA toolkit"
    )


def _candidates() -> Iterator[str]:
    yield from SONAMES
    spec = importlib.util.find_spec("nvidia")  # the namespace of NVIDIA's wheels
    for folder in (spec and spec.submodule_search_locations) or ():
        yield from _newest_first(Path(folder).glob("*/lib/libnvrtc.so*"))
    for toolkit in (os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"):
        if toolkit:
            yield from _newest_first(Path(toolkit).glob("lib64/libnvrtc.so*"))


def _load_builtins_beside(library: Path) -> None:
    """NVRTC opens its builtins by name when it compiles, which finds no folder of wheels."""
    if library.is_absolute():
        for path in library.parent.glob("libnvrtc-builtins.so*"):
            with contextlib.suppress(OSError):
                ctypes.CDLL(str(path))


def _newest_first(paths: Iterable[Path]) -> list[str]:
    return sorted(map(str, paths), key=lambda path: path.rpartition(".so")[2], reverse=True)
