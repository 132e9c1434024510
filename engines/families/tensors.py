"""What families ask of a model's tensors, and the errors that say what to write instead."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.signature import Signature, TensorInfo
from engines.spec import Activation, InputSpec

Array = NDArray[np.float32]
Shape = tuple[int | None, ...]

IMAGE_DTYPES = ("float32", "float16")
TOLERANCE = 0.01
"""How far probabilities in half precision may be off 0, 1 or their sum."""


def check_image(signature: Signature, input_spec: InputSpec, family: str) -> None:
    """The model takes one image of the size of the spec.

    Raises:
        ModelError: naming the family or the size.
    """
    image = signature.inputs[0] if len(signature.inputs) == 1 else None
    if image is None or image.dtype not in IMAGE_DTYPES or not fits(image, (None, 3, None, None)):
        raise ModelError(
            f"{family} takes one image, float32 [N, 3, height, width]; found {signature}",
            field="family",
            remedy="Export the model with its image as the only input.",
        )
    for name, size, given in zip(
        ("height", "width"), image.shape[2:], (input_spec.height, input_spec.width), strict=True
    ):
        if size not in (None, given):
            raise ModelError(
                f"the spec says {given}, the model takes {image}",
                field=f"input.{name}",
                remedy=f"Write {size}.",
            )


def check_multiple(input_spec: InputSpec, stride: int) -> None:
    """The input is a whole number of cells wide and high.

    Raises:
        ModelError: naming a size that is.
    """
    for name, size in (("width", input_spec.width), ("height", input_spec.height)):
        if size % stride:
            raise ModelError(
                f"{size} is not a multiple of {stride}",
                field=f"input.{name}",
                remedy=f"Use {stride * max(1, round(size / stride))}.",
            )


def fits(tensor: TensorInfo, expected: Shape) -> bool:
    """Whether the rank agrees and so does each dimension that both sides know."""
    return len(tensor.shape) == len(expected) and all(
        a is None or b is None or a == b for a, b in zip(tensor.shape, expected, strict=True)
    )


def is_per_picture(tensor: TensorInfo) -> bool:
    """Whether it gives one row a picture: [N, C], perhaps with axes of 1 behind."""
    return len(tensor.shape) >= 2 and all(size == 1 for size in tensor.shape[2:])


def check_count(tensor: TensorInfo, axis: int, num: int, extra: int, field: str) -> None:
    """As many classes as there are labels.

    Args:
        tensor: The output.
        axis: Of its classes.
        num: Labels of the spec.
        extra: What the axis holds besides.
        field: Of the labels.

    Raises:
        ModelError: saying how many labels to give.
    """
    size = tensor.shape[axis]
    if size in (None, num + extra):
        return
    wanted = (size or 0) - extra
    raise ModelError(
        f"{num} labels for {wanted} classes; found {tensor}",
        field=field,
        remedy=f"Give {wanted} labels, in class order.",
    )


def wrong_outputs(family: str, expected: str, signature: Signature, remedy: str) -> ModelError:
    """The outputs are not those of the family."""
    return ModelError(
        f"{family} gives {expected}; found {signature}", field="family", remedy=remedy
    )


def activate(values: Array, activation: Activation, axis: int = -1) -> Array:
    """Probabilities, float32, of what a model gives."""
    result = values
    if activation is Activation.SIGMOID:
        # Beyond these the exponential overflows and nothing changes any more.
        result = np.reciprocal(1 + np.exp(-np.clip(values, -80, 80)))
    elif activation is Activation.SOFTMAX:
        powers = np.exp(values - values.max(axis=axis, keepdims=True))
        result = powers / powers.sum(axis=axis, keepdims=True)
    return result


def check_probabilities(
    values: Array, activation: Activation | None, *, sums_to_one: bool = False, axis: int = -1
) -> None:
    """What a model gives for a grey picture agrees with the ``activation`` of the spec.

    Args:
        values: As the model gives them.
        activation: What the spec says is still to be done; None where the family leaves no choice.
        sums_to_one: Whether exactly one class is true.
        axis: Of the classes.

    Raises:
        ModelError: saying which activation to write.
    """
    if not np.isfinite(values).all():
        raise ModelError(
            "the classes are not finite for a grey picture",
            field="input",
            remedy="Check mean and std, or export the model again.",
        )
    in_range = np.abs(values - 0.5).max() <= 0.5 + TOLERANCE
    summed = np.abs(values.sum(axis=axis) - 1).max() <= TOLERANCE
    are_probabilities = bool(in_range and (summed or not sums_to_one))
    if activation is None and not are_probabilities:
        raise ModelError(
            "the classes are not probabilities",
            field="family",
            remedy="Export the head with its sigmoid.",
        )
    if are_probabilities and activation in (Activation.SIGMOID, Activation.SOFTMAX):
        raise _wrong_activation("are probabilities already", Activation.NONE)
    if not are_probabilities and activation is Activation.NONE:
        wanted = Activation.SOFTMAX if sums_to_one else Activation.SIGMOID
        raise _wrong_activation("are not probabilities", wanted)


def _wrong_activation(found: str, wanted: Activation) -> ModelError:
    return ModelError(
        f"the classes {found}", field="activation", remedy=f"Write activation: {wanted.value}."
    )


def flat(output: NDArray[Any]) -> Array:
    """One row a picture, [N, C], axes of 1 left out."""
    rows: Array = output.reshape(output.shape[0], -1).astype(np.float32, copy=False)
    return rows
