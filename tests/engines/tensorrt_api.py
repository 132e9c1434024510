"""A stand-in for the module ``tensorrt``, made from the recorded shapes of its releases.

It has the names that a release has and no others: code that runs on it asks for nothing that is
not there. Methods give what their recorded signature says; calls and settings are noted.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

API = Path(__file__).parents[3] / "shared" / "gpu" / "api"
VERSIONS = ("8.6.0", "10.16.1.11", "11.4.0.106")
PLAN = b"a plan"
UNRECORDED = ("ILogger", "ILayer", "ITensor", "LayerType")
"""Classes whose members the recording leaves out."""


class HostMemory(bytes):
    """What the stand-in gives for ``IHostMemory``."""


def recorded(version: str) -> dict[str, dict[str, str]]:
    """Members by class."""
    return json.loads((API / f"tensorrt-{version}.json").read_text())["classes"]


class StandIn(SimpleNamespace):
    """The module.

    Attributes:
        calls: (class, method, arguments) in order.
        settings: Values of attributes that were set, by (class, attribute).
        values: What members give where the recording cannot say, by (class, member).
    """

    def __init__(self, version: str) -> None:
        super().__init__(__version__=version, calls=[], settings={}, values={})
        shapes = recorded(version)
        for name, members in shapes.items():
            setattr(self, name, self._class(name, members, shapes))
        self.ILogger = type("ILogger", (), {})
        self.LayerType = SimpleNamespace(CONSTANT="constant")

    def called(self, method: str) -> list[tuple[Any, ...]]:
        """Arguments of each call of a method, of whatever class."""
        return [arguments for _, name, arguments in self.calls if name == method]

    def _class(self, name: str, members: dict[str, str], shapes: dict[str, Any]) -> type:
        body: dict[str, Any] = {"__init__": lambda self, *arguments: None}
        constants = sorted(m for m in members if m.isupper())
        for member, signature in members.items():
            if member in constants:
                body[member] = constants.index(member)
            elif "(" in signature:
                body[member] = self._method(name, member, signature, shapes)
        attributes = {m for m, s in members.items() if s == "attribute" and m not in constants}
        body["__getattr__"] = self._getter(name, attributes)
        body["__setattr__"] = self._setter(name, attributes)
        return type(name, (), body)

    def _method(self, owner: str, name: str, signature: str, shapes: dict[str, Any]) -> Any:
        kind = re.split(r"-> ", signature)[-1].rpartition(".")[2].strip()

        def call(_self: Any, *arguments: Any) -> Any:
            self.calls.append((owner, name, arguments))
            if (owner, name) in self.values:
                return self.values[owner, name]
            if kind == "IHostMemory":
                return HostMemory(PLAN)
            if kind in ("bool", "int"):
                return True
            return getattr(self, kind)() if kind in shapes else None

        return call

    def _getter(self, owner: str, attributes: set[str]) -> Any:
        def get(_self: Any, name: str) -> Any:
            if name not in attributes:
                raise AttributeError(f"TensorRT {self.__version__} has no {owner}.{name}")
            return self.settings.get((owner, name), self.values.get((owner, name)))

        return get

    def _setter(self, owner: str, attributes: set[str]) -> Any:
        def put(instance: Any, name: str, value: Any) -> None:
            if type(instance).__name__ == owner and name not in attributes:
                raise AttributeError(f"TensorRT {self.__version__} has no {owner}.{name}")
            if name in attributes:
                self.settings[owner, name] = value
            else:
                object.__setattr__(instance, name, value)

        return put


def stand_in(version: str, *, layers: list[Any] | None = None) -> StandIn:
    """A module whose parser gives a network of one image and three outputs of fixed size."""
    trt = StandIn(version)
    layers = layers or []
    outputs = SimpleNamespace(name="boxes", shape=(-1, 512, 4))
    trt.values.update(
        {
            ("INetworkDefinition", "num_layers"): len(layers),
            ("INetworkDefinition", "num_outputs"): 1,
            ("INetworkDefinition", "get_input"): SimpleNamespace(name="images"),
            ("INetworkDefinition", "get_output"): outputs,
            ("INetworkDefinition", "get_layer"): layers[0] if layers else None,
            ("OnnxParser", "num_errors"): 0,
        }
    )
    return trt
