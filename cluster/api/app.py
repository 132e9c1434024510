"""Put the HTTP API together."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from fastapi import Depends, FastAPI

from cluster.api import documented, events, operations, pipelines, streams
from cluster.api.checks import check_model, probe_file
from cluster.api.dependencies import Services
from cluster.api.guard import authorise, install_guard
from cluster.api.problems import install_problem_handlers
from cluster.api.service import CheckModel, PipelineService, Probe, StreamService
from cluster.config import SightlineConfig
from cluster.errors import ConfigError, FieldFault
from cluster.events import EventReader
from cluster.registry import Registry

_DESCRIPTION = """Submit cameras, watch what they see, and follow events.

Times are UTC in seconds since 1970, in events in milliseconds. Positions in rules are fractions of
width and height, boxes in events are source pixels. Errors are problem documents (RFC 9457) that
name each field at fault and the remedy. Send `If-Match` with an `ETag` to change only what you
have seen.

Requests bring a token, `Authorization: Bearer TOKEN`. Its role says what it may do: `viewer` reads,
`operator` changes streams and pipelines, `admin` does everything. `sightline token show` prints the
tokens of the machine that Sightline was started on."""


def create_app(
    config: SightlineConfig,
    *,
    probe: Probe = probe_file,
    check_model: CheckModel = check_model,
    max_event_clients: int = 64,
) -> FastAPI:
    """The API as an ASGI application.

    Args:
        config: ``redis.url`` must be set, and ``api.auth.tokens`` where tokens are asked for.
        probe: Opens a ``file://`` URL and raises SourceError where it holds no video.
        check_model: Raises ModelError where the model of a pipeline cannot be used.
        max_event_clients: So many may follow the events at once.

    Raises:
        ConfigError: ``redis.url`` is not set, or there is no token.
    """
    if config.redis.url is None:
        fault = FieldFault("redis.url", "is not set", "name the Redis that the slots use")
        raise ConfigError("configuration", [fault])
    registry = Registry.open(config.redis.url, config.redis.prefix, config.api.max_streams)
    app = FastAPI(
        title="Sightline",
        version=_version(),
        description=_DESCRIPTION,
        separate_input_output_schemas=False,
        redirect_slashes=False,
        dependencies=[Depends(authorise)],
    )
    app.state.services = Services(
        registry=registry,
        streams=StreamService(registry, probe, config.cameras.allow.policy),
        pipelines=PipelineService(registry, check_model),
        events=EventReader(config.redis.url, f"{config.redis.prefix}:events", max_event_clients),
    )
    guard = install_guard(app, config.api)
    install_problem_handlers(app)
    for module in (streams, pipelines, events, operations):
        app.include_router(module.router)
    documented.describe(app, guard.is_open)
    return app


def _version() -> str:
    try:
        return version("sightline")
    except PackageNotFoundError:
        return "0"
