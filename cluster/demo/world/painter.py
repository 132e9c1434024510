"""Paints the frames of a world, and tells what can be seen in each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from cluster.demo.world.figures import Drawing, Pose, Stage
from cluster.demo.world.geometry import Floats
from cluster.demo.world.ground import draw_ground
from cluster.demo.world.layout import View
from cluster.demo.world.light import lamp_light, noise_tile, vignette
from cluster.demo.world.props import Placed, draw_buildings, place_props
from cluster.demo.world.raster import Bytes, Sprite
from cluster.demo.world.scenario import Scenario
from cluster.demo.world.tracks import Track
from cluster.demo.world.truth import FrameTruth

MIN_HEIGHT_PX = 12.0
MIN_AREA_PX = 100.0
MIN_VISIBLE = 0.4
_SLACK = 0.035
_NOISE_MARGIN = 64


@dataclass(slots=True)
class _Cached:
    """A drawing of an object, and the box and pose for which it was made."""

    drawing: Drawing
    box: Floats
    pose: Pose


class Painter:
    """Paints one scenario's frames in order; one instance makes one pass."""

    def __init__(
        self, scenario: Scenario, view: View, stage: Stage, tracks: list[Track], seed: int
    ) -> None:
        self._scenario, self._view, self._stage = scenario, view, stage
        self._tracks = tracks
        scenery = np.random.Generator(np.random.PCG64([seed, 1]))
        self._fall = vignette(scenario.width, scenario.height)
        ground = draw_ground(scenario, view, stage.light, scenery) * self._fall[:, :, None]
        self._background: Bytes = np.clip(ground, 0, 255).astype(np.uint8)
        draw_buildings(view, stage, self._background, scenery)
        self._props = place_props(view, stage, scenery)
        labels = np.zeros(self._background.shape[:2], np.uint8)
        for prop in self._props:
            prop.sprite.paste(self._background, labels, 0, (0, 0))
        self._prop_boxes = _boxes([prop.sprite for prop in self._props])
        self._prop_bases = np.array([prop.base_px for prop in self._props])
        self._grain = np.random.Generator(np.random.PCG64([seed, 2]))
        size = scenario.width + _NOISE_MARGIN, scenario.height + _NOISE_MARGIN
        self._tile = noise_tile(self._grain, *size, stage.light.noise)
        self._cache: dict[int, _Cached] = {}

    def frames(self, every: int = 1) -> Iterator[tuple[Bytes, FrameTruth]]:
        """Yield one frame of so many: RGB ``[height, width, 3]`` and its truth."""
        for index in range(0, self._scenario.num_frames, every):
            yield self._frame(index)

    def _frame(self, index: int) -> tuple[Bytes, FrameTruth]:
        tracks = [t for t in self._tracks if _in_picture(t, index)]
        tracks.sort(key=lambda t: (float(t.boxes[index - t.first, 3]), t.agent.identity))
        frame = self._background.copy()
        labels = np.zeros(frame.shape[:2], np.uint8)
        drawn = [self._drawing(track, index) for track in tracks]
        for drawing, shift in drawn:
            if drawing.beam is not None:
                drawing.beam.paste(frame, shift)
        behind = self._props_after(tracks, index)
        for order, (drawing, shift) in enumerate(drawn):
            drawing.sprite.paste(frame, labels, order + 1, shift)
            for glare in drawing.halos:
                glare.paste(frame, shift)
            for prop in behind.get(order, ()):
                prop.sprite.cover(frame, labels, self._background)
        visible = [
            _visible(labels, drawing.sprite, order + 1, shift)
            for order, (drawing, shift) in enumerate(drawn)
        ]
        return self._noisy(frame), _frame_truth(self._scenario, index, tracks, visible)

    def _drawing(self, track: Track, index: int) -> tuple[Drawing, tuple[int, int]]:
        """Return an object's drawing and how far to shift it; drawn anew when it looks stale."""
        box = track.boxes[index - track.first]
        pose = track.pose(index)
        cached = self._cache.get(track.agent.identity)
        if cached is None or _stale(cached, box, pose):
            level = self._level(pose.x_m, pose.y_m, box)
            cached = _Cached(track.figure.draw(replace(pose, level=level), self._stage), box, pose)
            self._cache[track.agent.identity] = cached
        across = (box[0] + box[2] - cached.box[0] - cached.box[2]) / 2
        down = box[3] - cached.box[3]
        return cached.drawing, (int(np.floor(across + 0.5)), int(np.floor(down + 0.5)))

    def _level(self, x: float, y: float, box: Floats) -> float:
        """Return the brightness at an object's place: street lamps and the lens."""
        u = min(max(int((box[0] + box[2]) / 2), 0), self._scenario.width - 1)
        v = min(max(int((box[1] + box[3]) / 2), 0), self._scenario.height - 1)
        lamps = lamp_light(self._view.lamps, self._stage.light, np.array(x), np.array(y))
        return float(lamps) * float(self._fall[v, u])

    def _props_after(self, tracks: list[Track], index: int) -> dict[int, list[Placed]]:
        """Return which props to paste again after which object: those in front of objects."""
        result: dict[int, list[Placed]] = {}
        if not tracks or not self._props:
            return result
        boxes = np.array([t.boxes[index - t.first] for t in tracks])
        mine, theirs = boxes[:, None, :], self._prop_boxes[None, :, :]
        meets = (mine[..., 0] - 8 < theirs[..., 2]) & (mine[..., 2] + 8 > theirs[..., 0])
        meets &= (mine[..., 1] - 8 < theirs[..., 3]) & (mine[..., 3] + 8 > theirs[..., 1])
        before = boxes[:, 3, None] < self._prop_bases[None, :]
        wanted = (meets & before).any(axis=0)
        last = before.sum(axis=0) - 1
        for prop in np.nonzero(wanted)[0]:
            result.setdefault(int(last[prop]), []).append(self._props[int(prop)])
        return result

    def _noisy(self, frame: Bytes) -> Bytes:
        x, y = self._grain.integers(0, _NOISE_MARGIN, 2)
        window = self._tile[y : y + frame.shape[0], x : x + frame.shape[1]]
        total = window + frame
        return np.clip(total, 0, 255, out=total).astype(np.uint8)


def open_frame(scenario: Scenario, tracks: list[Track], index: int) -> FrameTruth:
    """Return the truth of a frame in which nothing hides anything."""
    there = [track for track in tracks if _in_picture(track, index)]
    shares = [float(track.inside_share()[index - track.first]) for track in there]
    return _frame_truth(scenario, index, there, shares)


def _frame_truth(
    scenario: Scenario, index: int, tracks: list[Track], visible: list[float]
) -> FrameTruth:
    boxes = np.array([t.clipped[index - t.first] for t in tracks]).reshape(-1, 4)
    size, shares = boxes[:, 2:] - boxes[:, :2], np.array(visible)
    small = (size[:, 1] < MIN_HEIGHT_PX) | (size[:, 0] * size[:, 1] < MIN_AREA_PX)
    return FrameTruth(
        index=index,
        t_s=index / scenario.fps,
        xyxy=np.array([[round(float(v), 2) for v in box] for box in boxes], np.float32).reshape(
            -1, 4
        ),
        class_id=np.array([t.agent.class_id for t in tracks], np.int32),
        identity=np.array([t.agent.identity for t in tracks], np.int32),
        visible=np.array([round(float(v), 2) for v in visible], np.float32),
        ignore=small | (shares < MIN_VISIBLE),
    )


def _in_picture(track: Track, index: int) -> bool:
    local = index - track.first
    return 0 <= local < len(track.boxes) and bool(track.seen[local])


def _stale(cached: _Cached, box: Floats, pose: Pose) -> bool:
    """Tell whether a drawing no longer fits: another pose, or its box has changed in size."""
    if cached.pose.swing != pose.swing:
        return True
    width, height = box[2] - box[0], box[3] - box[1]
    before = cached.box[2] - cached.box[0], cached.box[3] - cached.box[1]
    slack = max(_SLACK, 0.6 / float(height))
    if abs(width - before[0]) > slack * before[0] or abs(height - before[1]) > slack * before[1]:
        return True
    (x1, y1), (x2, y2) = cached.pose.heading, pose.heading
    return x1 * x2 + y1 * y2 < 0.9994


def _visible(labels: Bytes, sprite: Sprite, label: int, shift: tuple[int, int]) -> float:
    """Return the share of a sprite's own pixels that nothing was painted over."""
    top, left = max(sprite.top + shift[1], 0), max(sprite.left + shift[0], 0)
    bottom = max(sprite.top + shift[1] + sprite.mask.shape[0], 0)
    right = max(sprite.left + shift[0] + sprite.mask.shape[1], 0)
    count = np.count_nonzero(labels[top:bottom, left:right] == label)
    return min(1.0, count / sprite.area_px)


def _boxes(sprites: list[Sprite]) -> Floats:
    """Return the bounds of the sprites' own pixels, ``[N, 4]``."""
    result = []
    for sprite in sprites:
        rows, columns = (
            np.nonzero(sprite.mask.any(axis=1))[0],
            np.nonzero(sprite.mask.any(axis=0))[0],
        )
        if not len(rows):
            result.append((0.0, 0.0, 0.0, 0.0))
            continue
        x, y = sprite.left, sprite.top
        result.append((x + columns[0], y + rows[0], x + columns[-1] + 1, y + rows[-1] + 1))
    return np.array(result, dtype=np.float64).reshape(-1, 4)
