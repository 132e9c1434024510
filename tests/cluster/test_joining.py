"""A Ray that runs already: what is refused before it is joined, and what the application takes."""

from __future__ import annotations

import pytest

from cluster import app
from cluster.config import SightlineConfig
from cluster.config.load import config_of
from cluster.embedded import EmbeddedRedis, free_port
from cluster.errors import ConfigError, UnavailableError
from cluster.registry import Registry
from cluster.runtime import joined_ray
from cluster.seeding import seed


@pytest.mark.parametrize("address", ["local", "ray://192.0.2.1:10001", "192.0.2.1", "", "a b:1"])
def test_only_a_ray_that_runs_can_be_joined(address: str) -> None:
    with (
        pytest.raises(UnavailableError, match="give auto, or HOST:PORT of a Ray that runs"),
        joined_ray(address),
    ):
        pass


def test_where_no_ray_answers_it_says_how_one_is_started() -> None:
    with (
        pytest.raises(
            UnavailableError, match=r"no Ray can be joined .*refused.*`ray start --head`"
        ),
        joined_ray(f"127.0.0.1:{free_port()}"),
    ):
        pass


def test_machines_share_a_redis_that_must_be_named() -> None:
    with pytest.raises(ConfigError, match=r"redis\.url: names no Redis: write redis://HOST"):
        seed(SightlineConfig())


def test_streams_and_pipelines_of_a_configuration_come_into_the_registry() -> None:
    with EmbeddedRedis() as server:
        stream = {"id": "gate", "url": "rtsp://192.0.2.10/1"}
        config = config_of({"redis": {"url": server.url}, "streams": [stream]}, {})
        seed(config)
        seed(config)  # also where they are there
        registry = Registry.open(server.url, "sightline", 10)
        assert set(registry.streams.all()) == {"gate"}
        assert set(registry.pipelines.all()) == {"default"}
        registry.close()


def test_variables_are_filled_in_and_their_values_never_shown() -> None:
    args = {"redis": {"url": "${URL}"}, "api": {"port": "x"}}
    with pytest.raises(ConfigError) as caught:
        config_of(args, {"URL": "http://user:secret@192.0.2.1"})
    assert "args: redis.url" in str(caught.value)
    assert "args: api.port" in str(caught.value)
    assert "secret" not in str(caught.value)
    good = config_of({"redis": {"url": "${URL}"}}, {"URL": "redis://:secret@192.0.2.1:6379/0"})
    assert good.redis.url == "redis://:secret@192.0.2.1:6379/0"


def test_a_model_is_named_by_a_path_that_holds_on_every_node() -> None:
    with pytest.raises(ConfigError, match=r"pipelines\.default\.model: is a relative path"):
        config_of({"pipelines": {"default": {"model": "street.yaml"}}}, {})
    spec = config_of({"pipelines": {"default": {"model": "/models/street.yaml"}}}, {})
    assert spec.pipelines["default"].model == "/models/street.yaml"


def test_a_slot_reserves_what_it_is_told_to_besides_its_cpus_and_its_gpu() -> None:
    slots = {"device": "cuda", "num_cpus": 4, "resources": {"nvdec": 1, "site-north": 0.01}}
    bundle = app._bundle(SightlineConfig.model_validate({"slots": slots}))
    assert bundle == {"CPU": 4, "GPU": 1, "nvdec": 1, "site-north": 0.01}


@pytest.mark.parametrize("resources", [{"GPU": 2}, {"CPU": 1}, {"nvdec": 0}])
def test_resources_that_are_said_elsewhere_or_nothing_are_refused(resources: object) -> None:
    with pytest.raises(ConfigError, match=r"slots\.resources"):
        config_of({"slots": {"resources": resources}}, {})
