"""NVIDIA's Multi-Process Service is started where it can, alone, and ended with what it served."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from cluster import mps
from cluster.config import SlotsConfig
from cluster.errors import UnavailableError
from cluster.gpu_host import MPS_PIPES, is_mps_running
from cluster.mps import MPS_LOGS, end_leftovers, mps_running, mps_where_it_can
from tests.cluster.test_leftovers import dead_pid


def refuse(mps_control: Path) -> None:
    """From now on the service does not start."""
    program = mps_control.parent / "nvidia-cuda-mps-control"
    program.write_text("#!/bin/sh\necho no GPU here; exit 1\n")


def test_mps_runs_in_a_folder_of_its_own_and_ends_with_the_measurement(mps_control: Path) -> None:
    with mps_running():
        folder = os.environ[MPS_PIPES]
        assert is_mps_running()
        assert os.environ[MPS_LOGS] == folder
    assert mps_control.read_text().splitlines() == [f"start {folder}", "quit -t 10"]
    assert os.environ[MPS_PIPES] == "/before"
    assert MPS_LOGS not in os.environ
    assert not Path(folder).exists()


def test_mps_ends_when_what_runs_in_it_fails(mps_control: Path) -> None:
    with pytest.raises(ZeroDivisionError), mps_running():
        _ = 1 / 0
    assert mps_control.read_text().endswith("quit -t 10\n")


def test_mps_that_does_not_start_says_why(mps_control: Path) -> None:
    (mps_control.parent / "nvidia-cuda-mps-control").write_text(
        "#!/bin/sh\necho no GPU here; exit 1\n"
    )
    with pytest.raises(UnavailableError, match="-d: no GPU here"), mps_running():
        pytest.fail("it did not start")


@pytest.fixture
def gpu(mps_control: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As on a machine with a GPU and its driver."""
    monkeypatch.setattr(mps, "has_driver", lambda: True)
    return mps_control


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_slots_get_it_where_there_is_a_driver(device: str, gpu: Path) -> None:
    with mps_where_it_can(SlotsConfig.model_validate({"device": device})):
        assert is_mps_running()
    assert gpu.read_text().endswith("quit -t 10\n")


@pytest.mark.parametrize("slots", [SlotsConfig(mps=False), SlotsConfig(device="cpu", mps=True)])
def test_it_is_not_started_for_slots_that_do_without(slots: SlotsConfig, gpu: Path) -> None:
    with mps_where_it_can(slots):
        assert not is_mps_running()
    assert not gpu.exists()


def test_one_that_runs_already_is_used_and_left_running(
    gpu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "control").touch()
    monkeypatch.setenv(MPS_PIPES, str(tmp_path))
    with mps_where_it_can(SlotsConfig(mps=True)):
        assert os.environ[MPS_PIPES] == str(tmp_path)
    assert not gpu.exists()


def test_where_it_does_not_start_slots_do_without_and_the_log_says_why(
    gpu: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refuse(gpu)
    with caplog.at_level(logging.WARNING), mps_where_it_can(SlotsConfig()):
        assert not is_mps_running()
    assert "take turns on the GPU" in caplog.text
    assert "no GPU here" in caplog.text


def test_where_it_is_asked_for_and_does_not_start_the_field_is_named(gpu: Path) -> None:
    (gpu.parent / "nvidia-cuda-mps-control").unlink()
    with (
        pytest.raises(UnavailableError, match=r"slots\.mps: nvidia-cuda-mps-control -d"),
        mps_where_it_can(SlotsConfig(mps=True)),
    ):
        pytest.fail("it did not start")


def test_a_service_whose_owner_was_killed_is_ended(mps_control: Path, tmp_path: Path) -> None:
    old, own = (tmp_path / f"sightline-mps-{pid}-abc" for pid in (dead_pid(), os.getpid()))
    old.mkdir()
    own.mkdir()
    assert end_leftovers(tmp_path) == [old]
    assert mps_control.read_text() == "quit -t 10\n"
    assert own.exists()
    assert not old.exists()
