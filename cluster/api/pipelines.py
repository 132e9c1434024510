"""Routes of the pipelines."""

from __future__ import annotations

from fastapi import APIRouter, Response

from cluster.api import documented
from cluster.api.dependencies import IfMatch, JsonBody, ServicesOf, set_etag
from cluster.api.problems import problem_responses
from cluster.api.views import PipelineList, PipelineView, pipeline_view
from cluster.config.pipelines import PipelineSpec

router = APIRouter(prefix="/v1/pipelines", tags=["pipelines"])


@router.get("", responses=problem_responses())
def list_pipelines(services: ServicesOf) -> PipelineList:
    """All pipelines, in order of their names."""
    records = services.registry.pipelines.all()
    return PipelineList(pipelines=[pipeline_view(name, record) for name, record in records.items()])


@router.get("/{name}", responses=problem_responses(404))
def get_pipeline(name: str, services: ServicesOf, response: Response) -> PipelineView:
    """One pipeline."""
    record = services.registry.pipelines.get(name)
    set_etag(response, record.generation)
    return pipeline_view(name, record)


@router.put(
    "/{name}",
    responses=problem_responses(400, 409, 412, 413, 415, 422),
    openapi_extra=documented.body(
        documented.reference(PipelineSpec), {"model": "/models/traffic.onnx", "max_batch_size": 8}
    ),
)
def put_pipeline(
    name: str, body: JsonBody, services: ServicesOf, if_match: IfMatch, response: Response
) -> PipelineView:
    """Add (201) or change a pipeline; slots that serve it load the new model while they run."""
    record, added = services.pipelines.put(name, body, if_match)
    if added:
        response.status_code = 201
        response.headers["Location"] = f"{router.prefix}/{name}"
    set_etag(response, record.generation)
    return pipeline_view(name, record)
