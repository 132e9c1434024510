"""Reading a configuration: what it means, and how its faults are reported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from cluster.config import PipelineSpec, SightlineConfig, load_config
from cluster.errors import ConfigError, FieldFault


def load(folder: Path, text: str, variables: Mapping[str, str] | None = None) -> SightlineConfig:
    file = folder / "sightline.yaml"
    file.write_text(text)
    return load_config(file, variables or {})


def faults(folder: Path, text: str, variables: Mapping[str, str] | None = None) -> list[FieldFault]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, variables)
    assert str(folder / "sightline.yaml") in str(caught.value)
    return list(caught.value.faults)


def test_without_a_file_all_is_default() -> None:
    config = load_config()
    assert config == SightlineConfig()
    assert config.redis.url is None
    assert config.pipelines == {"default": PipelineSpec()}


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_an_empty_file_is_all_default(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text) == SightlineConfig()


def test_what_is_left_out_keeps_its_default(tmp_path: Path) -> None:
    config = load(tmp_path, "slots:\n  num: 3\n")
    assert (config.slots.num, config.slots.device) == (3, "auto")


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_known(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "redis:\n  prefix: a\n  max_event: 5\n")
    assert (fault.field, fault.line, fault.column) == ("redis.max_event", 3, 3)
    assert fault.remedy == "did you mean 'max_events'?"


def test_an_unknown_key_like_no_other_lists_those_that_are_known(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "zebra: 1\n")
    assert fault.field == "zebra"
    assert "pipelines" in fault.remedy


def test_all_faults_are_reported_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        "api:\n  port: 99999\nslots:\n  num: many\nstreams:\n  - id: a b\n"
        "    url: 10.0.0.1/x\n    qos: {class: urgent}\n  - id: c\n"
    )
    found = faults(tmp_path, text)
    assert [(f.field, f.line) for f in found] == [
        ("api.port", 2),
        ("slots.num", 4),
        ("streams.0.id", 6),
        ("streams.0.url", 7),
        ("streams.0.qos.class", 8),
        ("streams.1.url", 9),
    ]
    assert all(f.message and f.remedy for f in found)
    assert found[0].value == "99999"
    assert "'critical', 'high', 'normal' or 'low'" in found[4].remedy


def test_the_message_is_a_line_a_fault_for_people(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "api:\n  port: 99999\n")
    assert str(caught.value) == (
        f"{tmp_path}/sightline.yaml:2:3: api.port: is too large (given: 99999): give at most 65535"
    )


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("api: [1, 2\n", 2, "not YAML"),
        ("api:\n\tport: 1\n", 2, "not YAML"),
        ("api: {port: 1}\napi: {port: 2}\n", 2, "given twice"),
        ("--- {}\n--- {}\n", 2, "not YAML"),
        ("api: &a [*a]\n", 1, "too deeply"),
        ("a: !!python/object:os.system {}\n", 1, "not a known key"),
    ],
)
def test_text_that_cannot_be_read_names_the_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    fault = faults(tmp_path, text)[0]
    assert fault.line == line
    assert words in fault.message


def test_anchors_and_merge_keys_share_values_between_streams(tmp_path: Path) -> None:
    text = (
        "streams:\n"
        "  - &gate {id: a, url: 'rtsp://h/a', max_fps: 5, qos: {class: high}}\n"
        "  - {<<: *gate, id: b, url: 'rtsp://h/b'}\n"
        "  - {<<: *gate, id: c, url: 'rtsp://h/c', max_fps: 1}\n"
    )
    streams = load(tmp_path, text).streams
    assert [(s.id, s.url[-1], s.max_fps, s.qos.class_name.value) for s in streams] == [
        ("a", "a", 5, "high"),
        ("b", "b", 5, "high"),
        ("c", "c", 1, "high"),
    ]


def test_the_whole_must_be_named_values(tmp_path: Path) -> None:
    assert "named values" in faults(tmp_path, "- 1\n- 2\n")[0].message


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.yaml: the file cannot be read"):
        load_config(tmp_path / "missing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a text file"):
        load_config(tmp_path / "binary.yaml")


def test_variables_are_filled_in(tmp_path: Path) -> None:
    text = "redis:\n  url: redis://:${PW}@${HOST:-localhost}/0\napi: {port: '${PORT}'}\n"
    config = load(tmp_path, text, {"PW": "a:b", "PORT": "81"})
    assert config.redis.url == "redis://:a:b@localhost/0"
    assert config.api.port == 81


def test_an_empty_redis_url_from_the_environment_means_none(tmp_path: Path) -> None:
    assert load(tmp_path, "redis: {url: '${REDIS_URL:-}'}").redis.url is None


def test_a_dollar_can_be_written(tmp_path: Path) -> None:
    (stream,) = load(
        tmp_path, "streams: [{id: a, url: 'rtsp://h/$x', name: '$${HOME} $1'}]", {"x": "no"}
    ).streams
    assert (stream.url, stream.name) == ("rtsp://h/$x", "${HOME} $1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("redis: {url: 'redis://${NOWHERE}/0'}", "NOWHERE is not set"),
        ("redis: {url: 'redis://${NOWHERE'}", "not a reference"),
        ("redis: {url: 'redis://${1X}'}", "not a reference"),
    ],
)
def test_a_variable_that_is_not_set_is_a_fault_with_a_remedy(
    tmp_path: Path, text: str, words: str
) -> None:
    (fault,) = faults(tmp_path, text)
    assert (fault.field, fault.line) == ("redis.url", 1)
    assert words in fault.message
    assert fault.remedy


@pytest.mark.parametrize(
    "text",
    [
        "streams: [{id: a, url: 'rtsp//u:hunter2@h/x'}]",
        "streams: [{id: a, url: 'rtsp://u:hunter2/x'}]",
        "streams: [{id: a, url: 'rtsp://u:hunter2@h/x', password: hunter2}]",
        "redis: {url: 'http://u:hunter2@h/x'}",
        "redis: {url: ['hunter2']}",
        "sinks: [{kind: mqtt, host: h, password: [hunter2]}]",
        "slots: {num: '${SECRET}'}",
        "'rtsp://u:hunter2@h/x': 1",
    ],
)
def test_no_error_shows_a_secret(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, {"SECRET": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.faults)


def test_a_stream_that_asks_for_a_missing_pipeline_is_told_which_there_are(
    tmp_path: Path,
) -> None:
    (fault,) = faults(tmp_path, "streams: [{id: a, url: 'rtsp://h/x', pipeline: night}]")
    assert fault.field == "streams"
    assert "night" in fault.message
    assert "default" in fault.remedy


def test_an_id_that_is_used_twice_is_refused(tmp_path: Path) -> None:
    stream = "{id: a, url: 'rtsp://h/x'}"
    (fault,) = faults(tmp_path, f"streams: [{stream}, {stream}]")
    assert "a is used twice" in fault.message


def test_a_model_path_is_relative_to_the_file(tmp_path: Path) -> None:
    text = "pipelines: {default: {}, own: {model: models/a.onnx}, far: {model: /m/b.onnx}}"
    pipelines = load(tmp_path, text).pipelines
    assert pipelines["default"].model == "builtin"
    assert pipelines["own"].model == str(tmp_path / "models/a.onnx")
    assert pipelines["far"].model == "/m/b.onnx"


@pytest.mark.parametrize("text", ["pipelines: {}", "pipelines: {'a b': {}}"])
def test_pipelines_need_a_valid_name(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path, text)[0].field == "pipelines"


def test_a_pipeline_that_asks_for_a_gpu_is_told_where_one_is_chosen(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "pipelines:\n  default:\n    device: gpu\n")
    assert (fault.field, fault.line, fault.value) == ("pipelines.default.device", 3, "gpu")
    assert fault.message == "a GPU is chosen for whole slots"
    assert fault.remedy == "set slots.device to cuda"
    assert "gpu" not in str(PipelineSpec.model_json_schema()["properties"]["device"]["enum"])


def test_numbers_must_be_finite(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "lease: {ttl_s: .nan}")
    assert fault.field == "lease.ttl_s"


def test_a_configuration_travels_as_plain_values(tmp_path: Path) -> None:
    text = (
        "streams: [{id: a, url: 'rtsp://h/x', qos: {class: low},"
        " rules: [{kind: zone, name: z, points: [[0, 0], [1, 0], [1, 1]]}]}]\n"
        "sinks: [{kind: file, path: /tmp/x}]\n"
    )
    config = load(tmp_path, text)
    plain = config.model_dump(mode="json", by_alias=True)
    assert SightlineConfig.model_validate(plain) == config
