"""The HTTP API: stream jobs, pipelines, slots, events and metrics. It talks to Redis alone."""

from cluster.api.app import create_app

__all__ = ["create_app"]
