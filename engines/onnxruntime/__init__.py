"""The CPU backend, on ONNX Runtime: the embedded default, and the reference for the others."""

from engines.onnxruntime.engine import OnnxRuntimeEngine, OnnxRuntimeReader

__all__ = ["OnnxRuntimeEngine", "OnnxRuntimeReader"]
