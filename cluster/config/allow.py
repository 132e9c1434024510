"""AllowConfig: which cameras may be opened."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

from pydantic import Field, field_validator

from actors.source_policy import SourcePolicy
from actors.specs import SCHEMES
from cluster.config.section import Section


class AllowConfig(Section):
    """Which cameras may be opened; metadata services of clouds and link-local addresses never."""

    schemes: tuple[str, ...] = Field(SCHEMES, min_length=1, description="How URLs may begin.")
    hosts: tuple[str, ...] = Field(
        (),
        description="Names or addresses of hosts, where * stands for anything; with `networks` "
        "empty too, all hosts are allowed.",
    )
    networks: tuple[str, ...] = Field(
        (), description="Networks in which hosts may be, as 10.20.0.0/16, besides `hosts`."
    )
    folders: tuple[Path, ...] = Field(
        (), description="Where files of file:// URLs may lie; empty allows all."
    )

    @property
    def policy(self) -> SourcePolicy:
        """What ingest and the API go by."""
        return SourcePolicy(
            schemes=self.schemes,
            hosts=tuple(host.lower().rstrip(".") for host in self.hosts),
            networks=tuple(ipaddress.ip_network(network) for network in self.networks),
            folders=tuple(os.path.realpath(folder) for folder in self.folders),
        )

    @field_validator("schemes")
    @classmethod
    def _schemes_are_known(cls, schemes: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [scheme for scheme in schemes if scheme not in SCHEMES]
        if unknown:
            raise ValueError(f"'{unknown[0]}' is not known: choose from {', '.join(SCHEMES)}")
        return schemes

    @field_validator("networks")
    @classmethod
    def _networks_are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                remedy = "write it as 10.20.0.0/16 or fd12:3456::/32"
                raise ValueError(f"{error}: {remedy}") from None
        return networks

    @field_validator("folders")
    @classmethod
    def _folders_are_absolute(cls, folders: tuple[Path, ...]) -> tuple[Path, ...]:
        for folder in folders:
            if not folder.is_absolute():
                raise ValueError(f"'{folder}' is not an absolute path: begin it with '/'")
        return folders
