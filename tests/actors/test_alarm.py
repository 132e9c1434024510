"""The alarm wakes one worker, and none that will look anyway."""

from __future__ import annotations

import threading

from actors.inference.alarm import Alarm


def test_nobody_is_woken_again_until_the_one_that_was_has_asked() -> None:
    changed, is_asleep = threading.Condition(), threading.Event()
    alarm, asked = Alarm(changed), []

    def work() -> None:
        with changed:
            is_asleep.set()
            alarm.sleep(None, 0.0)
            asked.append(alarm.is_ringing)

    worker = threading.Thread(target=work)
    worker.start()
    is_asleep.wait()
    with changed:  # which the worker gives up by falling asleep
        alarm.wake(0.2)
        assert alarm.is_ringing
        alarm.wake(0.1)
        assert not asked, "it needs the lock for that"
    worker.join()
    assert asked == [False]


def test_an_alarm_does_not_ring_where_nobody_sleeps() -> None:
    changed = threading.Condition()
    alarm = Alarm(changed)
    with changed:
        alarm.wake(0.1)
    assert not alarm.is_ringing


def test_nobody_is_woken_who_wakes_up_in_time() -> None:
    changed, is_asleep = threading.Condition(), threading.Event()
    alarm = Alarm(changed)

    def work() -> None:
        with changed:
            is_asleep.set()
            alarm.sleep(10.01, 10.0)

    worker = threading.Thread(target=work)
    worker.start()
    is_asleep.wait()
    with changed:
        alarm.wake(10.02)
        assert not alarm.is_ringing
    worker.join()
