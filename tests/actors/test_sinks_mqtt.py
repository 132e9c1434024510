"""The MQTT sink against a broker on a socket: nothing is lost, order is kept, life is announced."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.analytics.events import Event
from actors.errors import SinkError
from actors.sinks import MqttSinkSpec, Sink, open_sink
from tests.actors.builders import event, eventually
from tests.actors.mqtt_broker import CONTENT_TYPE, EXPIRY_S, IS_UTF8, MqttBroker, Published

NOT_AUTHORIZED, NO_SUBSCRIBERS = 0x87, 0x10


@pytest.fixture
def broker() -> Iterator[MqttBroker]:
    broker = MqttBroker()
    yield broker
    broker.kill()


def opened(broker: MqttBroker, tmp_path: Path, **fields: object) -> Sink:
    own = {"host": "127.0.0.1", "port": broker.port, "spool_dir": tmp_path, "timeout_s": 5}
    return open_sink(MqttSinkSpec.model_validate({**own, **fields}))


def read(messages: list[Published]) -> list[Event]:
    return [Event.from_dict(json.loads(message.payload)) for message in messages]


def numbers(messages: list[Published]) -> list[int]:
    return [int(each.id, 16) for each in read(messages)]


def without_repeats(values: list[int]) -> list[int]:
    return list(dict.fromkeys(values))


def test_each_event_is_a_message_on_a_topic_of_its_stream_and_type(broker, tmp_path):
    sink = opened(broker, tmp_path, topic_prefix="site/north", expiry_s=3600)
    written = [event(n, stream=f"cam-{n % 3}") for n in range(450)]
    sink.write(written)
    assert sink.flush(20)
    messages = broker.events()
    assert read(messages) == written
    assert messages[4].topic == "site/north/cam-1/line_cross"
    assert messages[4].user == {"schema": "1", "id": f"{4:032x}"}
    assert messages[4].properties[CONTENT_TYPE] == "application/json"
    assert messages[4].properties[EXPIRY_S] == 3600
    assert messages[4].properties[IS_UTF8] == 1
    assert {(m.qos, m.is_retained) for m in messages} == {(1, False)}
    assert sink.status().num_written == 450
    sink.close()


def test_a_client_is_announced_at_once_and_said_to_be_gone_when_it_closes(broker, tmp_path):
    sink = opened(broker, tmp_path)
    eventually(lambda: broker.statuses() == ["online"])
    sink.close()
    eventually(lambda: broker.statuses() == ["online", "offline"])
    (topic, last), *others = broker.retained.items()
    assert others == []
    assert topic.startswith("sightline/_status/sightline-")
    assert last.payload == b"offline"
    assert last.properties[EXPIRY_S] == 86_400


def test_a_client_that_lost_its_connection_while_nothing_happened_comes_back(broker, tmp_path):
    sink = opened(broker, tmp_path)
    eventually(lambda: broker.statuses() == ["online"])
    broker.drop_clients()
    eventually(lambda: broker.statuses() == ["online", "offline", "online"])
    sink.write([event(1)])
    assert sink.flush(20)
    assert numbers(broker.events()) == [1]
    sink.close()


def test_a_broker_that_is_away_at_the_start_gets_all_when_it_comes(broker, tmp_path):
    broker.kill()
    sink = opened(broker, tmp_path)
    sink.write([event(n) for n in range(500)])
    eventually(lambda: sink.status().num_spooled == 500)
    named = f"no connection to the MQTT broker 127.0.0.1:{broker.port}: "
    assert sink.status().error.startswith(named)
    assert "Connection refused" in sink.status().error
    assert not sink.status().is_connected
    broker.start()
    sink.write([event(n) for n in range(500, 600)])
    assert sink.flush(30)
    assert numbers(broker.events()) == list(range(600))
    assert sink.status().is_connected
    assert sink.status().num_dropped == 0
    sink.close()


@pytest.mark.parametrize("dies_after", [2, 77, 201])
def test_a_broker_that_dies_in_the_middle_of_a_batch_loses_nothing(broker, tmp_path, dies_after):
    broker.dies_after = dies_after
    sink = opened(broker, tmp_path)
    sink.write([event(n) for n in range(400)])
    eventually(lambda: not sink.status().is_connected)
    for n in range(400, 1000, 50):
        sink.write([event(k) for k in range(n, n + 50)])
    broker.start()
    assert sink.flush(30)
    found = numbers(broker.events())
    assert without_repeats(found) == list(range(1000))
    assert len(found) <= 1000 + 200, "no more than the batch that failed comes twice"
    assert sink.status().num_dropped == 0
    sink.close()


def test_events_that_flow_while_the_broker_comes_and_goes_stay_in_order(broker, tmp_path):
    sink = opened(broker, tmp_path)
    stop, num_written = threading.Event(), 0

    def produce() -> None:
        nonlocal num_written
        while not stop.wait(0.001):
            sink.write([event(num_written, stream=f"cam-{num_written % 4}")])
            num_written += 1

    producer = threading.Thread(target=produce)
    producer.start()
    for _ in range(3):
        num_had = len(broker.messages)
        eventually(lambda: len(broker.messages) > num_had + 50, 30)  # noqa: B023 - at once
        broker.kill()
        eventually(lambda: not sink.status().is_connected)
        broker.start()
        eventually(lambda: sink.status().is_connected, 30)
    stop.set()
    producer.join()
    assert sink.flush(30)
    assert without_repeats(numbers(broker.events())) == list(range(num_written))
    assert sink.status().num_dropped == 0
    sink.close()


def test_no_more_messages_are_unanswered_than_the_broker_allows(broker, tmp_path):
    broker.receive_maximum = 7
    sink = opened(broker, tmp_path)
    sink.write([event(n) for n in range(100)])
    assert sink.flush(20)
    assert numbers(broker.events()) == list(range(100))
    assert broker.most_unanswered == 7
    sink.close()


def test_a_broker_that_lets_nobody_in_is_named_with_its_reason_and_tried_again(broker, tmp_path):
    broker.refuses_with = NOT_AUTHORIZED
    sink = opened(broker, tmp_path)
    sink.write([event(0)])
    eventually(lambda: sink.status().error.endswith("Not authorized"))
    broker.refuses_with = 0
    assert sink.flush(20)
    assert numbers(broker.events()) == [0]
    sink.close()


def test_an_event_that_the_broker_refuses_is_not_taken_for_delivered(broker, tmp_path):
    broker.answers_with = NOT_AUTHORIZED
    sink = opened(broker, tmp_path)
    sink.write([event(n) for n in range(3)])
    eventually(lambda: sink.status().error.endswith("Not authorized"))
    assert (sink.status().num_written, sink.status().num_waiting) == (0, 3)
    broker.answers_with = 0
    assert sink.flush(20)
    assert numbers(broker.events()) == [0, 1, 2]
    sink.close()


def test_a_broker_that_never_answers_is_given_up_after_a_while(broker, tmp_path):
    sink = opened(broker, tmp_path, timeout_s=0.5)
    eventually(lambda: broker.statuses() == ["online"])
    broker.is_silent = True
    sink.write([event(n) for n in range(3)])
    eventually(lambda: "no answer within 0.5 s" in sink.status().error)
    broker.is_silent = False
    assert sink.flush(20)
    assert without_repeats(numbers(broker.events())) == [0, 1, 2]
    sink.close()


def test_that_nobody_reads_an_event_is_no_fault(broker, tmp_path):
    broker.answers_with = NO_SUBSCRIBERS
    sink = opened(broker, tmp_path)
    sink.write([event(0)])
    assert sink.flush(20)
    assert sink.status().num_written == 1
    sink.close()


def test_mqtt_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(SinkError, match=r"pip install 'sightline\[mqtt\]'"):
        open_sink(MqttSinkSpec(host="127.0.0.1", spool_dir=tmp_path))
