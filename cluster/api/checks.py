"""Look at the sources and files that a request names before it is accepted."""

from __future__ import annotations

from actors.inference.secondaries import with_secondaries
from actors.ingest.locating import locate
from actors.source_policy import SourcePolicy
from cluster.config.pipelines import BUILTIN_MODEL, PipelineSpec
from cluster.errors import FieldFault, InvalidError
from cluster.models import resolve_model, resolve_secondaries
from cluster.redaction import redacted


def require_allowed(url: str, policy: SourcePolicy) -> None:
    """Refuse a URL that ingest would not open; one whose host cannot be found is left to ingest.

    Raises:
        InvalidError: It names the field and the remedy.
    """
    refusal = policy.refusal(locate(url))
    if refusal is not None:
        raise InvalidError([FieldFault("url", redacted(refusal.message), redacted(refusal.remedy))])


def probe_file(url: str) -> None:
    """Open a ``file://`` URL.

    Raises:
        SourceError: It cannot be read, or holds no video.
    """
    from actors.ingest.source import probe  # codecs are loaded when they are first needed

    probe(url)


def check_model(pipeline: PipelineSpec) -> None:
    """Load the models of a pipeline on the CPU and let them go again.

    Raises:
        ModelError: One cannot be used, or they do not fit together; names the field and the remedy.
    """
    if pipeline.model == BUILTIN_MODEL and not pipeline.secondaries:
        return
    from engines.factory import create_engine

    model = resolve_model(pipeline)
    secondaries = resolve_secondaries(pipeline, model)
    engine = create_engine(model, max_batch_size=1)
    try:
        engine.load()
        engine = with_secondaries(engine, secondaries, pipeline.max_crops)
    finally:
        engine.close()
