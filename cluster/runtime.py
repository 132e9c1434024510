"""A local Ray on loopback for one machine, with its end, and a Ray of others that is joined."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence

from cluster.errors import UnavailableError

OBJECT_STORE_BYTES = 128 << 20
"""What Ray takes of shared memory for itself; no frame goes through it."""

# More than any machine has: actors here are placed, not metered.
_LOGICAL_CPUS = 64

_ADDRESS = re.compile(r"[\w.-]+:\d{1,5}")
_CONNECT_TIMEOUT_S = 5.0

_PROXY_ENVIRONMENT = {
    # Serve notices three seconds after its HTTP proxy has died, not thirty, and gives the next one
    # more than five seconds to start, which a busy machine needs.
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "15",
}

_ENVIRONMENT = {
    **_PROXY_ENVIRONMENT,
    "RAY_USAGE_STATS_ENABLED": "0",
    # Makes every Ray process of a single node listen on 127.0.0.1 only, on Linux too.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Others on this machine must not run code in our processes.
    "RAY_AUTH_MODE": "token",
    # Ray gives its workers 15, which lets anything else on the machine delay frames.
    "RAY_worker_niceness": "0",
    "OMP_NUM_THREADS": "1",
}

RECOVERY_ENVIRONMENT = {
    # A machine that does not answer 4 times, 2 s each and 1 s apart, is dead: 12 s. One whose
    # processes are gone is noticed at once.
    "RAY_health_check_initial_delay_ms": "5000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "4",
    # A machine waits so long for a head that is away; streams run on meanwhile.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
    **_PROXY_ENVIRONMENT,
}
"""What Ray's processes of a cluster find, as the files in ``configs/clusters`` say it."""


@contextlib.contextmanager
def local_ray(preload: Sequence[str] = ()) -> Iterator[None]:
    """Run Ray for the time of the block; never joins a cluster that runs already.

    Args:
        preload: Modules to import meanwhile; starting Ray is mostly waiting.
    """
    prepare_environment()
    threading.Thread(target=_import_all, args=(preload,), name="preload", daemon=True).start()
    import ray

    folder = tempfile.mkdtemp(prefix="sightline-ray-")
    try:
        ray.init(
            address="local",
            num_cpus=_LOGICAL_CPUS,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
            namespace="sightline",
            _temp_dir=folder,
        )
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        yield
    finally:
        with quiet():
            ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def joined_ray(address: str) -> Iterator[None]:
    """Use a Ray that runs already for the time of the block; it runs on afterwards.

    Args:
        address: ``auto`` for the one of this machine, or host and port of its head.

    Raises:
        UnavailableError: None answers there, it refuses this process, or its head is elsewhere.
    """
    if address != "auto" and not _ADDRESS.fullmatch(address):
        raise UnavailableError(
            f"--address {address}: give auto, or HOST:PORT of a Ray that runs; without --address "
            "one is started on this machine"
        )
    import ray
    from ray.exceptions import RayError

    try:
        _must_answer(address)
        ray.init(
            address=address,
            namespace="sightline",
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    except (OSError, RuntimeError, RayError) as error:
        raise UnavailableError(
            f"--address {address}: no Ray can be joined ({error}): start one by `ray start --head` "
            "or `ray up`; if it asks for a token, set RAY_AUTH_MODE=token and have its token in "
            "~/.ray/auth_token"
        ) from error
    try:
        _must_be_the_head()
        yield
    finally:
        ray.shutdown()


def _must_answer(address: str) -> None:
    """Ray itself tries for two minutes."""
    if address != "auto":
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), _CONNECT_TIMEOUT_S).close()


def _must_be_the_head() -> None:
    """The HTTP port opens on the head, by default on its loopback."""
    import ray

    here = ray.get_runtime_context().get_node_id()
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        is_head = "node:__internal_head__" in node["Resources"]
        if is_head and node["Alive"] and node["NodeID"] != here:
            head = node["NodeManagerAddress"]
            raise UnavailableError(f"--address: this is not the head of that Ray: run it on {head}")


def prepare_environment() -> None:
    """Set what Ray reads when it is imported; call it before anything imports Ray.

    What the user has set stays. Once Ray is loaded it is too late: nothing is changed then.
    """
    if "ray" in sys.modules:
        return
    for key, value in (*_ENVIRONMENT.items(), ("RAY_AUTH_TOKEN", secrets.token_hex(32))):
        os.environ.setdefault(key, value)


def quiet() -> contextlib.AbstractContextManager[object]:
    """Keep Ray's words about actors that end on purpose from the terminal."""
    return contextlib.redirect_stdout(io.StringIO())


def _import_all(modules: Sequence[str]) -> None:
    for module in modules:
        importlib.import_module(module)
