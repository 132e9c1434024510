"""Many surfaces are copied by few launches, byte by byte as one by one."""

from __future__ import annotations

import numpy as np
import pytest

from engines.cuda.copy_rows import MAX_SURFACES, Rows, launches
from tests.engines.cuda_backends import ON_BOTH, Backend, backend_of

SIZES = ((6, 64, 96), (5, 33, 40), (1, 1, 7), (4, 48, 48), (2, 16, 16))
"""Rows, bytes of a row, pitch: some in steps of 16 bytes and some not."""


@pytest.fixture(params=ON_BOTH)
def backend(request: pytest.FixtureRequest) -> Backend:
    return backend_of(request.param)


def test_rows_lose_their_padding_and_nothing_else_is_touched(backend: Backend) -> None:
    rng = np.random.default_rng(0)
    sizes = [SIZES[number % len(SIZES)] for number in range(MAX_SURFACES + 3)]
    offsets = np.cumsum([0, *(-(-rows * row_bytes // 16) * 16 for rows, row_bytes, _ in sizes)])
    address, target = backend.upload(np.full(int(offsets[-1]) + 16, 7, np.uint8))
    expected = np.full(int(offsets[-1]) + 16, 7, np.uint8)
    surfaces, kept = [], [target]
    for offset, (num_rows, row_bytes, pitch) in zip(offsets, sizes, strict=False):
        source = rng.integers(0, 256, (num_rows, pitch), dtype=np.uint8)
        at, owner = backend.upload(source)
        kept += [source, owner]
        surfaces.append(Rows(at, address + int(offset), pitch, row_bytes, num_rows))
        part = source[:, :row_bytes].ravel()
        expected[int(offset) : int(offset) + part.size] = part
    backend.copy_rows(surfaces)
    assert backend.download(address, expected.size) == expected.tobytes()


def test_a_launch_has_no_more_surfaces_than_its_parameters_hold() -> None:
    rows = Rows(1, 2, 3, 4, 5)
    assert [len(part) for part in launches([rows] * (2 * MAX_SURFACES + 1))] == [
        MAX_SURFACES,
        MAX_SURFACES,
        1,
    ]
    assert launches([]) == []
    assert launches([rows])[0].tolist() == [(1, 2, 3, 4, 5, 0)]
