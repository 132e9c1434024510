from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TESTS = """
import ctypes, itertools, time
import pytest

runs = {name: itertools.count(1) for name in ("once", "fixture", "always", "by itself")}

def stand_still():
    time.sleep(0.05)
    ctypes.PyDLL(None).usleep(250_000)  # with Python's lock
    time.sleep(0.05)

def fail_until(name, num):
    if next(runs[name]) < num:
        stand_still()
        raise AssertionError(name)

def test_that_stands_still_once():
    fail_until("once", 2)

@pytest.fixture
def fixture():
    fail_until("fixture", 3)
    yield
    assert next(runs["fixture"]) == 4

def test_with_a_fixture_that_stands_still_twice(fixture):
    pass

def test_that_always_stands_still():
    fail_until("always", 10)

def test_that_fails_by_itself():
    assert next(runs["by itself"]) == 2

def test_how_often_they_ran():
    assert next(runs["always"]) == 4
    assert next(runs["by itself"]) == 2
"""


def test_what_fails_while_the_process_stands_still_is_run_again_and_no_other(tmp_path: Path):
    (tmp_path / "test_them.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "tests.standstill", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-rA", "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
    )
    lines = [line.split(" - ")[0] for line in done.stdout.splitlines()]
    outcomes = {
        line.rpartition("::")[2]: line.split()[0]
        for line in lines
        if line.startswith(("PASSED", "FAILED", "ERROR"))
    }
    assert outcomes == {
        "test_that_stands_still_once": "PASSED",
        "test_with_a_fixture_that_stands_still_twice": "PASSED",
        "test_that_always_stands_still": "FAILED",
        "test_that_fails_by_itself": "FAILED",
        "test_how_often_they_ran": "PASSED",
    }, done.stdout + done.stderr
    assert done.stdout.count("failed while its process stood still for 0.") >= 2
