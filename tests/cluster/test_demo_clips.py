"""The demo's films are rendered once and kept where the user's cache is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import pytest

from cluster.demo.clips import (
    CLIP_DURATION_S,
    cache_dir,
    demo_clips,
    demo_scenarios,
)
from cluster.demo.world import VIEWS, Scenario, Truth, truth_path

TINY = Scenario(seed=3, view="bridge", width=64, height=36, fps=5, duration_s=1.2)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def in_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


@pytest.fixture(scope="module")
def progress() -> list[tuple[int, int]]:
    return []


@pytest.fixture(scope="module")
def rendered(cache: Path, progress: list[tuple[int, int]]) -> Sequence[tuple[Path, Truth]]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(cache))
        return demo_clips([TINY], lambda done, total: progress.append((done, total)))


def test_films_lie_in_the_users_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_dir() == cache / "sightline" / "clips"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_dir() == Path("/home/somebody/.cache/sightline/clips")


def test_a_film_is_rendered_with_its_truth_beside_it(
    rendered: Sequence[tuple[Path, Truth]],
) -> None:
    ((path, truth),) = rendered
    assert path.parent == cache_dir()
    assert truth.scenario == TINY
    assert len(truth.frames) == TINY.num_frames == 6
    with av.open(str(path)) as film:
        assert sum(1 for _ in film.decode(video=0)) == 6
    assert {path, truth_path(path)} <= set(path.parent.iterdir())


def test_progress_reaches_the_end(
    rendered: Sequence[tuple[Path, Truth]], progress: list[tuple[int, int]]
) -> None:
    assert progress[-1] == (6, 6)
    assert progress == sorted(progress)


def test_what_the_cache_holds_is_not_rendered_again(
    rendered: Sequence[tuple[Path, Truth]],
) -> None:
    ((path, _),) = rendered
    before = path.stat().st_mtime_ns
    drawn: list[int] = []
    assert demo_clips([TINY], lambda done, _: drawn.append(done)) == rendered
    assert drawn == []
    assert path.stat().st_mtime_ns == before


def test_a_film_without_its_truth_is_rendered_again(
    rendered: Sequence[tuple[Path, Truth]],
) -> None:
    ((path, truth),) = rendered
    truth_path(path).unlink()
    drawn: list[int] = []
    assert demo_clips([TINY], lambda done, _: drawn.append(done)) == rendered
    assert drawn[-1] == TINY.num_frames
    assert Truth.from_json(truth_path(path).read_text()) == truth


def test_another_world_is_another_film(rendered: Sequence[tuple[Path, Truth]]) -> None:
    drawn: list[int] = []
    other = replace(TINY, seed=4, duration_s=0.4)
    first, second = demo_clips([TINY, other], lambda done, _: drawn.append(done))
    assert first == rendered[0]
    assert second[0] != first[0]
    assert second[1].scenario == other
    assert drawn[-1] == other.num_frames


def test_the_demos_worlds_differ_and_stay_the_same() -> None:
    wanted = demo_scenarios(8, fps=12)
    assert wanted == demo_scenarios(8, fps=12)
    assert wanted[:3] == demo_scenarios(3, fps=12)
    assert len({scenario.digest() for scenario in wanted}) == 8
    assert {scenario.view for scenario in wanted} == set(VIEWS)
    assert {(scenario.duration_s, scenario.fps) for scenario in wanted} == {(CLIP_DURATION_S, 12)}
