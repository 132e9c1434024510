"""Sinks: events arrive in order and none is lost, also when the server was away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from actors.analytics.events import Event
from actors.sinks import MqttSinkSpec, RedisSinkSpec, Sink, SinkSpec, open_sink
from actors.sinks.delivery import DeliveringSink
from actors.sinks.spool import Spool
from tests.actors.builders import Valkey, event, eventually

T0 = event(0).ts


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    server = Valkey()
    yield server
    server.kill()


def redis_spec(valkey: Valkey, tmp_path: Path, **fields: object) -> RedisSinkSpec:
    return RedisSinkSpec.model_validate(
        {"url": valkey.url, "spool_dir": tmp_path / "spool", "timeout_s": 0.5, **fields}
    )


def numbers(events: list[Event]) -> list[int]:
    return [int(e.id, 16) for e in events]


def without_repeats(values: list[int]) -> list[int]:
    return list(dict.fromkeys(values))


def test_redis_gets_flat_fields_in_order(valkey, tmp_path):
    sink = open_sink(redis_spec(valkey, tmp_path))
    written = [event(n) for n in range(1000)]
    for n in range(0, 1000, 7):
        sink.write(written[n : n + 7])
    assert sink.flush(10)
    assert valkey.events() == written
    status = sink.status()
    assert (status.num_written, status.num_waiting, status.num_dropped) == (1000, 0, 0)
    assert status.is_connected
    sink.close()


def test_the_stream_is_trimmed_to_about_its_length(valkey, tmp_path):
    sink = open_sink(redis_spec(valkey, tmp_path, max_len=100, stream="short"))
    sink.write([event(n) for n in range(2000)])
    assert sink.flush(10)
    assert 100 <= valkey.client.xlen("short") < 400
    sink.close()


def test_an_outage_loses_nothing_and_keeps_the_order(valkey, tmp_path):
    sink = open_sink(redis_spec(valkey, tmp_path))
    sink.write([event(n) for n in range(100)])
    assert sink.flush(10)
    before = numbers(valkey.events())
    valkey.kill()
    for n in range(100, 1600, 3):
        sink.write([event(k) for k in range(n, n + 3)])
    eventually(lambda: sink.status().num_spooled >= 1500)
    assert not sink.status().is_connected
    assert "events" in sink.status().error
    valkey.start()
    sink.write([event(n) for n in range(1600, 1700)])
    assert sink.flush(10)
    assert before == list(range(100))
    assert without_repeats(numbers(valkey.events())) == list(range(100, 1700))
    assert sink.status().num_dropped == 0
    assert sink.status().is_connected
    sink.close()


def test_a_server_that_goes_while_events_flow_loses_none_that_it_did_not_have(valkey, tmp_path):
    sink = open_sink(redis_spec(valkey, tmp_path))
    stop, num_written = threading.Event(), 0

    def produce() -> None:
        nonlocal num_written
        while not stop.wait(0.0005):
            sink.write([event(num_written)])
            num_written += 1

    producer = threading.Thread(target=produce)
    producer.start()
    eventually(lambda: sink.status().num_written > 50)
    had = numbers(valkey.events())
    valkey.kill()
    eventually(lambda: sink.status().num_spooled > 100)
    valkey.start()
    eventually(lambda: sink.status().is_connected)
    stop.set()
    producer.join()
    assert sink.flush(10)
    # The server forgets all when it is killed; between the last look and the kill it took more.
    after = without_repeats(numbers(valkey.events()))
    assert after == list(range(after[0], num_written))
    assert len(had) > 50
    assert sink.status().num_dropped == 0
    sink.close()


def test_events_that_wait_when_a_sink_closes_are_delivered_by_the_next_before_newer_ones(
    valkey, tmp_path
):
    valkey.kill()
    sink = open_sink(redis_spec(valkey, tmp_path))
    sink.write([event(n) for n in range(300)])
    sink.close()
    valkey.start()
    heir = open_sink(redis_spec(valkey, tmp_path))
    heir.write([event(n) for n in range(300, 310)])
    assert heir.flush(10)
    assert numbers(valkey.events()) == list(range(310))
    assert heir.status().num_written == 310
    heir.close()


def test_closing_delivers_what_is_taken(valkey, tmp_path):
    sink = open_sink(redis_spec(valkey, tmp_path))
    sink.write([event(n) for n in range(5000)])
    sink.close(60)
    assert numbers(valkey.events()) == list(range(5000))


def test_a_server_that_refuses_is_tried_again(valkey, tmp_path):
    valkey.client.set("sightline:events", "not a stream")
    sink = open_sink(redis_spec(valkey, tmp_path))
    sink.write([event(0)])
    eventually(lambda: "WRONGTYPE" in sink.status().error)
    valkey.client.delete("sightline:events")
    assert sink.flush(10)
    assert numbers(valkey.events()) == [0]
    sink.close()


def fenced_sink(valkey: Valkey, tmp_path: Path) -> Sink:
    return open_sink(redis_spec(valkey, tmp_path, fence="north"))


def claim(valkey: Valkey, token: int, slot: str, claimed_at: int, stream: str = "gate") -> None:
    valkey.client.lpush(f"north:owners:{stream}", f"{token} {claimed_at} {slot}")


def test_a_former_owner_tells_what_it_saw_before_the_next_claim_and_nothing_after(valkey, tmp_path):
    claim(valkey, 1, "slot-1", T0)
    claim(valkey, 2, "slot-2", T0 + 50)
    claim(valkey, 7, "slot-3", T0 + 80)
    sink = fenced_sink(valkey, tmp_path)
    sink.write([event(n, token=1) for n in range(0, 100, 10)])
    sink.write([event(n, token=2, slot="slot-2") for n in range(51, 100, 10)])
    sink.write([event(n, token=7, slot="slot-3") for n in range(82, 100)])
    assert sink.flush(10)
    assert numbers(valkey.events()) == [*range(0, 50, 10), 51, 61, 71, *range(82, 100)]
    assert sink.status().num_written == 26
    assert sink.status().num_fenced == 7
    assert (sink.status().num_dropped, sink.status().num_waiting) == (0, 0)
    assert sink.status().is_connected
    sink.close()


def test_a_slot_that_took_its_own_lease_back_is_not_refused_what_it_saw_meanwhile(valkey, tmp_path):
    claim(valkey, 1, "slot-1", T0)
    claim(valkey, 2, "slot-1", T0 + 50)
    sink = fenced_sink(valkey, tmp_path)
    sink.write([event(n, token=1) for n in range(100)])
    assert sink.flush(10)
    assert numbers(valkey.events()) == list(range(100))
    claim(valkey, 3, "slot-2", T0 + 120)
    claim(valkey, 4, "slot-1", T0 + 140)
    sink.write([event(n, token=2) for n in range(100, 200)])
    assert sink.flush(10)
    assert numbers(valkey.events()) == list(range(120))
    assert sink.status().num_fenced == 80
    sink.close()


def test_events_of_streams_that_nobody_claimed_and_without_a_token_are_written(valkey, tmp_path):
    claim(valkey, 9, "slot-9", T0)
    sink = fenced_sink(valkey, tmp_path)
    sink.write([event(0), event(1, token=3, stream="yard"), event(2, token=9)])
    assert sink.flush(10)
    assert numbers(valkey.events()) == [0, 1, 2]
    sink.close()


def test_the_fence_holds_for_what_waited_on_disk_and_readers_never_see_the_token(valkey, tmp_path):
    valkey.kill()
    sink = fenced_sink(valkey, tmp_path)
    sink.write([event(n, token=5) for n in range(300)])
    sink.close()
    valkey.start()
    claim(valkey, 6, "slot-2", T0 + 200)
    heir = fenced_sink(valkey, tmp_path)
    assert heir.flush(10)
    assert valkey.events() == [event(n) for n in range(200)]
    assert heir.status().num_fenced == 100
    assert "token" not in valkey.client.xrange("sightline:events", count=1)[0][1]
    heir.close()


def test_a_fenced_batch_in_order_needs_no_script_that_the_server_knows_already(valkey, tmp_path):
    claim(valkey, 1, "slot-1", T0)
    sink = fenced_sink(valkey, tmp_path)
    sink.write([event(n, token=1) for n in range(500)])
    assert sink.flush(10)
    valkey.client.script_flush()
    sink.write([event(n, token=1) for n in range(500, 1000)])
    assert sink.flush(10)
    assert numbers(valkey.events()) == list(range(1000))
    assert sink.status().num_spooled == 0
    sink.close()


class _Gate:
    """A transport that holds every batch until it is opened."""

    kind = "gate"

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()
        self.sent: list[Event] = []

    def send(self, events: list[Event]) -> int:
        self.reached.set()
        self.open.wait(10)
        self.sent += events
        return 0

    def close(self) -> None:
        pass


def test_a_full_queue_drops_the_oldest_and_counts_them(tmp_path):
    gate = _Gate()
    sink = DeliveringSink(gate, Spool(tmp_path, 2**16), max_queue=10, max_batch=5)
    sink.write([event(0)])
    assert gate.reached.wait(10)
    sink.write([event(n) for n in range(1, 31)])
    assert sink.status().num_dropped == 20
    assert sink.status().num_waiting == 11
    gate.open.set()
    assert sink.flush(10)
    sink.close()
    assert numbers(gate.sent) == [0, *range(21, 31)]


def test_damaged_lines_of_the_spool_are_counted_and_the_rest_is_delivered(tmp_path):
    gate = _Gate()
    gate.open.set()
    spool = Spool(tmp_path, 2**16)
    good = [e.to_json().encode() + b"\n" for e in (event(1), event(2))]
    spool.append([good[0], b"{}\n", b"\xff\xfe\n", good[1]])
    sink = DeliveringSink(gate, spool, max_queue=10, max_batch=5)
    assert sink.flush(10)
    assert numbers(gate.sent) == [1, 2]
    assert sink.status().num_dropped == 2
    sink.close()


def test_sinks_are_told_apart_by_kind_and_unknown_keys_are_refused():
    adapter = TypeAdapter(SinkSpec)
    spec = adapter.validate_python({"kind": "redis", "url": "redis://:secret@h:6379/0"})
    assert isinstance(spec, RedisSinkSpec)
    assert "secret" not in repr(spec)
    for wrong in ({"kind": "redis", "url": "http://h"}, {"kind": "file", "path": "x", "pth": 1}):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)


def test_a_named_spool_is_found_again_when_the_server_has_another_port(valkey, tmp_path):
    away = redis_spec(valkey, tmp_path, url="redis://127.0.0.1:1/0", spool_name="own")
    sink = open_sink(away)
    sink.write([event(n) for n in range(3)])
    sink.close()
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["own"]
    heir = open_sink(redis_spec(valkey, tmp_path, spool_name="own"))
    assert heir.flush(10)
    heir.close()
    assert numbers(valkey.events()) == [0, 1, 2]


def test_spools_lie_in_the_state_folder_where_nobody_says_otherwise(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert MqttSinkSpec(host="h").spool_dir == tmp_path / "sightline" / "spool"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert MqttSinkSpec(host="h").spool_dir == Path.home() / ".local/state/sightline/spool"
