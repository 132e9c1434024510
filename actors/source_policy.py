"""Which sources may be opened: by scheme, host, network and folder. Pure.

What gives out a cloud machine's own credentials is never opened, whatever is allowed: metadata
services, by name and by address, and all link-local addresses.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TypeAlias

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_METADATA_NAMES = frozenset(
    {"metadata", "metadata.goog", "metadata.google.internal", "instance-data.ec2.internal"}
)
_METADATA_NETWORKS: tuple[IPNetwork, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("169.254.0.0/16", "fe80::/10"),  # link-local, and with it most clouds
        *("fd00:ec2::/32", "fd20:ce::254/128"),  # AWS and Google over IPv6
        *("100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"),  # Alibaba, Azure, Oracle
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")
_ANOTHER_HOST = "give the address of a camera"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads, as far as that is known.

    Attributes:
        scheme: Of the URL, lower case.
        host: Name or address, lower case; empty for a file.
        addresses: All that the host stands for; empty where it cannot be found.
        path: Of a file, absolute, with links followed; empty for a host.
        is_plain: False where the URL holds control characters, which its readers take differently.
    """

    scheme: str
    host: str = ""
    addresses: tuple[IPAddress, ...] = ()
    path: str = ""
    is_plain: bool = True


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a source may not be opened.

    Attributes:
        message: Continues a sentence about the URL.
        remedy: What to give, or to configure, instead.
        is_final: False where a name may stand for another address later.
    """

    message: str
    remedy: str
    is_final: bool = True


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """What is allowed; what is empty allows all. A host needs its name or its network to be there.

    Attributes:
        schemes: Of URLs.
        hosts: Names or addresses, lower case, where ``*`` stands for anything.
        networks: Where all addresses of a host must lie.
        folders: Absolute, with links followed; files must lie somewhere in one of them.
    """

    schemes: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    networks: tuple[IPNetwork, ...] = ()
    folders: tuple[str, ...] = ()

    def refusal(self, target: Target) -> Refusal | None:
        """Why the target may not be opened; None where it may.

        A host without addresses passes the networks, and nobody may open it before it has some.
        """
        if not target.is_plain:
            return Refusal("holds a control character", "take it out")
        if self.schemes and target.scheme not in self.schemes:
            allowed = ", ".join(f"{scheme}://" for scheme in self.schemes)
            return Refusal(f"begins with {target.scheme}://", f"begin it with one of {allowed}")
        if not target.host:
            return self._file_refusal(target.path)
        return _metadata_refusal(target) or self._host_refusal(target)

    def _file_refusal(self, path: str) -> Refusal | None:
        if not self.folders or any(PurePosixPath(path).is_relative_to(f) for f in self.folders):
            return None
        folders = ", ".join(self.folders)
        return Refusal(
            "names a file outside the folders that are allowed",
            f"move it into {folders}, or add its folder to cameras.allow.folders",
        )

    def _host_refusal(self, target: Target) -> Refusal | None:
        if not self.hosts and not self.networks:
            return None
        if any(fnmatchcase(target.host, pattern) for pattern in self.hosts):
            return None
        outside = [a for a in target.addresses if not _lies_in(a, self.networks)]
        if self.networks and not outside:
            return None
        where = f" ({outside[0]})" if outside and str(outside[0]) != target.host else ""
        return Refusal(
            f"leads to {target.host}{where}, which is not among the cameras that are allowed",
            f"{_ANOTHER_HOST}, or add it to cameras.allow.hosts or its network to "
            "cameras.allow.networks",
            is_final=_is_address(target.host) or not self.networks,
        )


def _metadata_refusal(target: Target) -> Refusal | None:
    if target.host in _METADATA_NAMES:
        return Refusal(f"leads to {target.host}, which is never opened", _ANOTHER_HOST)
    for address in target.addresses:
        if _lies_in(address, _METADATA_NETWORKS):
            message = f"leads to {address}, which is link-local or a cloud's metadata service"
            return Refusal(f"{message}: never opened", _ANOTHER_HOST, _is_address(target.host))
    return None


def _lies_in(address: IPAddress, networks: Iterable[IPNetwork]) -> bool:
    return any(form in network for form in _forms(address) for network in networks)


def _forms(address: IPAddress) -> tuple[IPAddress, ...]:
    """The address, and the one of IPv4 that it stands for where it is a way to write one."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address.teredo is not None:
        inner = address.teredo[1]
    if inner is None and (address in _NAT64 or address in _IPV4_COMPATIBLE):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return (address,) if inner is None else (address, inner)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
