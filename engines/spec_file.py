"""Reading a ModelSpec from YAML, so that every error says where to look and what to write."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from engines.errors import ModelError
from engines.spec import ModelSpec

Location = Sequence[str | int]


def read_spec(path: Path) -> ModelSpec:
    """Read a ModelSpec; the model's path is taken from the folder of the YAML file.

    Raises:
        ModelError: naming file, line and field, if it cannot be read or does not validate.
    """
    given, root = _parse(path)
    if not isinstance(given, dict):
        raise ModelError(
            f"{path} holds no mapping",
            remedy="Write name, path, family, input and what the family needs, a line each.",
        )
    try:
        spec = ModelSpec.model_validate(given)
    except ValidationError as error:
        raise spec_error(error, path, root) from None
    return spec.model_copy(update={"path": path.parent / spec.path})


def spec_error(error: ValidationError, path: Path, root: yaml.Node | None = None) -> ModelError:
    """What pydantic found wrong, as one ModelError about the first field, with its line."""
    first, *others = error.errors()
    message = f"{path}{_at_line(root, first)}: {_complaint(first)}"
    for other in others:
        message += f"; {_dotted(other['loc'])}{_at_line(root, other)}: {_complaint(other)}"
    return ModelError(message, field=_dotted(first["loc"]), remedy=_remedy(first))


def line_of(root: yaml.Node | None, location: Location) -> int | None:
    """The 1-based line of a key or item, or of the nearest thing around it that is there."""
    node, line = root, None
    for step in location:
        found = _child(node, step)
        if found is None:
            break
        line, node = found
    return line


def _parse(path: Path) -> tuple[Any, yaml.Node | None]:
    """The values of a YAML file, and its nodes, which know their lines."""
    try:
        text = path.read_text(encoding="utf-8")
        return yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read ({error.strerror})",
            remedy="Give a file that is there and may be read.",
        ) from error
    except UnicodeDecodeError as error:
        raise ModelError(
            f"{path} is not text ({error})", remedy="Give an .onnx file or a YAML spec."
        ) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ModelError(
            f"{path}, line {line}: not YAML ({error.problem})",
            remedy="Check the indentation, colons and quotes there.",
        ) from error
    except yaml.YAMLError as error:
        raise ModelError(f"{path} is not YAML ({error})") from error


def _child(node: yaml.Node | None, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line + 1, node.value[step]
    return None


def _at_line(root: yaml.Node | None, detail: ErrorDetails) -> str:
    line = line_of(root, detail["loc"])
    return f", line {line}" if line else ""


def _complaint(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return "there is no such field"
        case "missing":
            return "is missing"
        case "not_of_family":
            return detail["msg"]
    return f"{detail['msg']}, given {detail['input']!r}"


def _remedy(detail: ErrorDetails) -> str:
    location = detail["loc"]
    if detail["type"] == "extra_forbidden":
        names = sorted(_fields_around(location))
        close = difflib.get_close_matches(str(location[-1]), names, n=1)
        known = f"Known fields: {', '.join(names)}."
        return f"Did you mean {close[0]}? {known}" if close else known
    if detail["type"] == "not_of_family":
        return "Leave it out, or give another family."
    field = _field(location)
    description = (field.description if field else None) or ""
    return f"Add it. {description}".strip() if detail["type"] == "missing" else description


def _fields_around(location: Location) -> dict[str, FieldInfo]:
    around: Any = ModelSpec
    for step in location[:-1]:
        if _is_model(around):
            field = around.model_fields.get(step)
            around = None if field is None else field.annotation
        else:  # a mapping by names of the user's own
            around = next(iter(get_args(around)[1:]), None)
    return dict(around.model_fields) if _is_model(around) else {}


def _field(location: Location) -> FieldInfo | None:
    """The innermost field that a location leads to; items of a list lead to the list."""
    named = [step for step in location if isinstance(step, str)]
    return _fields_around(named).get(named[-1]) if named else None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _dotted(location: Location) -> str:
    return ".".join(map(str, location)) or "spec"
