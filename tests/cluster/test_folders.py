"""What a local Sightline keeps can be read by its owner alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cluster.cli import service
from cluster.config import SightlineConfig
from cluster.embedded import EmbeddedRedis
from cluster.folders import make_private, state_dir


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def test_a_folder_that_others_could_enter_is_closed_to_them(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "state"
    assert mode(make_private(folder)) == 0o700
    folder.chmod(0o755)
    assert mode(make_private(folder)) == 0o700


def test_the_streams_of_an_embedded_server_are_private_though_their_folder_was_there(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o755)
    with EmbeddedRedis(data_dir=tmp_path):
        assert mode(tmp_path) == 0o700


def test_up_keeps_its_state_to_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "sightline").mkdir(mode=0o755)

    class Refused(Exception):
        pass

    def refuse(*_: object, data_dir: Path, **__: object) -> None:
        assert mode(state_dir()) == 0o700
        assert data_dir.parent == state_dir()
        assert not data_dir.exists()
        raise Refused

    monkeypatch.setattr(service, "LocalCluster", refuse)
    with pytest.raises(Refused):
        service._serve(SightlineConfig(), None)
