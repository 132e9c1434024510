"""``sightline stream``: submit, list, show, change and remove stream jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
import yaml
from rich.table import Table

from actors.specs import QosClass
from cluster.cli.output import (
    FROM_STDIN,
    ApiOption,
    JsonFlag,
    console,
    fail,
    print_json,
    read_url,
)
from cluster.cli.running import local_api
from cluster.client import ApiClient
from cluster.errors import ClusterError
from cluster.wording import state_style

app = typer.Typer(help="Submit, list, change and remove stream jobs.", no_args_is_help=True)


def _complete_id(ctx: typer.Context, incomplete: str) -> list[str]:
    url = str((ctx.params or {}).get("api") or local_api())
    try:
        with ApiClient(url) as api:
            found = api.get("/v1/streams")["streams"]
    except ClusterError:
        return []
    return [s["id"] for s in found if s["id"].startswith(incomplete)]


StreamId = Annotated[str, typer.Argument(help="Stream id.", autocompletion=_complete_id)]
ClassOption = Annotated[QosClass | None, typer.Option("--class", help="Quality of service.")]
Weight = Annotated[float | None, typer.Option(help="Share under overload; else that of the class.")]
Deadline = Annotated[
    float | None, typer.Option(help="Arrival to detections, ms; else that of the class.")
]
MinFps = Annotated[float | None, typer.Option(help="Floor; else that of the class.")]
MaxFps = Annotated[float | None, typer.Option("--max-fps", help="Infer at most so many a second.")]
Transport = Annotated[str | None, typer.Option("--transport", help="auto, tcp or udp.")]
RulesFile = Annotated[
    Path | None, typer.Option("--rules", help="YAML or JSON file with a list of rules.")
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="KEY=VALUE", help="Copied into every event; may be repeated."),
]
Places = Annotated[
    list[str] | None,
    typer.Option("--on", metavar="KEY=VALUE", help="Label of its slot; may be repeated."),
]
Spread = Annotated[
    str | None, typer.Option(help="Streams with the same word are kept on different machines.")
]
Enabled = Annotated[
    bool | None, typer.Option("--enabled/--disabled", help="Open or close the camera.")
]


@app.command()
def add(
    stream: Annotated[str, typer.Argument(help="Id for the new stream.")],
    url: Annotated[str, typer.Argument(help=f"rtsp://, http:// or file:// URL; {FROM_STDIN}.")],
    name: Annotated[str | None, typer.Option(help="Name for people.")] = None,
    qos_class: ClassOption = None,
    weight: Weight = None,
    deadline_ms: Deadline = None,
    min_fps: MinFps = None,
    max_fps: MaxFps = None,
    transport: Transport = None,
    rules: RulesFile = None,
    pipeline: Annotated[str | None, typer.Option(help="Pipeline whose model sees it.")] = None,
    labels: Labels = None,
    on: Places = None,
    spread: Spread = None,
    loop: Annotated[bool, typer.Option("--loop", help="Play a file again and again.")] = False,
    as_json: JsonFlag = False,
    *,
    api: ApiOption,
) -> None:
    """Submit a stream job."""
    body = {"id": stream, "url": read_url(url), **_changes(name, max_fps, transport, rules)}
    qos = _qos(qos_class, weight, deadline_ms, min_fps)
    placement = _named(labels=_read_labels("--on", on), spread=spread)
    more = {"pipeline": pipeline, "loop": loop, "qos": qos, "placement": placement}
    body |= _named(labels=_read_labels("--label", labels), **more)
    with ApiClient(api) as client:
        made = client.post("/v1/streams", body)
    print_json(made) if as_json else console.print(f"added [bold]{made['id']}[/]")


@app.command("list")
def list_streams(as_json: JsonFlag = False, *, api: ApiOption) -> None:
    """List all stream jobs with what they are doing."""
    with ApiClient(api) as client:
        answer = client.get("/v1/streams")
    if as_json:
        print_json(answer)
        return
    table = Table("stream", "class", "state", "reason", "step", "on time", "slot", "url")
    for stream in answer["streams"]:
        table.add_row(*_row(stream))
    console.print(table)


@app.command()
def show(stream: StreamId, as_json: JsonFlag = False, *, api: ApiOption) -> None:
    """Show one stream job, its state and its counts."""
    with ApiClient(api) as client:
        answer = {**client.get(_path(stream))}
        answer["stats"] = client.get(f"{_path(stream)}/stats")
    if as_json:
        print_json(answer)
    else:
        console.print(yaml.safe_dump(answer, sort_keys=False, allow_unicode=True), markup=False)


@app.command()
def update(
    stream: StreamId,
    url: Annotated[str | None, typer.Option(help=f"New URL; {FROM_STDIN}.")] = None,
    name: Annotated[str | None, typer.Option(help="Name for people.")] = None,
    qos_class: ClassOption = None,
    weight: Weight = None,
    deadline_ms: Deadline = None,
    min_fps: MinFps = None,
    max_fps: MaxFps = None,
    transport: Transport = None,
    rules: RulesFile = None,
    enabled: Enabled = None,
    as_json: JsonFlag = False,
    *,
    api: ApiOption,
) -> None:
    """Change a stream job; what is not named stays."""
    changes = _changes(name, max_fps, transport, rules)
    changes |= {} if url is None else {"url": read_url(url)}
    changes |= {} if enabled is None else {"enabled": enabled}
    qos = _qos(qos_class, weight, deadline_ms, min_fps)
    changes |= {"qos": qos} if qos else {}
    if not changes:
        fail("nothing to change: name an option, see `sightline stream update --help`", 2)
    with ApiClient(api) as client:
        made = client.patch(_path(stream), changes)
    print_json(made) if as_json else console.print(f"changed [bold]{stream}[/]")


@app.command()
def remove(stream: StreamId, api: ApiOption) -> None:
    """Remove a stream job."""
    with ApiClient(api) as client:
        client.delete(_path(stream))
    console.print(f"removed [bold]{stream}[/]")


def _row(stream: dict[str, Any]) -> tuple[str, ...]:
    status = stream["status"]
    state, step, hits = status["state"], status["degrade_step"], status["deadline_hits"]
    return (
        stream["id"],
        stream["spec"]["qos"]["class"],
        f"[{state_style(state)}]{state}[/]",
        status["reason"],
        "-" if step == "none" else step,
        "-" if hits is None else f"{hits:.1%}",
        status["slot"] or "",
        stream["spec"]["url"],
    )


def _path(stream: str) -> str:
    """Quoted, so that an id with ``#`` or ``?`` cannot mean another stream."""
    return f"/v1/streams/{quote(stream, safe='')}"


def _changes(
    name: str | None, max_fps: float | None, transport: str | None, rules: Path | None
) -> dict[str, Any]:
    values: dict[str, Any] = {"name": name, "max_fps": max_fps, "transport": transport}
    if rules is not None:
        values["rules"] = _read_rules(rules)
    return {key: value for key, value in values.items() if value is not None}


def _qos(
    qos_class: QosClass | None,
    weight: float | None,
    deadline_ms: float | None,
    min_fps: float | None,
) -> dict[str, Any]:
    """What is named of the quality of service; what is not keeps the value that it has."""
    class_name = None if qos_class is None else qos_class.value
    values = {"class": class_name, "weight": weight, "deadline_ms": deadline_ms, "min_fps": min_fps}
    return {key: value for key, value in values.items() if value is not None}


def _named(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}


def _read_labels(option: str, pairs: list[str] | None) -> dict[str, str]:
    for pair in pairs or ():
        if not pair.partition("=")[0] or "=" not in pair:
            fail(f"{option} {pair}: names no value: write it as KEY=VALUE", 2)
    return dict(pair.split("=", 1) for pair in pairs or ())


def _read_rules(path: Path) -> Any:
    try:
        text = path.read_text()
        rules = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        fail(f"--rules {path}: cannot be read ({error}): give a YAML or JSON list of rules", 2)
    if not isinstance(rules, list):
        fail(f"--rules {path}: holds no list: give a YAML or JSON list of rules", 2)
    return rules
