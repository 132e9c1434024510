"""Cars and people of real films are counted as people counted them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.bench.events.clips import CLIPS, Clip, claim, count

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data")
@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: Path(clip.file).stem)
def test_real_films_are_counted_as_people_did(clip: Clip):
    found_s = count(clip, DATA)
    assert claim(clip, found_s).holds, found_s


def test_a_count_that_is_right_at_another_time_is_not_right():
    clip = CLIPS[0]
    assert claim(clip, list(clip.counted_s)).holds
    assert not claim(clip, [t_s + 10 for t_s in clip.counted_s]).holds
    assert not claim(clip, list(clip.counted_s[1:])).holds
