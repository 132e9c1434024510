"""What the demo's cameras show, and the rules that are asked of each. Pure, but for the clips."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from actors.specs import QosClass
from cluster.demo.world import VIEWS, Truth, View

_CLASSES = (QosClass.CRITICAL, QosClass.HIGH, QosClass.NORMAL, QosClass.LOW)

# For films of which nothing is known: one line each way, and the middle of the picture.
_PLAIN_RULES: tuple[dict[str, Any], ...] = (
    {"kind": "line", "name": "across", "points": [[0.0, 0.6], [1.0, 0.6]]},
    {"kind": "line", "name": "along", "points": [[0.5, 0.0], [0.5, 1.0]]},
    {
        "kind": "zone",
        "name": "middle",
        "points": [[0.2, 0.3], [0.8, 0.3], [0.8, 0.95], [0.2, 0.95]],
    },
)


@dataclass(frozen=True, slots=True)
class Feed:
    """One camera of the demo.

    Attributes:
        name: Camera and stream.
        clip: The film that the camera server plays; None where ``url`` is somebody else's camera.
        url: Where it is watched; empty until the camera server says.
        qos_class: Class of service that is asked for.
        rules: Rules as the API takes them.
        truth: What happens in the film, where that is known.
    """

    name: str
    clip: Path | None
    url: str
    qos_class: str
    rules: tuple[dict[str, Any], ...]
    truth: Truth | None = None


def world_feeds(clips: Sequence[tuple[Path, Truth]]) -> list[Feed]:
    """A camera for each world, named after its view."""
    return [
        Feed(f"cam{i}-{view.name}", path, "", _class(i), view_rules(view), truth)
        for i, (path, truth) in enumerate(clips)
        for view in (VIEWS[truth.scenario.view],)
    ]


def source_feeds(source: str, clip: Path | None, num_cameras: int) -> list[Feed]:
    """Cameras that all show the user's film or camera."""
    stem = clip.stem if clip else (urlsplit(source).hostname or "camera")
    name = re.sub(r"[^A-Za-z0-9._-]", "-", stem)[:40].strip("._-")
    url = "" if clip else source
    return [Feed(f"cam{i}-{name}", clip, url, _class(i), _PLAIN_RULES) for i in range(num_cameras)]


def view_rules(view: View) -> tuple[dict[str, Any], ...]:
    """The counting lines and presence zones of a view."""
    lines = [{"kind": "line", "name": x.name, "points": [x.a, x.b]} for x in view.lines]
    zones = [
        {"kind": "zone", "name": z.name, "points": list(z.polygon)}
        for z in view.zones
        if z.kind == "presence"
    ]
    return (*lines, *zones)


def _class(number: int) -> str:
    return _CLASSES[number % len(_CLASSES)].value


def job(feed: Feed, number: int, url: str, max_fps: float | None) -> dict[str, Any]:
    """The stream job of a feed, as it is posted; one of our own cameras in four sends over UDP."""
    body: dict[str, Any] = {
        "id": feed.name,
        "url": url,
        "max_fps": max_fps,
        "qos": {"class": feed.qos_class},
        "rules": list(feed.rules),
    }
    if feed.clip is not None:
        body["transport"] = "udp" if number % 4 == 3 else "tcp"
    return body
