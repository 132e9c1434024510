"""From YCbCr to the colour values a model wants, as one affine map for each output channel."""

from __future__ import annotations

from dataclasses import dataclass

from engines.frames import ColorMatrix, Picture
from engines.spec import ColorOrder, InputSpec

LUMA_WEIGHTS = {ColorMatrix.BT601: (0.299, 0.114), ColorMatrix.BT709: (0.2126, 0.0722)}
"""(Kr, Kb) of ITU-R BT.601-7 and BT.709-6."""


@dataclass(frozen=True, slots=True)
class ChannelMap:
    """value = clamp(luma * Y + cb * Cb + cr * Cr + offset, 0, 255); Y, Cb, Cr in 0..255."""

    luma: float
    cb: float
    cr: float
    offset: float


def channel_maps(picture: Picture, input_spec: InputSpec) -> tuple[ChannelMap, ...]:
    """The maps of a model's three input channels, in their order, before mean and std.

    With Kg = 1 - Kr - Kb, full-range luma y = (Y - 16) * 255 / 219 and chroma c = (C - 128) *
    255 / 224 (limited range; y = Y and c = C - 128 where the range is full), ITU-R BT.709-6
    section 3 gives R = y + 2 (1 - Kr) cr, B = y + 2 (1 - Kb) cb and
    G = y - 2 Kb (1 - Kb) / Kg cb - 2 Kr (1 - Kr) / Kg cr.
    """
    kr, kb = LUMA_WEIGHTS[picture.matrix]
    kg = 1 - kr - kb
    red = (0.0, 2 * (1 - kr))
    green = (-2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg)
    blue = (2 * (1 - kb), 0.0)
    ordered = (red, green, blue) if input_spec.color is ColorOrder.RGB else (blue, green, red)
    return tuple(_channel_map(cb, cr, picture.full_range) for cb, cr in ordered)


def _channel_map(cb: float, cr: float, full_range: bool) -> ChannelMap:
    luma, chroma, black = (1.0, 1.0, 0.0) if full_range else (255 / 219, 255 / 224, 16.0)
    cb, cr = cb * chroma, cr * chroma
    return ChannelMap(luma, cb, cr, -luma * black - 128 * (cb + cr))
