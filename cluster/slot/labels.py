"""By which labels streams choose a slot: those of the configuration, and those of its node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_OF_ONE_NODE = "ray.io/node-id"  # names a machine that is gone with its next start


def slot_labels(
    configured: Mapping[str, str], of_node: Mapping[str, str | Sequence[str]]
) -> dict[str, str]:
    """Both together; what the configuration says counts.

    Args:
        configured: ``slots.labels``.
        of_node: As Ray has them: ``ray start --labels``, and its own that begin with ``ray.io/``.
    """
    found = {
        key: value if isinstance(value, str) else value[0]
        for key, value in of_node.items()
        if key != _OF_ONE_NODE and value
    }
    return {**found, **configured}
