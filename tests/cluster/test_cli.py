"""The command, against a real API: what it prints for people and programs, and how it fails."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import redis
from typer.testing import CliRunner, Result

from actors.messages import DegradeStep, DropReason
from cluster.cli.main import app, main
from cluster.cli.running import local_api
from cluster.cli.streams import _complete_id
from cluster.embedded import free_port
from cluster.errors import ClusterError
from cluster.registry import GpuLoad, Ladder, LedgerStatus
from cluster.registry.scaling import ScalingInfo
from tests.cluster.builders import ServedApi, slot_info, stream_spec, stream_status

NAMES = (f"cam{number}" for number in itertools.count())
URL = "rtsp://viewer:hunter2@10.0.0.1/main"
RULES = "- {kind: line, name: in, points: [[0, 0.5], [1, 0.5]]}\n"


@pytest.fixture(autouse=True)
def environment(api: ServedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_API", api.url)


@pytest.fixture
def stream() -> str:
    """A stream that exists."""
    name = next(NAMES)
    ok("stream", "add", name, URL)
    return name


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


def sightline(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def ok(*args: object) -> str:
    result = sightline(*args)
    assert result.exit_code == 0, result.output
    return result.stdout


def values(*args: object) -> Any:
    return json.loads(ok(*args, "--json"))


def failed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *args: str) -> str:
    """What ``sightline`` says on stderr before it ends with 1."""
    monkeypatch.setattr(sys, "argv", ["sightline", *args])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error")
    assert "Traceback" not in said.err
    return " ".join(said.err.split())


def test_a_stream_goes_through_its_whole_life(rules: Path) -> None:
    name = next(NAMES)
    assert f"added {name}" in ok(
        "stream", "add", name, URL, "--class", "high", "--max-fps", 5, "--rules", rules, "--loop"
    )
    spec = values("stream", "show", name)["spec"]
    assert (spec["qos"]["class"], spec["max_fps"], spec["loop"]) == ("high", 5, True)
    assert spec["rules"][0]["name"] == "in"
    assert f"changed {name}" in ok("stream", "update", name, "--max-fps", 2, "--disabled")
    changed = values("stream", "show", name)["spec"]
    assert changed == {**spec, "max_fps": 2, "enabled": False}
    assert f"removed {name}" in ok("stream", "remove", name)
    assert name not in [s["id"] for s in values("stream", "list")["streams"]]


def test_adding_and_changing_can_answer_with_the_job_as_json(stream: str) -> None:
    name = next(NAMES)
    made = values("stream", "add", name, "rtsp://h/x", "--name", "North gate")
    assert (made["id"], made["spec"]["name"]) == (name, "North gate")
    changed = values("stream", "update", stream, "--transport", "udp", "--enabled")
    assert (changed["spec"]["transport"], changed["spec"]["enabled"]) == ("udp", True)


def test_a_stream_is_added_with_its_labels_and_pipeline() -> None:
    name = next(NAMES)
    labels = ("--label", "site=north", "--label", "note=a=b")
    spec = values("stream", "add", name, URL, "--pipeline", "default", *labels)["spec"]
    assert spec["labels"] == {"site": "north", "note": "a=b"}
    assert spec["pipeline"] == "default"


def test_a_pipeline_that_is_not_there_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no such pipeline (given: nowhere): choose one of default" in failed(
        capsys, monkeypatch, "stream", "add", "x", URL, "--pipeline", "nowhere"
    )


@pytest.mark.parametrize("label", ["site", "=north", ""])
def test_a_label_needs_a_name_and_a_value(label: str) -> None:
    result = sightline("stream", "add", "x", URL, "--label", label)
    assert result.exit_code == 2
    assert "KEY=VALUE" in result.stderr


def test_a_stream_is_placed_by_labels_and_kept_apart_from_others(api: ServedApi) -> None:
    place = ("--on", "site=north", "--on", "pool=gpu", "--spread", "gate")
    spec = values("stream", "add", "placed", URL, *place)["spec"]
    wanted = {"labels": {"site": "north", "pool": "gpu"}, "spread": "gate", "decode": "auto"}
    assert (spec["placement"], spec["labels"]) == (wanted, {})
    assert "--on x: names no value" in sightline("stream", "add", "x", URL, "--on", "x").stderr
    api.registry.streams.delete("placed")


def test_the_address_is_that_of_the_sightline_that_runs_here(
    api: ServedApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SIGHTLINE_API")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "sightline").mkdir()
    says = {"pid": os.getpid(), "api": api.url, "redis": "redis://x"}
    (tmp_path / "sightline" / "up.json").write_text(json.dumps(says))
    assert "streams" in values("stream", "list")
    assert "slots" in values("slots")
    assert local_api() == api.url
    (tmp_path / "sightline" / "up.json").unlink()
    assert local_api() == "http://127.0.0.1:8000"


def test_a_change_leaves_the_rest_as_it_was(stream: str) -> None:
    before = values("stream", "show", stream)["spec"]
    ok("stream", "update", stream, "--class", "low")
    after = values("stream", "show", stream)["spec"]
    assert after == {**before, "qos": {**before["qos"], "class": "low"}}


def test_streams_are_listed_with_state_and_without_credentials(api: ServedApi, stream: str) -> None:
    table = ok("stream", "list")
    line = next(line for line in table.splitlines() if f" {stream} " in line)
    assert "pending" in line
    assert "no_slot" in line
    assert "hunter2" not in table + json.dumps(values("stream", "list"))
    token = api.registry.leases.claim("slot-a", [stream], 60_000)[stream]
    status = stream_status(token=token)
    api.registry.leases.publish_statuses({stream: (token, status)}, 60_000)
    line = next(line for line in ok("stream", "list").splitlines() if f" {stream} " in line)
    assert "running" in line
    assert "slot-a" in line


def test_the_list_tells_what_overload_takes_and_how_many_frames_were_on_time(
    api: ServedApi, stream: str
) -> None:
    ok("stream", "update", stream, "--class", "low")
    token = api.registry.leases.claim("slot-a", [stream], 60_000)[stream]
    ledger = LedgerStatus(inferred=90, on_time=89, dropped={DropReason.DEADLINE: 10})
    status = stream_status(token=token, degrade_step=DegradeStep.CAPPED, ledger=ledger)
    api.registry.leases.publish_statuses({stream: (token, status)}, 60_000)
    line = next(line for line in ok("stream", "list").splitlines() if f" {stream} " in line)
    assert all(f" {word} " in line for word in ("low", "capped", "89.0%"))
    stats = values("stream", "show", stream)["stats"]
    assert (stats["on_time"], stats["late"], stats["deadline_hits"]) == (89, 1, 0.89)
    assert stats["qos"] == {"class": "low", "weight": 1, "deadline_ms": 1000, "min_fps": 0.5}


def test_the_whole_quality_of_service_can_be_given_and_changed() -> None:
    name = next(NAMES)
    given = ("--class", "high", "--weight", 3, "--deadline-ms", 150, "--min-fps", 0)
    qos = values("stream", "add", name, URL, *given)["spec"]["qos"]
    assert qos == {"class": "high", "weight": 3, "deadline_ms": 150, "min_fps": 0}
    changed = values("stream", "update", name, "--min-fps", 2, "--weight", 5)["spec"]["qos"]
    assert changed == {**qos, "min_fps": 2, "weight": 5}


def test_a_refused_quality_of_service_is_told_with_figures_and_remedy(
    api: ServedApi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = slot_info("s1", model="traffic", admission_fps=80.2, frame_ms=8.3)
    api.registry.slots.publish(measured, 60_000)
    said = failed(capsys, monkeypatch, "stream", "add", "x", URL, "--deadline-ms", "5")
    assert "qos.deadline_ms: 5 ms is shorter than one batch of traffic, 8.3 ms" in said
    assert "give at least 9" in said
    said = failed(capsys, monkeypatch, "stream", "add", "x", URL, "--min-fps", "5000")
    assert "the ready slots infer 80.2 (given: 5000)" in said
    said = failed(capsys, monkeypatch, "stream", "add", "x", URL, "--weight", "0")
    assert "qos.weight: is too small (given: 0.0): give more than 0" in said
    api.registry.slots.remove("s1")


def test_a_stream_is_shown_with_its_counts(stream: str) -> None:
    shown = values("stream", "show", stream)
    assert (shown["id"], shown["stats"]["decoded"]) == (stream, 0)
    text = ok("stream", "show", stream)
    assert f"id: {stream}" in text
    assert "decoded: 0" in text
    assert "hunter2" not in text


def test_rules_may_be_json_and_may_be_taken_away(stream: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps([{"kind": "line", "name": "a", "points": [[0, 0], [1, 1]]}]))
    assert values("stream", "update", stream, "--rules", path)["spec"]["rules"][0]["name"] == "a"
    path.write_text("[]")
    assert values("stream", "update", stream, "--rules", path)["spec"]["rules"] == []


@pytest.mark.parametrize("text", ["{", "a: [", "- {name: in", "\x00", "", "name: in\n"])
@pytest.mark.parametrize("name", ["rules.yaml", "rules.json"])
def test_a_file_that_holds_no_rules_is_named(
    stream: str, tmp_path: Path, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    result = sightline("stream", "update", stream, "--rules", path)
    assert result.exit_code == 2
    said = result.stderr.replace("\n", "")
    assert name in said
    assert "list of rules" in result.stderr.replace("\n", " ")


def test_a_file_of_rules_that_is_not_there_is_named(stream: str) -> None:
    result = sightline("stream", "update", stream, "--rules", "/nowhere/rules.yaml")
    assert result.exit_code == 2
    assert "/nowhere/rules.yaml" in result.stderr


def test_a_change_of_nothing_is_refused(stream: str) -> None:
    result = sightline("stream", "update", stream)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "nothing to change" in result.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("stream", "add", "x"),
        ("stream", "add", "x", URL, "--class", "urgent"),
        ("stream", "add", "x", URL, "--max-fps", "fast"),
        ("stream", "lst"),
        ("events", "tail", "-n", "many"),
        ("nonsense",),
    ],
)
def test_a_wrong_word_on_the_command_line_ends_with_2(args: tuple[str, ...]) -> None:
    assert sightline(*args).exit_code == 2


@pytest.mark.parametrize("odd", ["{}#x", "{}?x=1", "{}/", "{}/../{}", "a/../{}", "..", ""])
def test_an_odd_id_never_means_another_stream(stream: str, odd: str) -> None:
    result = sightline("stream", "remove", odd.format(stream, stream))
    assert isinstance(result.exception, ClusterError)
    assert values("stream", "show", stream)["id"] == stream


def test_ids_are_completed(api: ServedApi, stream: str) -> None:
    class Context:
        params = {"api": api.url}  # noqa: RUF012

    assert stream in _complete_id(Context(), stream[:3])  # type: ignore[arg-type]
    assert _complete_id(Context(), "zzz") == []  # type: ignore[arg-type]
    Context.params["api"] = f"http://127.0.0.1:{free_port()}"
    assert _complete_id(Context(), "") == []  # type: ignore[arg-type]


def test_the_last_of_many_streams_is_listed_too(api: ServedApi) -> None:
    total = values("stream", "list")["total"]
    for number in range(total, 130):
        api.registry.streams.create(stream_spec(f"zz{number:03d}"))
    assert len(values("stream", "list")["streams"]) == 130
    assert "zz129" in ok("stream", "list")


def test_one_event_is_printed(api: ServedApi) -> None:
    with Publisher(api, type="line_cross", stream="gate", rule="in", track="7", ts="1000"):
        assert "gate line_cross in #7" in ok("events", "tail", "-n", 1, "--stream", "gate")


def test_events_are_printed_as_a_json_object_a_line(api: ServedApi) -> None:
    with Publisher(api, type="zone_enter", stream="yard", ts="1000", data='{"a": 1}'):
        lines = ok("events", "tail", "-n", 2, "--json", "--type", "zone_enter").splitlines()
    assert [json.loads(line)["data"] for line in lines] == [{"a": 1}] * 2


def test_slots_are_shown_with_what_they_can_do_and_how_busy_they_are(api: ServedApi) -> None:
    busy = slot_info(
        "slot-a",
        model="traffic",
        num_streams=5,
        capacity_fps=80.2,
        admission_fps=160.4,
        floors_fps=12.5,
        decode_1080p_fps=391.4,
        decode_ratio=0.28,
        utilisation=0.973,
        num_waiting=3,
        batch_fill=2.5,
        ladder=Ladder(rung=1, name="low capped"),
    )
    api.registry.slots.publish(busy, 60_000)
    line = next(line for line in ok("slots").splitlines() if "slot-a" in line)
    words = (
        "ready",
        "traffic",
        "5/64",
        "80",
        "12/160",
        "97%",
        "391",
        "28%",
        "3",
        "2.50",
        "low capped",
    )
    assert all(f" {word} " in line for word in words)
    assert [slot["name"] for slot in values("slots")["slots"]] == ["slot-a"]
    api.registry.slots.publish(slot_info("slot-a"), 60_000)
    line = next(line for line in ok("slots").splitlines() if "slot-a" in line)
    assert " ? " in line
    assert " 0/? " in line
    assert "labels" not in ok("slots")
    api.registry.slots.publish(slot_info("slot-a", labels={"site": "north"}), 60_000)
    assert "site=north" in ok("slots")
    api.registry.slots.remove("slot-a")


def test_slots_say_how_many_are_wanted_and_why(api: ServedApi) -> None:
    assert "wants" not in ok("slots")
    reason = "need 61 frames/s of floors, a slot has 36 and is planned to 80%"
    wants = ScalingInfo(wanted=3, current=1, min_slots=1, max_slots=8, reason=reason)
    api.registry.scaling.publish(wants)
    assert ok("slots").splitlines()[-1] == f"wants 3 slots, of 1 to 8: {reason}"
    assert values("slots")["autoscaling"]["wanted"] == 3
    store = api.registry.scaling._store
    store.command("DEL", store.key("scaling"))


def test_slots_on_gpus_show_how_busy_these_are(api: ServedApi) -> None:
    load = GpuLoad(uuid="GPU-1", sm=0.87, memory_used_bytes=31 << 30, memory_total_bytes=141 << 30)
    api.registry.slots.publish(slot_info("slot-a"), 60_000)
    assert "NVDEC" not in ok("slots")
    api.registry.slots.publish(slot_info("slot-b", gpu=load), 60_000)
    table = ok("slots")
    line = next(line for line in table.splitlines() if "slot-b" in line)
    assert "NVDEC" in table
    assert all(f" {word} " in line for word in ("87%", "-", "22%"))
    shown = {slot["name"]: slot["gpu"] for slot in values("slots")["slots"]}
    assert shown == {"slot-a": None, "slot-b": load.model_dump()}
    for name in shown:
        api.registry.slots.remove(name)


def test_the_address_may_be_given_as_an_option(
    api: ServedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGHTLINE_API", "http://127.0.0.1:1")
    assert "streams" in values("stream", "list", "--api", api.url)


def test_a_refusal_is_one_message_with_field_and_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = failed(capsys, monkeypatch, "stream", "add", "bad id", "nowhere", "--transport", "air")
    assert all(field in said for field in ("id:", "url:", "transport:"))
    assert "begin the URL with one of rtsp://" in said


@pytest.mark.parametrize(
    "args",
    [
        ("stream", "show", "nobody"),
        ("stream", "remove", "nobody"),
        ("stream", "update", "nobody", "--max-fps", "5"),
    ],
)
def test_a_stream_that_is_not_there_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    assert "nobody" in failed(capsys, monkeypatch, *args)


def test_a_rate_that_is_no_number_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed(capsys, monkeypatch, "stream", "add", "x", URL, "--max-fps", "nan")


@pytest.mark.parametrize(
    "args", [("stream", "list"), ("slots",), ("events", "tail"), ("stream", "show", "x")]
)
def test_without_an_api_it_says_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    said = failed(capsys, monkeypatch, *args, "--api", url)
    assert url in said
    assert "sightline up" in said


def test_the_process_ends_with_1_and_one_message() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    run = subprocess.run(
        [sys.executable, "-m", "cluster.cli", "stream", "list"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "SIGHTLINE_API": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("error no Sightline API answers at")
    assert "Traceback" not in run.stderr


class Publisher:
    """Writes an event again and again until somebody has read it."""

    def __init__(self, api: ServedApi, **fields: str) -> None:
        self._redis: Any = redis.Redis.from_url(api.redis.url)
        self._fields = fields
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._publish)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._redis.close()

    def _publish(self) -> None:
        while not self._stop.wait(0.05):
            self._redis.xadd("sightline:events", self._fields)


def test_the_schema_of_events_is_printed_for_programs() -> None:
    schema = json.loads(ok("events", "schema"))
    assert schema["$id"] == "urn:sightline:event:1"
    assert "line_cross" in schema["$defs"]["EventType"]["enum"]
