"""The ``sightline`` command: each file here is one group of its subcommands."""

from cluster.cli.main import main

__all__ = ["main"]
