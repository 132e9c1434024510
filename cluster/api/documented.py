"""What OpenAPI says of bodies and queries, which the API reads itself to word its own errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from actors.rule_specs import RULE_MODELS
from actors.specs import StreamSpec
from cluster.api.problems import Problem, problem_responses
from cluster.config.pipelines import PipelineSpec

_TEMPLATE = "#/components/schemas/{model}"


def body(schema: Mapping[str, Any], example: Any, media_type: str = "application/json") -> Any:
    """``openapi_extra`` of a route with a JSON body."""
    content = {media_type: {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def reference(model: type[BaseModel]) -> dict[str, str]:
    """A reference to a model's schema."""
    return {"$ref": _TEMPLATE.format(model=model.__name__)}


def query(model: type[BaseModel]) -> Any:
    """``openapi_extra`` of a route with query parameters."""
    schema = model.model_json_schema()
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": about.get("description", ""),
                "schema": {k: v for k, v in about.items() if k not in ("title", "description")},
            }
            for name, about in schema["properties"].items()
        ]
    }


def describe(app: FastAPI, is_open: Callable[[str], bool]) -> None:
    """Make the application's OpenAPI document whole: schemas that are referred to, and tokens.

    Args:
        app: With all its routes.
        is_open: Whether a path asks for no token.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
            _ask_for_tokens(app.openapi_schema, is_open)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    _, extra = models_json_schema(
        [(model, "validation") for model in (Problem, PipelineSpec, StreamSpec)],
        by_alias=True,
        ref_template=_TEMPLATE,
    )
    schemas = document["components"]["schemas"]
    schemas.update(extra["$defs"])
    _remove_foreign_errors(document)
    return document


def _ask_for_tokens(document: dict[str, Any], is_open: Callable[[str], bool]) -> None:
    """Say which operations need a token; ``/docs`` gets a button to give it."""
    scheme = {"type": "http", "scheme": "bearer", "description": "A token of Sightline."}
    document["components"]["securitySchemes"] = {"token": scheme}
    answers = problem_responses(401, 403)
    refusals = {str(status): answers[status] for status in (401, 403)}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if not is_open(path):
                operation["security"] = [{"token": []}]
                operation["responses"] |= refusals


def _remove_foreign_errors(document: dict[str, Any]) -> None:
    """The framework thinks that it validates parameters itself, in a shape of its own."""
    for path in document["paths"].values():
        for operation in path.values():
            if "HTTPValidationError" in str(operation["responses"].get("422", "")):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


RULES = {
    "type": "array",
    "maxItems": 64,
    "items": {
        "oneOf": [reference(model) for model in RULE_MODELS],
        "discriminator": {"propertyName": "kind"},
    },
}
"""A list of RuleSpec."""
