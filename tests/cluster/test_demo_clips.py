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
    cached_clips,
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
        assert cached_clips([TINY]) is None
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
    assert sorted(path.parent.iterdir()) == sorted([path, truth_path(path)])


def test_progress_reaches_the_end(
    rendered: Sequence[tuple[Path, Truth]], progress: list[tuple[int, int]]
) -> None:
    assert progress[-1] == (6, 6)
    assert progress == sorted(progress)


def test_what_the_cache_holds_is_not_rendered_again(
    rendered: Sequence[tuple[Path, Truth]],
) -> None:
    ((path, truth),) = rendered
    before = path.stat().st_mtime_ns
    assert cached_clips([TINY]) == [(path, truth)]
    assert path.stat().st_mtime_ns == before


def test_a_film_without_its_truth_is_not_cached(
    rendered: Sequence[tuple[Path, Truth]],
) -> None:
    ((path, _),) = rendered
    aside = truth_path(path).rename(path.with_suffix(".aside"))
    try:
        assert cached_clips([TINY]) is None
    finally:
        aside.rename(truth_path(path))


@pytest.mark.parametrize("other", [{"seed": 4}, {"fps": 6}, {"view": "street"}, {"density": 2.0}])
def test_another_world_is_another_film(
    rendered: Sequence[tuple[Path, Truth]], other: dict[str, object]
) -> None:
    assert cached_clips([replace(TINY, **other)]) is None  # type: ignore[arg-type]
    assert cached_clips([TINY, replace(TINY, **other)]) is None  # type: ignore[arg-type]


def test_the_demos_worlds_differ_and_stay_the_same() -> None:
    wanted = demo_scenarios(8, fps=12)
    assert wanted == demo_scenarios(8, fps=12)
    assert wanted[:3] == demo_scenarios(3, fps=12)
    assert len({scenario.digest() for scenario in wanted}) == 8
    assert {scenario.view for scenario in wanted} == set(VIEWS)
    assert {(scenario.duration_s, scenario.fps) for scenario in wanted} == {(CLIP_DURATION_S, 12)}
