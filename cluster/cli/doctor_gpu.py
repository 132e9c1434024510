"""What ``sightline doctor`` says of the GPU: all that decoder, model and gauges need there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cluster import gpu_host
from cluster.cli.doctor_plans import examine_plans
from cluster.cli.finding import Facts, Finding, tried
from cluster.errors import UnavailableError
from cluster.nvml import all_gpus
from cluster.registry import GpuLoad
from engines.errors import DeviceError

_CONTAINER = (
    f"start the container with --gpus all and {gpu_host.CAPABILITIES}={','.join(gpu_host.NEEDED)}"
)
_PACKAGES = "pip install 'sightline[gpu]'"
_SHARE = "nvidia-smi -c DEFAULT, or start MPS with nvidia-cuda-mps-control -d"
_GIB = 2**30


def examine_gpu(pool_bytes: int = 0) -> Iterator[Finding]:
    """Look at the GPU; where there is no driver that is all there is to say.

    Args:
        pool_bytes: What a slot's frame pool takes of its memory.
    """
    if not gpu_host.has_driver():
        remedy = "none needed: models run on the CPU with ONNX Runtime"
        yield Finding("GPU", False, "no NVIDIA driver", remedy)
        return
    decoder = _nvdec()
    yield _driver()
    yield capabilities(gpu_host.missing_capabilities(), decodes=decoder.ok)
    yield from _device(pool_bytes)
    yield from _tensorrt()
    yield kernels()
    yield decoder
    yield from _gauges()


def _driver() -> Finding:
    driver, cuda = gpu_host.driver_version(), gpu_host.cuda_version()
    found, facts = f"driver {driver or 'of unknown version'}", {"driver": driver, "cuda": cuda}
    if not cuda:
        return Finding("GPU", False, f"{found}, but no libcuda", _CONTAINER, facts)
    return Finding("GPU", True, f"{found}, CUDA {cuda}", facts=facts)


def capabilities(missing: Sequence[str], *, decodes: bool) -> Finding:
    """Whether the container was given all; some runtimes give the decoder without naming it."""
    lacking = [name for name in missing if not (name == "video" and decodes)]
    found = f"without {', '.join(lacking)}" if lacking else "all that is needed"
    facts = {"missing": lacking}
    return Finding("GPU capabilities", not lacking, found, _CONTAINER, facts)


def _device(pool_bytes: int) -> Iterator[Finding]:
    from engines.cuda.context import open_device

    try:
        with open_device() as context:
            free_bytes, total_bytes = context.cuda.mem_get_info()
    except DeviceError as error:
        remedy = "see the GPU's other lines, then nvidia-smi"
        yield Finding("GPU device", False, str(error), remedy)
        return
    facts = {"name": context.name, "arch": context.arch}
    yield Finding("GPU device", True, f"{context.name} ({context.arch})", facts=facts)
    yield memory(free_bytes, total_bytes, pool_bytes)


def memory(free_bytes: int, total_bytes: int, pool_bytes: int) -> Finding:
    """Whether the frame pool fits beside what the GPU holds already."""
    found = (
        f"{free_bytes / _GIB:.1f} of {total_bytes / _GIB:.1f} GiB free, "
        f"the frame pool takes {pool_bytes / _GIB:.1f}"
    )
    facts = {"free_bytes": free_bytes, "total_bytes": total_bytes, "needed_bytes": pool_bytes}
    remedy = "end what else uses it (nvidia-smi says what), or lower pool.num_slots"
    return Finding("GPU memory", free_bytes >= pool_bytes, found, remedy, facts)


def _tensorrt() -> Iterator[Finding]:
    from engines.tensorrt.runtime import import_tensorrt, platform_of

    what = "GPU model (TensorRT)"
    try:
        version = import_tensorrt().__version__
    except DeviceError as error:
        yield Finding(what, False, str(error), _PACKAGES)
        return
    yield Finding(what, True, f"TensorRT {version}", facts={"version": version})
    try:
        yield examine_plans(platform_of())
    except DeviceError as error:
        yield Finding("GPU plans", False, str(error), "see the line on the device")


def kernels() -> Finding:
    """Whether NVRTC can compile; some load, and miss what they compile with."""
    return tried("GPU kernels (NVRTC)", _compiled, _PACKAGES)


def _compiled() -> tuple[str, Facts]:
    from engines.cuda.context import open_device
    from engines.cuda.nvrtc import cubin, load_nvrtc

    version = ".".join(map(str, load_nvrtc().version))
    cubin("preprocess.cu", open_device().arch)
    return f"NVRTC {version} compiles them", {"version": version}


def _nvdec() -> Finding:
    from actors.ingest.nvdec import nvdec_fault

    what, until_then = "GPU decoder (NVDEC)", "until then cameras are decoded on the CPU"
    if gpu_host.loaded(gpu_host.DECODER) is None:
        return Finding(what, False, f"no {gpu_host.DECODER}", f"{_CONTAINER}; {until_then}")
    fault = nvdec_fault()
    return Finding(what, not fault, fault or "decodes H.264", until_then)


def _gauges() -> Iterator[Finding]:
    what = "GPU gauges (NVML)"
    try:
        gpus = all_gpus()
        loads = [gpu.read() for gpu in gpus]
        is_exclusive = any(gpu.is_exclusive() for gpu in gpus)
    except UnavailableError as error:
        yield Finding(what, False, str(error), "until then slots show no gauges; all else works")
        yield _sharing(is_exclusive=False)
        return
    facts = {"gpus": [load.model_dump() for load in loads]}
    yield Finding(what, True, "; ".join(map(gauges, loads)), facts=facts)
    yield _sharing(is_exclusive=is_exclusive)


def gauges(load: GpuLoad) -> str:
    """A GPU's gauges in a few words, without those that it does not have."""
    words = [
        ("SM", None if load.sm is None else f"{load.sm:.0%}"),
        ("NVDEC", None if load.decoder is None else f"{load.decoder:.0%}"),
        ("power", None if load.power_w is None else f"{load.power_w:.0f} W"),
        ("at", None if load.temperature_c is None else f"{load.temperature_c:.0f} °C"),
    ]
    known = ", ".join(f"{name} {value}" for name, value in words if value is not None)
    return f"{load.name}: {known or 'says nothing'}"


def _sharing(*, is_exclusive: bool) -> Finding:
    """Engine and ingest of a slot are processes of their own."""
    what, is_on = "GPU sharing (MPS)", gpu_host.is_mps_running()
    facts = {"mps": is_on, "exclusive": is_exclusive}
    if is_on:
        return Finding(what, True, "runs", facts=facts)
    if is_exclusive:
        found = "off, and the GPU takes one process at a time: a slot has several"
        return Finding(what, False, found, _SHARE, facts)
    found = "off: `sightline up` starts it, and ends it (slots.mps)"
    return Finding(what, True, found, facts=facts)
