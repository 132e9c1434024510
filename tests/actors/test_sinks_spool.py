"""The spool: lines in order, bounded, safe from a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.errors import SinkError
from actors.sinks.spool import Spool

MAX_BYTES = 2**16


def lines(first: int, last: int) -> list[bytes]:
    return [f"{n:07d}\n".encode() for n in range(first, last)]


def drain(spool: Spool, at_once: int = 100) -> list[bytes]:
    taken = []
    while batch := spool.peek(at_once):
        spool.commit(batch)
        taken += batch
    return taken


def test_lines_come_out_in_the_order_they_went_in(tmp_path):
    spool = Spool(tmp_path, MAX_BYTES)
    spool.append(lines(0, 1000))
    assert spool.peek(2) == lines(0, 2)
    spool.commit(spool.peek(2))
    spool.append(lines(1000, 1500))
    assert len(spool) == 1498
    assert drain(spool) == lines(2, 1500)
    assert len(spool) == 0
    assert spool.peek(1) == []


def test_what_was_not_taken_survives_a_restart(tmp_path):
    spool = Spool(tmp_path, MAX_BYTES)
    spool.append(lines(0, 2000))
    spool.commit(spool.peek(300))
    spool.close()
    again = Spool(tmp_path, MAX_BYTES)
    assert len(again) == 1700
    again.append(lines(2000, 2001))
    assert drain(again) == lines(300, 2001)


def test_a_full_spool_drops_the_oldest_and_counts_them(tmp_path):
    spool = Spool(tmp_path, MAX_BYTES)
    spool.append(lines(0, 20_000))
    assert sum(f.stat().st_size for f in tmp_path.glob("*.jsonl")) <= MAX_BYTES
    left = drain(spool)
    assert left == lines(spool.num_dropped, 20_000)
    assert spool.num_dropped > 0


def test_a_torn_last_line_is_cut_off(tmp_path):
    spool = Spool(tmp_path, MAX_BYTES)
    spool.append(lines(0, 3))
    spool.close()
    (segment,) = tmp_path.glob("*.jsonl")
    with segment.open("ab") as file:
        file.write(b"0000")
    again = Spool(tmp_path, MAX_BYTES)
    again.append(lines(3, 4))
    assert drain(again) == lines(0, 4)


def test_an_emptied_spool_takes_nothing_twice_after_a_restart(tmp_path):
    for n in range(3):
        spool = Spool(tmp_path, MAX_BYTES)
        spool.append(lines(10 * n, 10 * n + 10))
        assert drain(spool, at_once=3) == lines(10 * n, 10 * n + 10)
        spool.close()
    assert list(tmp_path.glob("*.jsonl")) == []


def test_two_holders_get_folders_of_their_own_and_an_heir_gets_what_was_left(tmp_path):
    first = Spool.claim(tmp_path, MAX_BYTES)
    second = Spool.claim(tmp_path, MAX_BYTES)
    first.append(lines(0, 1))
    second.append(lines(5, 9))
    second.close()
    heir = Spool.claim(tmp_path, MAX_BYTES)
    assert drain(heir) == lines(5, 9)
    assert drain(first) == lines(0, 1)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match=r"spool_dir: cannot write '.*file/spool/0'"):
        Spool.claim(tmp_path / "file" / "spool", MAX_BYTES)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 700), st.booleans()), max_size=8))
def test_any_mix_of_appends_takes_and_restarts_keeps_all_lines(tmp_path_factory, steps):
    folder: Path = tmp_path_factory.mktemp("spool")
    spool, expected, next_line = Spool(folder, MAX_BYTES), [], 0
    for num_added, num_taken, restarts in steps:
        spool.append(lines(next_line, next_line + num_added))
        expected += lines(next_line, next_line + num_added)
        next_line += num_added
        taken = spool.peek(num_taken) if num_taken else []
        spool.commit(taken)
        assert taken == expected[: len(taken)]
        del expected[: len(taken)]
        if restarts:
            spool.close()
            spool = Spool(folder, MAX_BYTES)
        assert len(spool) == len(expected)
    assert drain(spool) == expected
