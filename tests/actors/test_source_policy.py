"""Which sources may be opened: decided by what a URL leads to, not by how it is written."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import SourceError
from actors.ingest.locating import locate, require_allowed
from actors.source_policy import SourcePolicy, Target

ANY = SourcePolicy()
METADATA = "169.254.169.254"


def policy(*networks: str, **fields: Any) -> SourcePolicy:
    return SourcePolicy(networks=tuple(map(ipaddress.ip_network, networks)), **fields)


def target(host: str, *addresses: str, scheme: str = "rtsp") -> Target:
    return Target(scheme, host, tuple(map(ipaddress.ip_address, addresses)))


@pytest.mark.parametrize(
    "address",
    [
        *(METADATA, "169.254.0.1", "169.254.170.2", "fe80::1", "fe80::1%eth0"),
        *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
        *("100.100.100.200", "168.63.129.16", "192.0.0.192"),
        *(f"::ffff:{METADATA}", f"64:ff9b::{METADATA}", f"::{METADATA}", "2002:a9fe:a9fe::1"),
    ],
)
def test_metadata_and_link_local_addresses_are_never_opened(address: str) -> None:
    everything = policy("0.0.0.0/0", "::/0", hosts=("*", address))
    for name in (address, "camera.example"):
        for allowed in (ANY, everything):
            refusal = allowed.refusal(target(name, address))
            assert refusal is not None
            assert "never opened" in refusal.message
            assert refusal.is_final is (name == address)


def test_one_bad_address_among_good_ones_is_enough() -> None:
    assert ANY.refusal(target("camera.example", "192.0.2.1", METADATA)) is not None
    assert policy("192.0.2.0/24").refusal(target("h", "192.0.2.1", "198.51.100.1")) is not None


@pytest.mark.parametrize("name", ["metadata.google.internal", "metadata.goog", "metadata"])
def test_metadata_services_are_known_by_name_too(name: str) -> None:
    assert ANY.refusal(target(name)) is not None
    assert policy(hosts=("*",)).refusal(target(name, "192.0.2.1")) is not None


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "192.0.2.1", "::1", "fd00:1::1", "2001:db8::1", "0.0.0.0"]
)
def test_any_other_address_is_allowed_unless_configured_otherwise(address: str) -> None:
    assert ANY.refusal(target(address, address)) is None
    assert ANY.refusal(target("camera.example", address)) is None


def test_a_host_is_allowed_by_its_name_or_by_its_network() -> None:
    allowed = policy("10.20.0.0/16", "fd12::/32", hosts=("*.cams.example", "192.0.2.7"))
    good = [
        target("a.cams.example", "198.51.100.1"),
        target("a.b.cams.example"),
        target("192.0.2.7", "192.0.2.7"),
        target("10.20.3.4", "10.20.3.4"),
        target("gate", "10.20.3.4", "fd12::1"),
        target("mapped", "::ffff:10.20.3.4"),
    ]
    bad = [
        target("cams.example", "198.51.100.1"),
        target("xcams.example", "198.51.100.1"),
        target("a.cams.example.evil", "198.51.100.1"),
        target("10.21.0.1", "10.21.0.1"),
        target("192.0.2.8", "192.0.2.8"),
    ]
    assert [allowed.refusal(each) for each in good] == [None] * len(good)
    for each in bad:
        refusal = allowed.refusal(each)
        assert refusal is not None
        assert each.host in refusal.message
        assert "cameras.allow" in refusal.remedy


def test_a_name_that_is_not_known_yet_passes_networks_but_not_hosts() -> None:
    assert policy("10.0.0.0/8").refusal(target("gate")) is None
    assert policy(hosts=("*.example",)).refusal(target("gate")) is not None


def test_a_refusal_for_what_a_name_stands_for_now_is_not_final() -> None:
    refusals = [
        policy("10.0.0.0/8").refusal(target("gate", "192.0.2.1")),
        policy("10.0.0.0/8").refusal(target("192.0.2.1", "192.0.2.1")),
        policy(hosts=("*.example",)).refusal(target("gate", "192.0.2.1")),
    ]
    assert [refusal and refusal.is_final for refusal in refusals] == [False, True, True]


def test_a_scheme_that_is_not_allowed_is_refused_with_those_that_are() -> None:
    refusal = policy(schemes=("rtsp", "rtsps")).refusal(target("h", "192.0.2.1", scheme="http"))
    assert refusal is not None
    assert "http://" in refusal.message
    assert "rtsp://, rtsps://" in refusal.remedy


@given(st.integers(0, 2**32 - 1))
def test_networks_hold_for_every_way_to_write_an_address_of_ipv4(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    mapped = ipaddress.IPv6Address(f"::ffff:{address}")
    allowed = policy("128.0.0.0/1")
    verdicts = [allowed.refusal(Target("rtsp", "h", (form,))) is None for form in (address, mapped)]
    never = ANY.refusal(Target("rtsp", "h", (address,))) is not None
    assert verdicts == [(number >= 2**31) and not never] * 2


@pytest.mark.parametrize(
    "url",
    [
        f"rtsp://user:pw@{METADATA}:80/latest/meta-data",
        f"http://{METADATA}/latest/meta-data/iam",
        "http://2852039166/latest",
        "http://0xa9fea9fe/latest",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        f"http://{METADATA}./",
        f"http://[::ffff:{METADATA}]/",
        "http://[fd00:ec2::254]/",
        "https://METADATA.google.internal./computeMetadata/v1/",
        f"rtsp://good.example@{METADATA}/",
        f"rtsp://{METADATA}\t.good.example/",
        f"rtsp://{METADATA}#@good.example/",
    ],
)
def test_however_it_is_written_a_metadata_service_is_not_opened(url: str) -> None:
    with pytest.raises(SourceError) as caught:
        require_allowed(url, ANY)
    assert caught.value.reason == "forbidden"
    assert "pw" not in caught.value.message


def test_a_host_that_cannot_be_found_is_not_opened() -> None:
    with pytest.raises(SourceError, match="cannot be reached") as caught:
        require_allowed("rtsp://nowhere.invalid/a", ANY)
    assert (caught.value.reason, caught.value.permanent) == ("refused", False)


def test_files_lie_in_the_folders_that_are_allowed_and_no_link_leads_out(tmp_path: Path) -> None:
    films, other = tmp_path / "films", tmp_path / "films-of-others"
    for folder in (films, other):
        folder.mkdir()
        (folder / "a b.mp4").touch()
    (films / "link.mp4").symlink_to(other / "a b.mp4")
    allowed = SourcePolicy(folders=(str(films),))
    require_allowed((films / "a b.mp4").as_uri(), allowed)
    require_allowed((other / "a b.mp4").as_uri(), ANY)
    escaped = f"file://{films}/%2e%2e/films-of-others/a%20b.mp4"
    for url in (
        (other / "a b.mp4").as_uri(),
        (films / "link.mp4").as_uri(),
        f"file://{films}/../films-of-others/a b.mp4",
        escaped,
    ):
        with pytest.raises(SourceError, match=r"cameras\.allow\.folders") as caught:
            require_allowed(url, allowed)
        assert caught.value.permanent


def test_a_target_is_what_the_url_leads_to() -> None:
    found = locate("rtsp://user:p@ss@LOCALHOST.:8554/main?x=1")
    assert (found.scheme, found.host) == ("rtsp", "localhost")
    assert ipaddress.ip_address("127.0.0.1") in found.addresses
    assert locate("rtsp://nowhere.invalid/").addresses == ()
    assert locate(f"rtsp://{'a' * 70}.example/").addresses == ()
