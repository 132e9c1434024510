"""The GPU backend, on TensorRT; needs the extra ``gpu`` when it is loaded, not when imported."""

from engines.tensorrt.engine import TensorRtEngine, TensorRtReader

__all__ = ["TensorRtEngine", "TensorRtReader"]
