"""The figures as tables for people; the JSON has more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from actors.stages import Stage
from cluster.bench.gpu.document import MAX_CPU_US, MIN_RATIO, steps_of

Figures = Mapping[str, Any]
KINDS = ("ingest", "engine", "analytics", "rest")


def show(console: Console, figures: Figures) -> None:
    """Print what was measured, part by part, and what it comes to."""
    tables = (
        _films(figures),
        _decode(figures),
        _engine(figures),
        _path(figures),
        _cpu(figures),
    )
    for table in tables:
        if table.row_count:
            console.print(table)
    for line in verdicts(figures):
        console.print(line, highlight=False)
    for name, error in figures.get("errors", {}).items():
        console.print(f"[bold red]{name} failed[/] {escape(error)}", highlight=False)


def verdicts(figures: Figures) -> list[str]:
    """What the whole path reaches, in words, without MPS and with it."""
    found = figures.get("summary", {})
    sides = [("", found), (", with MPS", found.get("mps", {}))]
    return [line for under, side in sides for line in _verdict(under, side)]


def _verdict(under: str, found: Figures) -> Iterable[str]:
    if found.get("cameras"):
        latency = " / ".join(f"{found['latency_ms'][p]:.1f}" for p in ("p50", "p95", "p99"))
        yield (
            f"whole path{under}: {found['cameras']} cameras hold, p50/p95/p99 {latency} ms, "
            f"{found['cpu_us']:.0f} us of CPU a frame (at most {MAX_CPU_US:.0f}), "
            f"{found['mb_a_stream']} MB of GPU memory a stream"
        )
    if found.get("ratio"):
        yield (
            f"c / min(a, b){under}: {found['path_fps']:.0f} / min({found['decode_fps']:.0f}, "
            f"{found['engine_fps']:.0f}) = {found['ratio']:.3f} (at least {MIN_RATIO})"
        )


def _films(figures: Figures) -> Table:
    table = _table("films", "codec", "Mbit/s", "RTP packets a frame")
    for film in figures.get("films", ()):
        row = film["film"], film["codec"], film["mbit_s"], film["rtp_packets"]
        table.add_row(*map(str, row))
    return table


def _decode(figures: Figures) -> Table:
    table = _table("(a) decoder alone", "frames/s", "CPU us a frame", "MB a stream")
    for under, part in (("", figures), (", MPS", figures.get("mps", {}))):
        for row in part.get("decode", ()):
            copies = " with the copy" if row["copies"] else ""
            each = row["decoders"] // row["processes"]
            name = f"{row['processes']} processes x {each} decoders{copies}{under}"
            table.add_row(name, *(str(row[key]) for key in ("fps", "cpu_us", "mb_a_stream")))
    return table


def _engine(figures: Figures) -> Table:
    columns = ("enqueue us", "batch ms", "one lane /s", "two lanes /s", "two / one")
    table = _table("(b) engine alone", *columns)
    for part in figures.get("engine", {}).values():
        for row in part["table"]:
            how = "graphs" if row["use_graphs"] else "no graphs"
            table.add_row(
                f"{row['precision']}, {how}, batch {row['batch_size']}",
                f"{row['enqueue_us']:.1f}",
                f"{row['batch_ms']:.3f}",
                f"{row['single_fps']:.0f}",
                f"{row['double_fps']:.0f}",
                f"{row['double_fps'] / row['single_fps']:.2f}",
            )
    return table


def _path(figures: Figures) -> Table:
    columns = ("frames/s", "p50 ms", "p95 ms", "p99 ms", *(f"{s.value} p95" for s in Stage))
    table = _table("(c) whole path", *columns, "lost", "holds")
    for under, step in steps_of(figures):
        stages = [step["stages_ms"].get(stage.value, {}).get("p95") for stage in Stage]
        latencies = [step["latency_ms"][name] for name in ("p50", "p95", "p99")]
        table.add_row(
            _cameras(step, under),
            f"{step['inferred_fps']:.0f}",
            *("-" if ms is None else f"{ms:.1f}" for ms in (*latencies, *stages)),
            " ".join(f"{reason} {num}" for reason, num in step["lost"].items()) or "none",
            "yes" if step["holds"] else "[red]no[/]",
        )
    return table


def _cpu(figures: Figures) -> Table:
    table = _table("CPU, us a frame: user + system", "all", *KINDS, "SM %", "NVDEC %", "GPU MB")
    for under, step in steps_of(figures):
        gpu = [step["gpu"].get(name) for name in ("sm_percent", "decoder_percent", "memory_mb")]
        table.add_row(
            _cameras(step, under),
            *(_user_and_system(step["cpu_us"].get(kind)) for kind in ("all", *KINDS)),
            *("-" if value is None else f"{value:.0f}" for value in gpu),
        )
    return table


def _user_and_system(time: Mapping[str, float] | None) -> str:
    return "-" if time is None else f"{time['user']:.0f} + {time['system']:.0f}"


def _cameras(step: Figures, under: str) -> str:
    return f"{step['cameras']} cameras{under and ', '}{under}"


def _table(title: str, *columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(title, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right")
    return table
