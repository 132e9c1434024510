"""The bodies of vehicles, each drawn by chance from its class."""

from __future__ import annotations

import numpy as np

from cluster.demo.world.faces import (
    GLASS,
    HEAD,
    PAINTS,
    TAIL,
    TYRE,
    Body,
    Colour,
    Face,
    Part,
    face_of,
    frustum,
    inset,
    lamps,
    plate,
    wheel,
)
from cluster.demo.world.geometry import Floats
from cluster.demo.world.scenario import CAR, LORRY, MOTORCYCLE


def vehicle(class_id: int, size: tuple[float, float, float], rng: np.random.Generator) -> Body:
    """Return the body of a vehicle of a class and size (length, width, height)."""
    build = {CAR: car, LORRY: lorry, MOTORCYCLE: motorcycle}[class_id]
    return build(*size, rng)


def car(length: float, width: float, height: float, rng: np.random.Generator) -> Body:
    """Return a car: saloon, hatchback or estate, by chance."""
    paint = _paint(rng)
    kind = float(rng.random())
    half, hw, waist = length / 2, width / 2, 0.56 * height
    rear = -half + (0.06 if kind > 0.4 else 0.62)
    front = half - (0.24 + 0.04 * float(rng.random())) * length
    slope = 0.12 if kind > 0.75 else 0.5
    body = frustum(
        (-half, half, hw * 0.97, hw * 0.93),
        (-half + 0.05, half - 0.12, hw, hw * 0.95),
        (0.2, waist),
        paint,
    )
    sill = frustum(
        (-half, half, hw, hw * 0.96), (-half, half, hw, hw * 0.96), (0.16, 0.3), (34, 34, 36)
    )[:4]
    wheels = [
        face
        for x in (-0.3 * length, 0.31 * length)
        for y in (hw + 0.01, -hw - 0.01)
        for face in wheel(x, y, 0.32)
    ]
    lights = [
        *lamps(half + 0.01, hw * 0.9, (waist - 0.3, waist - 0.1), 0.42, "head"),
        *lamps(-half - 0.01, hw * 0.94, (waist - 0.32, waist - 0.08), 0.36, "tail"),
        plate(half + 0.01, 0.36),
        plate(-half - 0.01, 0.42),
    ]
    cabin = frustum(
        (rear, front, hw * 0.95, hw * 0.92),
        (rear + slope, front - 0.72, hw * 0.76, hw * 0.74),
        (waist, height),
        paint,
    )
    panes = [inset(cabin[i], GLASS, 0.08, 0.9, 0.06, 0.005) for i in range(4)]
    faces = (*sill, *body, *wheels, *lights, *cabin, *panes)
    return Body((Part(0.0, faces),), _outline(body, cabin, sill))


def lorry(length: float, width: float, height: float, rng: np.random.Generator) -> Body:
    """Return a lorry with a box body; cab and box each have their colour."""
    cab_paint = _paint(rng)
    box_paint = _paint(rng) if rng.random() < 0.5 else (226.0, 226.0, 222.0)
    accent = _paint(rng)
    half, hw = length / 2, width / 2
    split, top = half - 1.9, min(2.55, height - 0.3)
    low, high = (hw * 0.95, hw * 0.95), (hw * 0.93, hw * 0.9)
    cab = frustum(
        (split + 0.12, half, *low), (split + 0.12, half - 0.18, *high), (0.42, top), cab_paint
    )
    frame, load = (-half, split, hw * 0.9, hw * 0.9), (-half, split, hw, hw)
    chassis = frustum(frame, frame, (0.45, 0.9), (44.0, 44.0, 44.0))
    box = frustum(load, load, (0.9, height), box_paint)
    return Body(
        (
            Part(-0.95, (*chassis, *_lorry_rear(half, hw), *box, *_trim(box, box_paint, accent))),
            Part(half - 0.9, (*cab, *_lorry_front(cab, half, hw))),
        ),
        _outline(cab, box, chassis),
    )


def _trim(box: list[Face], paint: Colour, accent: Colour) -> list[Face]:
    """Return the bands along a lorry's box and its door."""
    shade = (paint[0] * 0.8, paint[1] * 0.8, paint[2] * 0.8)
    bands = [inset(box[i], accent, 0.12, 0.3, 0.0, 0.01) for i in (2, 3)]
    return [*bands, inset(box[0], shade, 0.04, 0.95, 0.06, 0.01)]


def _lorry_rear(half: float, hw: float) -> list[Face]:
    wheels = [
        face
        for x in (-half + 1.2, -half + 2.25)
        for y in (hw * 0.97, -hw * 0.97)
        for face in wheel(x, y, 0.47)
    ]
    tail = lamps(-half - 0.01, hw * 0.9, (0.56, 0.84), 0.32, "tail")
    return [*wheels, *tail, plate(-half - 0.01, 0.5)]


def _lorry_front(cab: list[Face], half: float, hw: float) -> list[Face]:
    wheels = [f for y in (hw * 0.97, -hw * 0.97) for f in wheel(half - 1.0, y, 0.47)]
    panes = [inset(cab[1], GLASS, 0.5, 0.92, 0.07, 0.01)]
    panes += [inset(cab[i], GLASS, 0.5, 0.88, 0.25, 0.01) for i in (2, 3)]
    head = lamps(half + 0.01, hw * 0.86, (0.6, 0.86), 0.36, "head")
    return [*wheels, *panes, *head, plate(half + 0.01, 0.45)]


def motorcycle(length: float, width: float, height: float, rng: np.random.Generator) -> Body:
    """Return a motorcycle with its rider."""
    paint, jacket, helmet = _paint(rng), _paint(rng), _paint(rng)
    half = length / 2
    tyres = [*_tyre(half - 0.62, half, 0.07, 0.62), *_tyre(-half, -half + 0.6, 0.08, 0.6)]
    wheels = [f for x in (-half + 0.33, half - 0.33) for f in wheel(x, 0.0, 0.33, both=True)]
    frame = frustum(
        (-half + 0.15, half - 0.35, 0.15, 0.13),
        (-half + 0.05, half - 0.5, 0.17, 0.15),
        (0.42, 0.86),
        paint,
    )
    legs, torso, head = _rider(height, jacket, helmet)
    visor = inset(head[1], GLASS, 0.25, 0.75, 0.1, 0.01)
    lights = _motorcycle_lights(half)
    bars = _handlebar(half, width / 2)
    faces = (*tyres, *wheels, *frame, *legs, *lights, *bars, *torso, *head, visor)
    return Body((Part(0.0, faces),), _outline(frame, torso, head, tyres))


def _tyre(rear: float, front: float, half_width: float, top: float) -> list[Face]:
    box = (rear, front, half_width, half_width)
    return frustum(box, box, (0.04, top), TYRE)


def _handlebar(half: float, hw: float) -> list[Face]:
    low, high = (half - 0.72, half - 0.62, hw, hw), (half - 0.74, half - 0.64, hw, hw)
    return frustum(low, high, (0.98, 1.06), TYRE)


def _rider(
    height: float, jacket: Colour, helmet: Colour
) -> tuple[list[Face], list[Face], list[Face]]:
    """Return a rider's legs, torso and head."""
    legs = frustum((-0.3, 0.25, 0.3, 0.26), (-0.35, 0.2, 0.26, 0.22), (0.36, 0.9), (40, 42, 54))
    neck = height - 0.3
    torso = frustum((-0.38, 0.02, 0.22, 0.22), (-0.22, 0.16, 0.27, 0.25), (0.86, neck), jacket)
    skull = (height - 0.29, height)
    head = frustum((-0.12, 0.2, 0.13, 0.13), (-0.08, 0.14, 0.1, 0.1), skull, helmet)
    return legs, torso, head


def _motorcycle_lights(half: float) -> list[Face]:
    front, rear = half - 0.3, -half + 0.03
    head = [(front, y, z) for y, z in ((-0.11, 0.74), (0.11, 0.74), (0.11, 0.95), (-0.11, 0.95))]
    tail = [(rear, y, z) for y, z in ((0.1, 0.66), (-0.1, 0.66), (-0.1, 0.8), (0.1, 0.8))]
    return [face_of(head, HEAD, "head"), face_of(tail, TAIL, "tail")]


def _paint(rng: np.random.Generator) -> Colour:
    return PAINTS[int(rng.integers(len(PAINTS)))]


def _outline(*groups: list[Face]) -> Floats:
    return np.unique(np.concatenate([f.vertices for g in groups for f in g]), axis=0)
