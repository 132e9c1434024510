"""What ``sightline doctor`` says of the GPU: all that decoder and model need there."""

from __future__ import annotations

from collections.abc import Iterator

from cluster import gpu_host
from cluster.cli.finding import Finding, tried

_CONTAINER = (
    f"start the container with --gpus all and {gpu_host.CAPABILITIES}={','.join(gpu_host.NEEDED)}"
)
_PACKAGES = "pip install 'sightline[gpu]'"


def examine_gpu() -> Iterator[Finding]:
    """Look at the GPU; where there is no driver that is all there is to say."""
    if not gpu_host.has_driver():
        remedy = "none needed: models run on the CPU with ONNX Runtime"
        yield Finding("GPU", False, "no NVIDIA driver", remedy)
        return
    yield _driver()
    yield _capabilities()
    yield tried("GPU device", _device, "see the GPU's other lines, then nvidia-smi")
    yield tried("GPU model (TensorRT)", _tensorrt, _PACKAGES)
    yield tried("GPU kernels (NVRTC)", _nvrtc, _PACKAGES)
    yield _nvdec()
    yield _mps()


def _driver() -> Finding:
    driver, cuda = gpu_host.driver_version() or "of unknown version", gpu_host.cuda_version()
    if not cuda:
        return Finding("GPU", False, f"driver {driver}, but no libcuda", _CONTAINER)
    return Finding("GPU", True, f"driver {driver}, CUDA {cuda}")


def _capabilities() -> Finding:
    missing = gpu_host.missing_capabilities()
    found = f"without {', '.join(missing)}" if missing else "all that is needed"
    return Finding("GPU capabilities", not missing, found, _CONTAINER)


def _device() -> str:
    from engines.cuda.context import open_device

    with open_device() as context:
        free_bytes, total_bytes = context.cuda.mem_get_info()
    gib = 2**30
    return f"{context.name} ({context.arch}), {free_bytes / gib:.0f} of {total_bytes / gib:.0f} GiB"


def _tensorrt() -> str:
    from engines.tensorrt.runtime import import_tensorrt

    return f"TensorRT {import_tensorrt().__version__}"


def _nvrtc() -> str:
    from engines.cuda.nvrtc import load_nvrtc

    return f"NVRTC {'.'.join(map(str, load_nvrtc().version))}"


def _nvdec() -> Finding:
    from actors.ingest.nvdec import nvdec_fault

    fault = nvdec_fault()
    found = fault or "decodes H.264"
    return Finding("GPU decoder (NVDEC)", not fault, found, "cameras are decoded on the CPU")


def _mps() -> Finding:
    is_on = gpu_host.is_mps_running()
    found = "runs" if is_on else "off: the processes of a slot take turns on the GPU"
    return Finding("GPU sharing (MPS)", True, found)
