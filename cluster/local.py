"""A whole Sightline: Redis, Ray, slots and API, started and ended together.

Its Ray may also be one that runs already: then the application alone is started and ended.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import httpx

from cluster.client import ApiClient
from cluster.config import SightlineConfig
from cluster.devices import is_on_gpu, num_gpus_of_ray, with_device, with_device_of_cluster
from cluster.embedded import EmbeddedRedis, free_port, is_free
from cluster.errors import UnavailableError
from cluster.mps import end_leftovers, mps_where_it_can
from cluster.runtime import joined_ray, local_ray, quiet
from cluster.security.provisioning import own_token, with_tokens
from cluster.seeding import seed
from cluster.slot.leftovers import remove_leftovers

_READY_TIMEOUT_S = 90.0
_PLAN_TIMEOUT_S = 1800.0
"""Before the first start on a GPU a plan is built, which takes minutes."""

Report = Callable[[str], None]


class LocalCluster:
    """Starts at ``with``; at its end no process, port or file in shared memory is left.

    Args:
        config: What to run; without ``redis.url`` a server of our own is started.
        data_dir: Where that server keeps the streams, and beside it, in ``spool``, the events that
            it could not take; None forgets them at the end.
        address: Of a Ray that runs, which is then joined and left running; None starts one.
        report: Told in a few words what is being started.
    """

    def __init__(
        self,
        config: SightlineConfig,
        *,
        data_dir: Path | None = None,
        address: str | None = None,
        report: Report = lambda _: None,
    ) -> None:
        self._config = config
        self._data_dir = data_dir
        self._address = address
        self._report = report
        self._stack = contextlib.ExitStack()

    @property
    def config(self) -> SightlineConfig:
        """The configuration as it runs, with ``redis`` and ``api.port`` filled in."""
        return self._config

    @property
    def api_url(self) -> str:
        """Where the API listens."""
        return f"http://{self._config.api.host}:{self._config.api.port}"

    def client(self) -> ApiClient:
        """A client of the API, with the token that it takes."""
        return ApiClient(self.api_url, own_token(self._config.api.auth))

    @property
    def redis_url(self) -> str:
        """The Redis that is used."""
        return str(self._config.redis.url)

    def __enter__(self) -> LocalCluster:
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def wait_ready(self) -> None:
        """Wait until the API and a slot are ready.

        Raises:
            UnavailableError: with what is missing.
        """
        timeout_s = _PLAN_TIMEOUT_S if is_on_gpu(self._config) else _READY_TIMEOUT_S
        deadline = time.monotonic() + timeout_s
        answer = "no answer"
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                reply = httpx.get(f"{self.api_url}/readyz", timeout=5.0, trust_env=False)
                if reply.status_code == 200:
                    return
                answer = reply.text[:500]
                self._tell_what_is_missing(reply)
            time.sleep(0.1)
        raise UnavailableError(f"not ready after {timeout_s:.0f} s: {answer}")

    def _tell_what_is_missing(self, reply: httpx.Response) -> None:
        """Say which slot is not ready and why: it may be building a plan, which takes minutes."""
        with contextlib.suppress(ValueError, LookupError, TypeError):
            self._report(f"loading the model: {reply.json()['errors'][0]['message']}")

    def _start(self, stack: contextlib.ExitStack) -> None:
        with_tokens(self._config)  # tokens that cannot be read end it before anything has started
        if self._address is None:
            self._start_ray(stack)
        else:
            self._join_ray(stack, self._address)
        self._report(f"starting the API and the slots ({self._config.slots.device})")
        stack.enter_context(_serving(self._config, alone=self._address is None))
        self._report("loading the model")
        self.wait_ready()

    def _start_ray(self, stack: contextlib.ExitStack) -> None:
        self._config = _with_port(self._config)
        stack.callback(remove_leftovers)
        end_leftovers()
        stack.enter_context(mps_where_it_can(self._config.slots))
        if self._config.redis.url is None:
            self._report("starting Valkey")
            self._start_redis(stack)
        seed(self._config)
        self._report("starting Ray")
        stack.enter_context(local_ray(preload=("ray.serve", "cluster.app")))
        self._config = with_device(self._config, num_gpus_of_ray())

    def _join_ray(self, stack: contextlib.ExitStack, address: str) -> None:
        self._report("joining Ray")
        stack.enter_context(joined_ray(address))
        self._config = with_device_of_cluster(_with_port_of_serve(self._config))
        seed(self._config)

    def _start_redis(self, stack: contextlib.ExitStack) -> None:
        """What the server cannot take yet lasts as long as its streams, whatever its port is."""
        redis = self._config.redis
        spool = redis.spool_dir or stack.enter_context(_spool_beside(self._data_dir))
        server = stack.enter_context(EmbeddedRedis(data_dir=self._data_dir))
        found = redis.model_copy(update={"url": server.url, "spool_dir": spool})
        self._config = self._config.model_copy(update={"redis": found})


def run_application(config: SightlineConfig) -> None:
    """Start Serve where it does not run, and the application, on the Ray that was joined.

    Args:
        config: With ``redis.url`` filled in and ``slots.device`` decided.
    """
    from ray import serve

    from cluster.app import LOGGING, NAME, PROXY_LOCATION, application

    serve.start(
        proxy_location=PROXY_LOCATION,
        http_options={"host": config.api.host, "port": config.api.port},
        logging_config=LOGGING,
    )
    serve.run(application(config), name=NAME, route_prefix="/")


@contextlib.contextmanager
def _serving(config: SightlineConfig, *, alone: bool) -> Iterator[None]:
    """Run the application; where others may use this Serve, it alone is ended."""
    from ray import serve

    from cluster.app import NAME

    try:
        run_application(config)
        yield
    finally:
        with quiet():
            if alone:
                serve.shutdown()  # type: ignore[no-untyped-call]
            else:
                serve.delete(NAME)


@contextlib.contextmanager
def _spool_beside(data_dir: Path | None) -> Iterator[Path]:
    """A folder that stays if the server's own does."""
    if data_dir is not None:
        yield data_dir.parent / "spool"
        return
    with tempfile.TemporaryDirectory(prefix="sightline-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _with_port(config: SightlineConfig) -> SightlineConfig:
    """Port 0 takes a free one; another must be free.

    Raises:
        UnavailableError: if somebody listens there already.
    """
    api = config.api
    if api.port == 0:
        return config.model_copy(update={"api": api.model_copy(update={"port": free_port()})})
    if not is_free(api.port, api.host):
        raise UnavailableError(
            f"api.port: {api.host}:{api.port} cannot be used: end what listens there, or choose "
            "another port (0 takes a free one)"
        )
    return config


def _with_port_of_serve(config: SightlineConfig) -> SightlineConfig:
    """Serve keeps the address that it was started with; where it does not run, ours must be free.

    Raises:
        UnavailableError: A Sightline runs on this Ray already, or the address cannot be used.
    """
    from ray import serve
    from ray.serve.context import _get_global_client

    from cluster.app import NAME

    client = _get_global_client(raise_if_no_controller_running=False)
    if client is None:
        return _with_port(config)
    if NAME in serve.status().applications:
        raise UnavailableError(
            f"--address: the application {NAME} runs on this Ray already: change it by `serve "
            "deploy`, or end it first, by Ctrl-C of its `sightline up` or by `serve shutdown`"
        )
    found = {"host": client.http_config.host, "port": client.http_config.port}
    return config.model_copy(update={"api": config.api.model_copy(update=found)})
