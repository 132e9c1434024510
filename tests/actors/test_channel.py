"""Channels between processes: answers, errors, and a side that dies."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from actors.channel import Channel, ChannelAddress, ChannelServer
from actors.errors import StaleGenerationError


def double(value: Any) -> Any:
    if value == "stale":
        raise StaleGenerationError("attach again")
    return value * 2


@pytest.fixture
def server() -> Iterator[ChannelServer]:
    server = ChannelServer(double, "test")
    yield server
    server.close()


def serve_and_die(sent: Any) -> None:
    """In another process: tell the address, answer one call, die at the second."""
    calls = iter([lambda value: value * 2])

    def answer(value: Any) -> Any:
        return next(calls)(value) if value != "die" else __import__("os")._exit(1)

    sent.send(ChannelServer(answer, "mortal").address)
    threading.Event().wait()


def test_a_call_comes_back_with_what_the_other_side_made_of_it(server: ChannelServer) -> None:
    channel = Channel(server.address)
    assert [channel.call(value) for value in (1, (2, 3), "a")] == [2, (2, 3, 2, 3), "aa"]


def test_clients_do_not_get_each_other_s_answers(server: ChannelServer) -> None:
    def ask(number: int) -> bool:
        channel = Channel(server.address)
        return all(channel.call(number + i) == 2 * (number + i) for i in range(50))

    with ThreadPoolExecutor(8) as clients:
        assert all(clients.map(ask, range(0, 8000, 1000)))


def test_an_error_of_the_other_side_is_raised_here_and_the_channel_goes_on(
    server: ChannelServer,
) -> None:
    channel = Channel(server.address)
    with pytest.raises(StaleGenerationError, match="attach again"):
        channel.call("stale")
    assert channel.call(4) == 8


def test_another_process_is_called_and_its_death_is_noticed_at_once() -> None:
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve_and_die, args=(theirs,))
    process.start()
    channel = Channel(ours.recv(), timeout_s=60.0)
    assert channel.call(21) == 42
    with pytest.raises(ConnectionError, match="gone"):
        channel.call("die")
    with pytest.raises(ConnectionError):
        channel.call(1)
    process.join()


def test_an_answer_that_does_not_come_ends_the_channel() -> None:
    released = threading.Event()
    server = ChannelServer(lambda _: released.wait(), "slow")
    channel = Channel(server.address, timeout_s=0.05)
    with pytest.raises(ConnectionError, match="no answer"):
        channel.call(1)
    with pytest.raises(ConnectionError):
        channel.call(1)
    released.set()
    server.close()


def test_who_has_another_key_is_refused_and_others_are_served(server: ChannelServer) -> None:
    with pytest.raises(ConnectionError):
        Channel(replace(server.address, key=b"wrong"))
    assert Channel(server.address).call(1) == 2


def test_nobody_listens_where_nobody_does() -> None:
    with pytest.raises(ConnectionError, match="nobody listens"):
        Channel(ChannelAddress("\0sightline-test-nobody", b"key"))


def test_an_address_does_not_show_its_key(server: ChannelServer) -> None:
    assert repr(server.address.key) not in repr(server.address)
