"""Which GPU it is: its address on the PCI bus, by which everybody means the same one.

A process counts the GPUs that ``CUDA_VISIBLE_DEVICES`` leaves it, in an order of CUDA's own, while
NVML counts all of the machine.
"""

from __future__ import annotations

import ctypes

_MAX_BYTES = 32


def bus_address(index: int = 0) -> str:
    """The address of a GPU, as ``0000:3b:00.0``; empty where there is none.

    Opens no context, and so takes no memory of the GPU.

    Args:
        index: The GPU, as this process counts.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return ""
    device, text = ctypes.c_int(), ctypes.create_string_buffer(_MAX_BYTES)
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), index):
        return ""
    if driver.cuDeviceGetPCIBusId(text, _MAX_BYTES, device):
        return ""
    return text.value.decode()
