"""The configuration of a Sightline: what may be written, and reading it from a file."""

from cluster.config.allow import AllowConfig
from cluster.config.auth import AuthConfig, TokenConfig
from cluster.config.load import load_config
from cluster.config.model import (
    ApiConfig,
    CamerasConfig,
    LeaseConfig,
    PoolConfig,
    RedisConfig,
    ScalingConfig,
    SightlineConfig,
    SlotsConfig,
)
from cluster.config.pipelines import BUILTIN_MODEL, PipelineSpec

__all__ = [
    "BUILTIN_MODEL",
    "AllowConfig",
    "ApiConfig",
    "AuthConfig",
    "CamerasConfig",
    "LeaseConfig",
    "PipelineSpec",
    "PoolConfig",
    "RedisConfig",
    "ScalingConfig",
    "SightlineConfig",
    "SlotsConfig",
    "TokenConfig",
    "load_config",
]
