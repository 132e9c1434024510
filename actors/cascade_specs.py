"""Secondary models as users ask for them: what looks at crops of which objects, and how often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from actors.rule_shapes import Spec
from engines.spec import ModelSpec, Task


class SecondarySpec(Spec):
    """A model that looks at crops of what another model has found."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Name in events, and for `after`."
    )
    model: str = Field(
        min_length=1, max_length=4096, description="Path of an ONNX file or of a ModelSpec in YAML."
    )
    after: str = Field(
        "", description="The secondary detector whose boxes it looks at; empty for the tracks."
    )
    classes: tuple[str, ...] = Field((), description="Labels that it looks at; empty for all.")
    min_size_px: float = Field(
        24.0, ge=1, le=8192, description="Width and height that a box must have, source pixels."
    )
    margin: float = Field(
        0.0, ge=-0.4, le=1, description="Added on each side, as a share of the box's size."
    )
    max_rate: float = Field(
        20.0, gt=0, le=1000, description="Crops a second of one stream, at most."
    )
    max_looks: int = Field(
        10,
        ge=1,
        le=1000,
        description="Looks at one track, at most; embeddings are taken for as long as it lasts.",
    )
    again_s: float = Field(
        0.3,
        ge=0,
        le=3600,
        description="Seconds until the next look at a track that is not settled, or embedding.",
    )
    grown: float = Field(
        1.5,
        gt=1,
        le=100,
        description="Look at a settled track again when its box is so many times as wide and high.",
    )
    min_confidence: float = Field(0.5, ge=0, le=1, description="Readings below do not vote.")
    min_votes: int = Field(3, ge=1, le=1000, description="Votes that settle a track, at least.")
    settle_at: float = Field(
        0.5, gt=0, le=1, description="Mean confidence of the leading value that settles a track."
    )


def require_cascade(specs: Sequence[SecondarySpec]) -> None:
    """Refuse secondaries that do not form a cascade.

    Raises:
        ValueError: a name is used twice, an ``after`` leads nowhere or in a circle, or more votes
            are asked for than looks; names the secondary and the field.
    """
    names = [spec.name for spec in specs]
    parents = {spec.name: spec.after for spec in specs}
    for spec in specs:
        if names.count(spec.name) > 1:
            raise ValueError(f"secondary {spec.name}: the name is used twice: give each its own")
        if spec.after and spec.after not in parents:
            raise ValueError(
                f"secondary {spec.name}: after: there is no {spec.after}: give one of "
                f"{', '.join(names)}, or leave it out to look at tracks"
            )
        if spec.min_votes > spec.max_looks:
            raise ValueError(
                f"secondary {spec.name}: min_votes: {spec.min_votes} votes cannot come of "
                f"{spec.max_looks} looks: raise max_looks or lower min_votes"
            )
    for spec in specs:
        _require_end(spec.name, parents)


def require_models(
    specs: Sequence[SecondarySpec], primary: ModelSpec, models: Mapping[str, ModelSpec]
) -> None:
    """Refuse secondaries whose models do not fit what they look at.

    Args:
        specs: A cascade, see ``require_cascade``.
        primary: The detector whose tracks they look at.
        models: Of each secondary, by its name.

    Raises:
        ValueError: one follows a model that finds no boxes, or asks for a class that what it
            follows does not know; names the secondary and the field.
    """
    for spec in specs:
        source = models[spec.after] if spec.after else primary
        if source.task is not Task.DETECT:
            raise ValueError(
                f"secondary {spec.name}: after: {spec.after} is for {source.task.value}, it finds "
                "no boxes: name a detector, or leave it out to look at tracks"
            )
        unknown = [label for label in spec.classes if label not in source.labels]
        if unknown:
            raise ValueError(
                f"secondary {spec.name}: classes: {source.name} does not know "
                f"{', '.join(unknown)}: give some of {', '.join(source.labels[:20])}"
            )


def _require_end(name: str, parents: Mapping[str, str]) -> None:
    """Refuse a chain of ``after`` that never reaches the tracks."""
    chain = [name]
    while parent := parents[chain[-1]]:
        if parent in chain:
            circle = " after ".join([*chain[chain.index(parent) :], parent])
            raise ValueError(f"secondary {name}: after: goes in a circle ({circle}): break it")
        chain.append(parent)
