"""The address of a GPU on the PCI bus, by which CUDA and NVML mean the same one."""

from __future__ import annotations

import pytest

from engines.cuda.address import bus_address


def absent(name: str) -> None:
    raise OSError(f"{name}: cannot open shared object file")


def test_without_a_driver_no_gpu_has_an_address(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", absent)
    assert bus_address() == ""


@pytest.mark.gpu
@pytest.mark.skipif(not bus_address(), reason="no NVIDIA GPU")
def test_the_address_of_a_gpu_is_the_one_that_cuda_has_for_it():
    from engines.cuda.context import open_device

    with open_device() as context:
        expected = context.cuda.Device(0).pci_bus_id()
    assert bus_address().lower() == expected.lower()
    assert bus_address(64) == ""
