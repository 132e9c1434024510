"""Everything that engines raise.

EngineError
├── ModelError          a model file or its spec is not usable; names the field and the remedy
│   └── PlanError       a TensorRT plan cannot be read, run or kept; names its file
├── FramePoolError      a pool of frames could not be made, opened or addressed
├── DeviceError         a GPU, its driver or a CUDA library cannot be used; names the remedy
│   └── DeviceMemoryError   the GPU has not so much memory free; gives the figures
└── EngineFailedError   a loaded engine stopped working; the process that owns it must be restarted
"""


class EngineError(Exception):
    """Root of all errors raised by engines."""


class ModelError(EngineError):
    """A model file or its ModelSpec cannot be used.

    Args:
        message: What is wrong, with the numbers.
        field: The ModelSpec field at fault, dotted (``input.width``), or ``path``.
        remedy: What the user can do about it.
    """

    def __init__(self, message: str, *, field: str = "path", remedy: str = "") -> None:
        super().__init__(f"{field}: {message}" + (f". {remedy}" if remedy else ""))
        self.message = message
        self.field = field
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the fields when the error crosses a process."""
        return _model_error, (type(self), self.message, self.field, self.remedy)


class PlanError(ModelError):
    """A TensorRT plan cannot be read, does not fit, or cannot be kept.

    Args:
        message: What is wrong, with the file.
        remedy: What the user can do about it.
    """

    def __init__(self, message: str, *, field: str = "plan", remedy: str = "") -> None:
        super().__init__(message, field=field, remedy=remedy)


def _model_error(kind: type[ModelError], message: str, field: str, remedy: str) -> ModelError:
    return kind(message, field=field, remedy=remedy)


class FramePoolError(EngineError):
    """A frame pool could not be made, opened or addressed."""


class DeviceError(EngineError):
    """A GPU, its driver, its memory or a CUDA library cannot be used."""


class DeviceMemoryError(DeviceError):
    """A GPU has less memory free than is wanted."""


class EngineFailedError(EngineError):
    """A loaded engine failed while it ran."""
