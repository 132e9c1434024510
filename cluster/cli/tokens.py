"""``sightline token``: the tokens that open the API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cluster.cli.output import fail
from cluster.security.finding import token_of_file
from cluster.security.roles import Role
from cluster.security.token_file import default_file
from cluster.security.tokens import digest, new_token

app = typer.Typer(help="Show and make tokens that open the API.", no_args_is_help=True)

RoleOption = Annotated[Role, typer.Option(help="What its bearer may do.")]


@app.command()
def show(
    role: RoleOption = Role.ADMIN,
    file: Annotated[
        Path | None, typer.Option(help="File of tokens; else that of this machine's Sightline.")
    ] = None,
) -> None:
    """Print a token of this machine's Sightline, and nothing else: for scripts."""
    path = file or default_file()
    if not path.exists():
        fail(f"there is no file {path}: `sightline up` makes it, or name another with --file")
    typer.echo(token_of_file(path, role))


@app.command()
def new(
    role: RoleOption = Role.VIEWER,
    name: Annotated[str, typer.Option(help="Whose it is, for people.")] = "",
) -> None:
    """Make a token: print it once, with the entry for `api.auth.tokens` that lets it in."""
    text = new_token(role)
    typer.echo(f"token: {text}")
    typer.echo(f"entry: {{role: {role.value}, name: {name!r}, sha256: {digest(text)}}}")
