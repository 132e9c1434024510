"""Model families: how their input is prepared and their output read, whatever the device."""

from __future__ import annotations

from collections.abc import Callable

from engines.families.adapter import FamilyAdapter
from engines.families.yolox import Yolox
from engines.spec import Family, ModelSpec

FAMILIES: dict[Family, Callable[[ModelSpec], FamilyAdapter]] = {Family.YOLOX: Yolox}


def adapter_for(spec: ModelSpec) -> FamilyAdapter:
    """A new adapter of the model's family; each engine has its own."""
    return FAMILIES[spec.family](spec)
