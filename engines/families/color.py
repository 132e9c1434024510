"""From YCbCr to the colour values of a model, in factors of centred planes."""

from __future__ import annotations

from dataclasses import dataclass

from engines.frames import ColorMatrix, Picture

LUMA_WEIGHTS = {ColorMatrix.BT601: (0.299, 0.114), ColorMatrix.BT709: (0.2126, 0.0722)}
"""(Kr, Kb) of ITU-R BT.601-7 and BT.709-6."""
GREY = 128
"""Cb and Cr of what has no colour."""


@dataclass(frozen=True, slots=True)
class ColorMap:
    """``R = y + r``, ``B = y + b`` and ``G = y + green_of_blue * b + green_of_red * r``.

    With y = luma * (Y - black), b = blue * (Cb - 128) and r = red * (Cr - 128); Y, Cb, Cr and the
    colours in 0..255, to which the colours must still be clamped.
    """

    black: int
    luma: float
    blue: float
    red: float
    green_of_blue: float
    green_of_red: float


def color_map(picture: Picture) -> ColorMap:
    """The map of a picture's matrix and range (ITU-R BT.709-6, section 3).

    With Kg = 1 - Kr - Kb and full-range y, cb, cr: R = y + 2 (1 - Kr) cr, B = y + 2 (1 - Kb) cb and
    Kr R + Kg G + Kb B = y. Limited range has 219 steps of luma above 16 and 224 of chroma.
    """
    kr, kb = LUMA_WEIGHTS[picture.matrix]
    kg = 1 - kr - kb
    black, luma, chroma = (0, 1.0, 1.0) if picture.full_range else (16, 255 / 219, 255 / 224)
    return ColorMap(
        black,
        luma,
        blue=2 * (1 - kb) * chroma,
        red=2 * (1 - kr) * chroma,
        green_of_blue=-kb / kg,
        green_of_red=-kr / kg,
    )
