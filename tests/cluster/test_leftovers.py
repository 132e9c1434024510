"""What a killed slot left in shared memory is removed, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from actors.ledger import Ledger
from cluster.slot.leftovers import new_slot_name, remove_leftovers, slot_pid


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the machine's shared memory."""
    for module in ("cluster.slot.leftovers", "actors.ledger"):
        monkeypatch.setattr(f"{module}.shared_memory_dir", lambda: str(tmp_path))
    return tmp_path


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_files_of_a_dead_slot_are_removed_and_told(folder: Path) -> None:
    names = [f"sightline-slot-{dead_pid()}-a1b2c3-{kind}" for kind in ("ledger-x", "pool-y")]
    for name in names:
        (folder / name).write_bytes(b"x")
    assert sorted(path.name for path in remove_leftovers()) == sorted(names)
    assert list(folder.iterdir()) == []
    assert remove_leftovers() == []


def test_files_of_a_living_slot_stay(folder: Path) -> None:
    ledger = Ledger.create(1, name=f"{new_slot_name()}-ledger")
    assert Path(ledger.path).parent == folder
    assert remove_leftovers() == []
    assert Path(ledger.path).exists()


@pytest.mark.parametrize(
    "name",
    [
        "sightline-pool-{pid}-x",
        "sightline-slot-x{pid}-pool",
        "sightline-slot-{pid}",
        "other-slot-{pid}-pool",
    ],
)
def test_files_that_are_not_a_slots_stay(folder: Path, name: str) -> None:
    path = folder / name.format(pid=dead_pid())
    path.write_bytes(b"x")
    assert remove_leftovers() == []
    assert path.exists()


def test_a_slots_name_tells_its_process_and_is_its_own() -> None:
    names = {new_slot_name() for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith(f"slot-{os.getpid()}-") for name in names)
    assert {slot_pid(f"sightline-{name}-pool") for name in names} == {os.getpid()}
