"""Ranges by stage: nothing where nobody looks, NVTX's own where somebody does."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from engines.cuda import ranges

nvtx = pytest.importorskip("nvtx")

LOOKED_AT = {ranges.SWITCH: "1"}

WHAT_IS_LOADED = """
import sys
import engines.cuda.ranges, engines.onnxruntime.engine, actors.inference.service
print("nvtx" in sys.modules, "pynvml" in sys.modules)
"""


def loaded(**environment: str) -> str:
    """Whether nvtx and pynvml are, once the modules of a slot on the CPU are."""
    inherited = {k: v for k, v in os.environ.items() if k not in (ranges.SWITCH,)}
    answer = subprocess.run(
        [sys.executable, "-c", WHAT_IS_LOADED],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.strip()


@pytest.mark.parametrize("environment", [{}, {ranges.SWITCH: "0"}, {ranges.SWITCH: ""}])
def test_a_function_stays_itself_where_nobody_looks(environment):
    stage = ranges.stage("decode", environment)
    assert stage(len) is len
    with stage:
        pass


def test_a_process_on_the_cpu_does_not_load_the_bindings():
    assert loaded() == "False False"
    assert loaded(**LOOKED_AT) == "True False"


@pytest.mark.parametrize("environment", [LOOKED_AT, {ranges.NSYS_SESSION: "77"}])
def test_where_somebody_looks_a_decorated_function_does_the_same_and_keeps_its_name(environment):
    def double(number: int, *, plus: int = 0) -> int:
        """Twice as much."""
        return 2 * number + plus

    ranged = ranges.stage("infer", environment)(double)
    assert ranged is not double
    assert (ranged(4, plus=1), ranged.__name__, ranged.__doc__) == (9, "double", "Twice as much.")


class Recorder:
    """A domain that keeps what is asked of it, and asks the real one, which needs no tool."""

    def __init__(self) -> None:
        self.domain = nvtx.get_domain("recorded")
        self.open: list[str] = []
        self.seen: list[str] = []

    def get_event_attributes(self, name: str) -> tuple[str, object]:
        return name, self.domain.get_event_attributes(name)

    def push_range(self, attributes: tuple[str, object]) -> None:
        self.domain.push_range(attributes[1])
        self.open.append(attributes[0])
        self.seen.append(attributes[0])

    def pop_range(self) -> None:
        self.domain.pop_range()
        self.open.pop()


def test_ranges_nest_and_end_also_where_the_body_fails(monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr(nvtx, "get_domain", lambda name: recorder)
    outer, inner = (ranges.stage(name, LOOKED_AT) for name in ("infer", "suppress"))

    @inner
    def fails() -> None:
        assert recorder.open == ["infer", "suppress"]
        raise ValueError("no such frame")

    with pytest.raises(ValueError, match="no such frame"), outer:
        fails()
    assert recorder.open == []
    assert recorder.seen == ["infer", "suppress"]


def test_without_the_package_it_is_said_and_the_work_goes_on(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "nvtx", None)
    stage = ranges.stage("copy", LOOKED_AT)
    assert stage(len) is len
    assert "no range copy" in caplog.text
    assert "pip install 'sightline[gpu]'" in caplog.text
