from __future__ import annotations

from actors.ingest.waiting_room import WaitingRoom


def test_with_one_place_the_newest_frame_waits():
    room: WaitingRoom[int] = WaitingRoom()
    assert [room.put("a", frame) for frame in (1, 2, 3)] == [None, 1, 2]
    assert room.put("b", 9) is None
    assert room.pop_each() == [3, 9]
    assert not room


def test_with_two_places_frames_leave_one_by_one_in_order():
    room: WaitingRoom[int] = WaitingRoom(2)
    assert [room.put("a", frame) for frame in (1, 2, 3)] == [None, None, 1]
    room.put("b", 9)
    assert (len(room), sorted(room)) == (3, [2, 3, 9])
    assert room.pop_each() == [2, 9]
    assert room.pop_each() == [3]
    assert room.pop_each() == []


def test_a_stream_without_frames_gives_none():
    room: WaitingRoom[int] = WaitingRoom(2)
    room.put("a", 1)
    assert (room.pop("b"), room.pop("a"), room.pop("a")) == (None, 1, None)
    room.put("a", 2)
    room.clear()
    assert not room
