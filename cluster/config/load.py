"""Read a configuration file, or say all that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cluster.config.document import Document, read_document
from cluster.config.model import SightlineConfig
from cluster.config.pipelines import BUILTIN_MODEL, PipelineSpec, model_paths
from cluster.errors import ConfigError, FieldFault
from cluster.validation import LocatedFault, located_faults


def load_config(
    path: str | Path | None = None, variables: Mapping[str, str] | None = None
) -> SightlineConfig:
    """Read a YAML file; without one, all defaults.

    Args:
        path: The file; model paths in it are relative to its folder.
        variables: What ``${NAME}`` stands for; None takes the environment.

    Raises:
        ConfigError: The file cannot be read, or values in it are wrong; names all of them.
    """
    if path is None:
        return SightlineConfig()
    config = _parsed(_text_of(path), str(path), variables)
    return _with_absolute_models(config, Path(path).absolute().parent)


def config_of(
    values: Mapping[str, Any], variables: Mapping[str, str] | None = None
) -> SightlineConfig:
    """The configuration that a Serve application has as its ``args``.

    Args:
        values: What a file would say; paths of models are absolute.
        variables: What ``${NAME}`` stands for; None takes the environment.

    Raises:
        ConfigError: Values are wrong; names all of them.
    """
    try:
        config = _parsed(yaml.safe_dump(dict(values)), "args", variables)
    except ConfigError as error:  # its lines are not those of the file that people know
        faults = [replace(fault, line=None, column=None) for fault in error.faults]
        raise ConfigError(error.file, faults) from None
    remedy = "write the whole path that it has on every node"
    relative = [
        FieldFault(f"pipelines.{name}.{field}", "is a relative path", remedy, value=path)
        for name, spec in config.pipelines.items()
        for field, path in model_paths(spec).items()
        if not Path(path).expanduser().is_absolute()
    ]
    if relative:
        raise ConfigError("args", relative)
    return config


def _parsed(text: str, name: str, variables: Mapping[str, str] | None) -> SightlineConfig:
    document = read_document(text, os.environ if variables is None else variables)
    if document.faults:
        raise ConfigError(name, document.faults)
    try:
        return SightlineConfig.model_validate({} if document.value is None else document.value)
    except ValidationError as error:
        faults = [_in_file(f, document) for f in located_faults(error, SightlineConfig)]
        raise ConfigError(name, sorted(faults, key=lambda f: f.line or 0)) from None


def _text_of(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        fault = FieldFault("", "this is not a text file", "save it as YAML in UTF-8")
    except OSError as error:
        fault = FieldFault(
            "", f"the file cannot be read ({error.strerror})", "give the path of a readable file"
        )
    raise ConfigError(str(path), [fault])


def _in_file(located: LocatedFault, document: Document) -> FieldFault:
    mark = document.mark(located.path)
    secret = located.path in document.from_environment
    value = None if secret else located.fault.value
    return replace(located.fault, value=value, line=mark.line, column=mark.column)


def _with_absolute_models(config: SightlineConfig, folder: Path) -> SightlineConfig:
    pipelines = {name: _absolute(spec, folder) for name, spec in config.pipelines.items()}
    return config.model_copy(update={"pipelines": pipelines})


def _absolute(spec: PipelineSpec, folder: Path) -> PipelineSpec:
    def found(path: str) -> dict[str, str]:
        return {"model": str(folder / Path(path).expanduser())}

    secondaries = tuple(one.model_copy(update=found(one.model)) for one in spec.secondaries)
    own = {} if spec.model == BUILTIN_MODEL else found(spec.model)
    return spec.model_copy(update={**own, "secondaries": secondaries})
