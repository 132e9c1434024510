"""Making the batch axis of a model free, so that one file serves every batch size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from engines.errors import ModelError
from engines.onnxruntime.session import SESSION_ERRORS, open_session, signature_of

BATCH = "N"
CHECKED_SIZE_PX = 64
"""Stands for free image axes when the result is tried out."""
RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE = 1e-3, 1e-4


def free_batch_axis(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose inputs and outputs have a free first axis.

    Reshapes to a constant shape that begins with the old batch size copy that axis from their
    input instead. The result is run with one and with two pictures and compared.

    Raises:
        ModelError: if something else in the graph depends on the old batch size.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    fixed = _batch_size(copy.graph)
    if fixed is not None:
        _free_reshapes(copy.graph, fixed)
    for tensor in (*_image_inputs(copy.graph), *copy.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_param = BATCH
    del copy.graph.value_info[:]
    _check_batches(copy)
    return copy


def _batch_size(graph: onnx.GraphProto) -> int | None:
    dimension = next(_image_inputs(graph)).type.tensor_type.shape.dim[0]
    return dimension.dim_value if dimension.HasField("dim_value") else None


def _image_inputs(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    constants = {constant.name for constant in graph.initializer}
    return (tensor for tensor in graph.input if tensor.name not in constants)


def _free_reshapes(graph: onnx.GraphProto, fixed: int) -> None:
    constants = _constants(graph)
    for index, node in enumerate(graph.node):
        if node.op_type != "Reshape" or node.input[0] in constants:
            continue
        shape = constants.get(node.input[1])
        if shape is not None and shape.size > 1 and shape[0] == fixed:
            # 0 means: as in the input. The shape gets a name of its own, it may be shared.
            name = f"{node.input[1]}_free_{index}"
            free = np.concatenate(([0], shape[1:])).astype(np.int64)
            graph.initializer.append(numpy_helper.from_array(free, name))
            node.input[1] = name


def _constants(graph: onnx.GraphProto) -> dict[str, NDArray[np.generic]]:
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def _check_batches(model: onnx.ModelProto) -> None:
    session = open_session(model.SerializeToString())
    image = signature_of(session).inputs[0]
    shape = [CHECKED_SIZE_PX if size is None else size for size in image.shape[1:]]
    pair = np.random.default_rng(0).uniform(0, 255, (2, *shape)).astype(image.dtype)
    try:
        both = session.run(None, {image.name: pair})
        alone = [session.run(None, {image.name: pair[i : i + 1]}) for i in range(2)]
    except SESSION_ERRORS as error:
        raise _not_free(str(error)) from error
    for index, output in enumerate(both):
        single = np.concatenate([outputs[index] for outputs in alone])
        if single.shape != output.shape or not np.allclose(
            single, output, RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE
        ):
            raise _not_free("two pictures together give another result than each alone")


def _not_free(reason: str) -> ModelError:
    return ModelError(
        f"the graph depends on its batch size ({reason})",
        remedy="Export it again with a dynamic batch axis.",
    )
