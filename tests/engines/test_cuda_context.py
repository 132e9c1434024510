"""The primary context: one a process, blocking, never left pushed."""

import ctypes
import sys
import threading

import pytest

from engines.cuda.context import SCHED_BLOCKING_SYNC, DeviceContext, open_device
from engines.errors import DeviceError, DeviceMemoryError


@pytest.fixture
def context() -> DeviceContext:
    try:
        return open_device()
    except DeviceError as error:
        pytest.skip(str(error))


def test_without_pycuda_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(DeviceError, match=r"install sightline\[gpu\]"):
        DeviceContext(0)


@pytest.mark.gpu
def test_there_is_one_context_and_it_blocks(context: DeviceContext) -> None:
    assert open_device() is context
    flags, is_active = ctypes.c_uint(), ctypes.c_int()
    driver = ctypes.CDLL("libcuda.so.1")
    assert not driver.cuDevicePrimaryCtxGetState(0, ctypes.byref(flags), ctypes.byref(is_active))
    assert (flags.value & 7, is_active.value) == (SCHED_BLOCKING_SYNC, 1)


@pytest.mark.gpu
def test_it_is_current_as_long_as_a_with_lasts_in_any_thread(context: DeviceContext) -> None:
    cuda, seen = context.cuda, []

    def work() -> None:
        with context, context:
            seen.append(cuda.mem_get_info()[1])
        try:
            cuda.mem_get_info()
        except cuda.Error:
            seen.append(None)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    work()
    assert seen == [seen[0], None] * 2


@pytest.mark.gpu
def test_errors_of_the_driver_leave_as_device_errors(context: DeviceContext) -> None:
    with pytest.raises(DeviceError, match="GPU 0"), context:
        context.cuda.module_from_buffer(b"no machine code")
    with pytest.raises(DeviceMemoryError, match=r"bytes free, 1099511627776 are wanted"):
        context.allocate(1 << 40)
    with context:
        assert context.cuda.mem_get_info()[0] > 0


@pytest.mark.gpu
def test_a_gpu_that_is_not_there_is_named(context: DeviceContext) -> None:
    with pytest.raises(DeviceError, match="GPU 99 cannot be used"):
        open_device(99)
