"""Tokens are made once, kept to their owner, found by who may send them, and never shown."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cluster.cli.main import app
from cluster.client import ApiClient
from cluster.config import SightlineConfig, load_config
from cluster.errors import ConfigError
from cluster.local import LocalCluster
from cluster.security.finding import find_token, token_of_file
from cluster.security.provisioning import with_tokens
from cluster.security.roles import Role
from cluster.security.token_file import default_file, make_file, read_file
from cluster.security.tokens import Keyring, Token, digest, new_token

LOCAL = "http://127.0.0.1:8000"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name in ("SIGHTLINE_TOKEN", "SIGHTLINE_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "sightline"


def configured(**auth: object) -> SightlineConfig:
    return SightlineConfig.model_validate({"api": {"auth": auth}})


def sightline(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def in_threads(num: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(num)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_the_first_start_makes_a_token_of_each_role_that_its_owner_alone_can_read() -> None:
    config = with_tokens(SightlineConfig())
    assert stat.S_IMODE(default_file().stat().st_mode) == 0o600
    assert stat.S_IMODE(default_file().parent.stat().st_mode) == 0o700
    assert [token.role for token in config.api.auth.tokens] == list(Role)


def test_later_starts_keep_them_and_close_the_file_to_others() -> None:
    before = with_tokens(SightlineConfig())
    default_file().chmod(0o644)
    assert with_tokens(SightlineConfig()) == before
    assert stat.S_IMODE(default_file().stat().st_mode) == 0o600


def test_two_that_start_at_once_agree_on_the_tokens(tmp_path: Path) -> None:
    seen: list[str] = []

    def start() -> None:
        make_file(tmp_path / "deep" / "tokens")
        seen.append((tmp_path / "deep" / "tokens").read_text())

    in_threads(8, start)
    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["tokens"]


def test_the_configuration_that_travels_holds_hashes_only() -> None:
    config = with_tokens(SightlineConfig())
    values = config.model_dump_json()
    for line in read_file(default_file()):
        assert line.text
        assert line.text not in values
        assert digest(line.text) in values
    assert with_tokens(config) == config


def test_a_configuration_with_tokens_of_its_own_makes_no_file() -> None:
    config = configured(tokens=[{"role": "viewer", "sha256": "0" * 64}])
    assert with_tokens(config) == config
    assert with_tokens(configured(mode="off")) == configured(mode="off")
    assert not default_file().exists()


def test_a_file_may_hold_tokens_and_hashes_with_names(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    path.write_text(f"# night\n\nviewer plain  # day\noperator sha256:{digest('b')} shift\n")
    tokens = with_tokens(configured(file=path)).api.auth.tokens
    assert [(t.role.value, t.sha256, t.name) for t in tokens] == [
        ("viewer", digest("plain"), "viewer"),
        ("operator", digest("b"), "shift"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no token"),
        ("viewer\n", "mine:1: is no token"),
        ("# x\nroot hunter2\n", "mine:2: is no token"),
        ("viewer hunter2 a b\n", "mine:1: is no token"),
    ],
)
def test_a_wrong_file_is_refused_by_its_line_and_shows_no_token(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "mine"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        with_tokens(configured(file=path))
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_named_and_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        with_tokens(configured(file=tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_a_bare_off_of_yaml_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("api: {auth: {mode: off}}\n")
    assert load_config(path).api.auth.mode == "off"


def test_a_hash_that_is_none_is_refused_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("api:\n  auth:\n    tokens: [{role: viewer, sha256: hunter2}]\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert "a.yaml:3" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_keyring_knows_its_tokens_and_no_others() -> None:
    texts = {role: new_token(role) for role in Role}
    keyring = Keyring(Token(role, digest(text), "") for role, text in texts.items())
    for role, text in texts.items():
        found = keyring.find(text)
        assert found is not None
        assert found.role is role
    for other in ("", "x", digest(texts[Role.ADMIN]), new_token(Role.ADMIN), "\udc80"):
        assert keyring.find(other) is None


def test_a_higher_role_includes_the_lower_ones() -> None:
    assert [[a.includes(b) for b in Role] for a in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


@pytest.mark.parametrize(
    "url",
    [LOCAL, "http://localhost:8000", "http://[::1]:8000", "http://127.9.9.9", "http://0.0.0.0:1"],
)
def test_a_client_of_this_machine_finds_the_admin_token(url: str) -> None:
    with_tokens(SightlineConfig())
    assert str(find_token(url)).startswith("sightline_admin_")


@pytest.mark.parametrize(
    "url",
    ["http://192.0.2.1:8000", "https://sightline.example", "http://127.0.0.1.example", "h", ""],
)
def test_another_machine_never_gets_the_token_of_this_one(url: str) -> None:
    with_tokens(SightlineConfig())
    assert find_token(url) is None


def test_the_api_that_up_has_announced_is_of_this_machine(state: Path) -> None:
    with_tokens(SightlineConfig())
    (state / "up.json").write_text(json.dumps({"api": "http://192.0.2.1:8000"}))
    assert find_token("http://192.0.2.1:8000/")
    assert find_token("http://192.0.2.1:8001") is None


def test_without_a_file_a_client_sends_nothing() -> None:
    assert find_token(LOCAL) is None


def test_the_environment_goes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tokens(SightlineConfig())
    path = tmp_path / "mine"
    path.write_text("viewer low\noperator high\n")
    monkeypatch.setenv("SIGHTLINE_TOKEN_FILE", str(path))
    assert find_token("https://sightline.example") == "high"
    path.write_text("alone\n")
    assert find_token("https://sightline.example") == "alone"
    monkeypatch.setenv("SIGHTLINE_TOKEN", " mine\n")
    assert find_token("https://sightline.example") == "mine"
    assert find_token(LOCAL) == "mine"


def test_who_starts_an_api_opens_it_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SIGHTLINE_TOKEN", "of-another-cluster")
    with_tokens(SightlineConfig())
    with LocalCluster(SightlineConfig()).client() as client:
        assert client.token == token_of_file(default_file())
    with LocalCluster(configured(mode="off")).client() as client:
        assert client.token == ""
    only_hashes = configured(tokens=[{"role": "viewer", "sha256": "0" * 64}])
    with LocalCluster(only_hashes).client() as client:
        assert client.token == "of-another-cluster"


def test_tokens_that_cannot_be_read_are_told_of_before_anything_starts(tmp_path: Path) -> None:
    started: list[str] = []
    config = configured(file=tmp_path / "none")
    with (
        pytest.raises(ConfigError, match="cannot be read"),
        LocalCluster(config, report=started.append),
    ):
        pass
    assert started == []


@pytest.mark.parametrize("text", ["a b", "a\nb", "ä"])
def test_a_token_that_no_header_can_hold_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("SIGHTLINE_TOKEN", text)
    with pytest.raises(ConfigError, match="SIGHTLINE_TOKEN: holds what no token can hold"):
        ApiClient(LOCAL)


def test_a_file_with_hashes_alone_is_of_no_use_to_a_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine"
    path.write_text(f"admin sha256:{digest('a')}\n")
    monkeypatch.setenv("SIGHTLINE_TOKEN_FILE", str(path))
    with pytest.raises(ConfigError, match="only its hash"):
        ApiClient(LOCAL)


def test_the_command_shows_the_token_of_a_role_and_nothing_else() -> None:
    missing = sightline("token", "show")
    assert missing.exit_code == 1
    assert "sightline up" in missing.stderr
    with_tokens(SightlineConfig())
    for role in Role:
        shown = sightline("token", "show", "--role", role.value).stdout
        assert shown.startswith(f"sightline_{role.value}_")
        assert len(shown.split()) == 1
    assert sightline("token", "show").stdout.strip() == find_token(LOCAL)


def test_the_command_makes_a_token_with_its_entry(tmp_path: Path) -> None:
    said = sightline("token", "new", "--role", "operator", "--name", "night").stdout
    token, entry = (line.split(": ", 1)[1] for line in said.splitlines())
    path = tmp_path / "a.yaml"
    path.write_text(f"api:\n  auth:\n    tokens:\n      - {entry}\n")
    (made,) = load_config(path).api.auth.tokens
    assert (made.role, made.sha256, made.name) == (Role.OPERATOR, digest(token), "night")
