"""Credentials in texts."""

from __future__ import annotations

import pytest

from cluster.redaction import redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://h:554/main", "rtsp://h:554/main"),
        ("rtsp://user:pw@h/main", "rtsp://***@h/main"),
        ("rtsp://user:p/w@h/main", "rtsp://***@h/main"),
        ("rtsp://user:p@w@h/main", "rtsp://***@h/main"),
        ("http://h/cgi?channel=1&usr=a&pwd=b&x=2", "http://h/cgi?channel=1&usr=***&pwd=***&x=2"),
        ("http://h/?password=a/b c", "http://h/?password=***/b c"),
        ("rtsp://h/user=a&password=b&channel=1", "rtsp://h/user=***&password=***&channel=1"),
        ("opening rtsp://u:p@h/x failed: 401", "opening rtsp://***@h/x failed: 401"),
        ("no URL, an address a@b.example", "no URL, an address a@b.example"),
        ("http://h/?api_key=k1&stream=key", "http://h/?api_key=***&stream=key"),
    ],
)
def test_credentials_are_replaced_and_the_rest_stays(text: str, shown: str) -> None:
    assert redacted(text) == shown
    assert redacted(shown) == shown
