"""From an ONNX graph to TensorRT's network, with refusals that name the node and what to do."""

from __future__ import annotations

from typing import Any

import onnx

from engines.errors import ModelError
from engines.tensorrt.log import last_words
from engines.tensorrt.versions import network_flags, node_of

MAX_TOLD = 3


def parse(trt: Any, builder: Any, graph: onnx.ModelProto, logger: Any) -> tuple[Any, Any]:
    """A network and its parser, which owns the weights and must outlive the build.

    Raises:
        ModelError: naming the nodes that TensorRT does not take, or an output without fixed size.
    """
    network = builder.create_network(network_flags(trt))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph.SerializeToString()):
        raise _refused(trt, parser, graph, logger)
    _check_outputs(network)
    return network, parser


def _refused(trt: Any, parser: Any, graph: onnx.ModelProto, logger: Any) -> ModelError:
    nodes = [(node.name, node.op_type) for node in graph.graph.node]
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    told = [_told(error, nodes) for error in errors[:MAX_TOLD]] or [last_words(logger)]
    if len(errors) > MAX_TOLD:
        told.append(f"and {len(errors) - MAX_TOLD} more")
    opset = next(o.version for o in graph.opset_import if o.domain in ("", "ai.onnx"))
    return ModelError(
        f"TensorRT {trt.__version__} does not take the graph: {'; '.join(told)}",
        remedy=f"Replace that operator or export with another opset (this one is {opset}; "
        "TensorRT 8.6 knows 9 to 17), or run the model on the backend onnxruntime.",
    )


def _told(error: Any, nodes: list[tuple[str, str]]) -> str:
    name, operator = node_of(error, nodes)
    return f"node {name or '(unnamed)'}, operator {operator}: {error.desc().strip()}"


def _check_outputs(network: Any) -> None:
    """Only the batch may be free: a CUDA graph cannot hold outputs whose size depends on data."""
    for index in range(network.num_outputs):
        output = network.get_output(index)
        if any(size < 0 for size in tuple(output.shape)[1:]):
            raise ModelError(
                f"the output {output.name} has the shape {tuple(output.shape)}, which depends on "
                "the picture",
                remedy="Cut the graph before NonMaxSuppression or NonZero, and export it again.",
            )
