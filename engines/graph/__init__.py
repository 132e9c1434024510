"""ONNX in, ONNX out: what is done to a model's graph before an engine runs it."""

from engines.graph.batch_axis import free_batch_axis
from engines.graph.calibration import Calibration
from engines.graph.metadata import describe, description_of
from engines.graph.quantize import quantize

__all__ = ["Calibration", "describe", "description_of", "free_batch_axis", "quantize"]
