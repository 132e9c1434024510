"""Compiling kernels and keeping what was made."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.cuda import nvrtc
from engines.cuda.nvrtc import cubin, load_nvrtc, read_cached, write_cached
from engines.errors import DeviceError

KERNELS = [("preprocess.cu", ()), ("suppress.cu", ("--fmad=false", "-DMAX_CANDIDATES=512"))]


@pytest.fixture
def compiler() -> nvrtc.Nvrtc:
    try:
        return load_nvrtc()
    except DeviceError as error:
        pytest.skip(str(error))


def test_what_is_written_to_the_cache_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "code.cubin"
    assert read_cached(path) is None
    write_cached(path, b"machine code")
    assert read_cached(path) == b"machine code"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("keep", [0, 10, 32, 40])
def test_a_file_that_was_cut_short_counts_as_missing(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "code.cubin"
    write_cached(path, b"machine code")
    path.write_bytes(path.read_bytes()[:keep])
    assert read_cached(path) is None


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_bytes(b"")
    write_cached(in_the_way / "code.cubin", b"machine code")
    assert read_cached(in_the_way / "code.cubin") is None


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert nvrtc.cache_dir() == tmp_path / "sightline" / "kernels"


def test_without_nvrtc_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> Iterator[str]:
        yield "libnvrtc-of-nobody.so"

    monkeypatch.setattr(nvrtc, "_candidates", nothing)
    with pytest.raises(DeviceError, match="pip install nvidia-cuda-nvrtc"):
        load_nvrtc.__wrapped__()


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_builtins_beside_the_library_are_found_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    builtins = f"libnvrtc-builtins.so.{os.getpid()}"
    library = tmp_path / "libnvrtc-of-a-test.so.13"
    version = (
        "int nvrtcVersion(int *major, int *minor) { *major = 13; *minor = 0; return 0; }\n"
        'const char *nvrtcGetErrorString(int status) { return "fine"; }\n'
    )
    for path, code in ((tmp_path / builtins, ""), (library, version)):
        options = ["-shared", "-fPIC", f"-Wl,-soname,{path.name}", "-x", "c", "-", "-o", path]
        subprocess.run(["cc", *options], input=code.encode(), check=True)
    with pytest.raises(OSError, match=builtins):
        ctypes.CDLL(builtins)
    monkeypatch.setattr(nvrtc, "_candidates", lambda: iter([str(library)]))
    assert load_nvrtc.__wrapped__().version == (13, 0)
    ctypes.CDLL(builtins)


@pytest.mark.parametrize("arch", ["sm_75", "sm_90"])
@pytest.mark.parametrize(("name", "options"), KERNELS)
def test_the_kernels_compile_for_a_gpu_that_is_not_here(
    compiler: nvrtc.Nvrtc, tmp_path: Path, name: str, options: tuple[str, ...], arch: str
) -> None:
    assert cubin(name, arch, options, folder=tmp_path).startswith(b"\x7fELF")


def test_a_kernel_is_compiled_once_for_each_gpu(
    compiler: nvrtc.Nvrtc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    compile_for = compiler.compile

    def count(name: str, source: bytes, arguments: tuple[str, ...]) -> bytes:
        compiled.append(arguments[0])
        return compile_for(name, source, arguments)

    monkeypatch.setattr(compiler, "compile", count)
    codes = [cubin("preprocess.cu", arch, folder=tmp_path) for arch in ("sm_80", "sm_90", "sm_80")]
    assert compiled == ["--gpu-architecture=sm_80", "--gpu-architecture=sm_90"]
    assert codes[0] == codes[2] != codes[1]


def test_a_source_that_does_not_compile_shows_the_log(compiler: nvrtc.Nvrtc) -> None:
    with pytest.raises(DeviceError, match=r"(?s)broken\.cu.*nothing_of_this_name.*undefined"):
        compiler.compile(
            "broken.cu",
            b'extern "C" __global__ void f(int* p) { *p = nothing_of_this_name; }',
            ["--gpu-architecture=sm_90"],
        )


def test_a_gpu_that_the_compiler_does_not_know_names_the_remedy(compiler: nvrtc.Nvrtc) -> None:
    with pytest.raises(DeviceError, match=r"sm_999.*newer nvidia-cuda-nvrtc"):
        compiler.compile("empty.cu", b"", ["--gpu-architecture=sm_999"])
