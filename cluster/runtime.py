"""A local Ray on loopback for one machine, and its end without anything left behind."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECT_STORE_BYTES = 128 << 20
_LOGICAL_CPUS = 64

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Makes every Ray process of a single node listen on 127.0.0.1 only, on Linux too.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "OMP_NUM_THREADS": "1",
}


@contextmanager
def local_ray() -> Iterator[None]:
    """Run Ray for the time of the block; never joins a cluster that runs already.

    The logical CPUs are more than the machine has: actors here are placed, not metered.
    """
    os.environ.update({key: os.environ.get(key, value) for key, value in _ENVIRONMENT.items()})
    import ray  # reads the environment when it is imported

    folder = tempfile.mkdtemp(prefix="sightline-ray-")
    try:
        ray.init(
            address="local",
            num_cpus=_LOGICAL_CPUS,
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
            namespace="sightline",
            _temp_dir=folder,
        )
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
