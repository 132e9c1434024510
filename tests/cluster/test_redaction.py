"""Credentials in texts."""

from __future__ import annotations

import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.redaction import redacted, redacted_url

SECRETS = st.text(min_size=4, max_size=40).map(lambda text: f"S3{text}cret")
PARAMETERS = st.sampled_from(
    [
        *("user", "usr", "username", "loginuse", "login", "u", "account"),
        *("pwd", "password", "passwd", "loginpas", "psw", "pw", "p", "Pass", "camera_password"),
        *("auth", "authorization", "access_token", "token", "tk", "jwt", "api_key", "secret"),
        *("X-Amz-Signature", "X-Amz-Credential", "sig", "sessionid"),
    ]
)


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
        ("http://h/?loginuse=a&loginpas=b", "http://h/?loginuse=***&loginpas=***"),
    ],
)
def test_credentials_are_replaced_and_the_rest_stays(text: str, shown: str) -> None:
    assert redacted(text) == shown
    assert redacted(shown) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://h:554/main?channel=1&subtype=0", "rtsp://h:554/main?channel=1&subtype=0"),
        ("rtsp://user:p w@h/main", "rtsp://***@h/main"),
        ("rtsp://user:p?w@h/main", "rtsp://***@h/main"),
        ("rtsp://user:p\nw@h/main", "rtsp://***@h/main"),
        ("http://h/?password=a/b c&x=1", "http://h/?password=***&x=1"),
        ("http://h/a?u=a&p=b#t=1", "http://h/a?u=***&p=***#t=1"),
        ("rtsp://h/user=a_password=b_channel=1.sdp", "rtsp://h/user=***"),
        ("file:///films/a b.mp4", "file:///films/a b.mp4"),
    ],
)
def test_of_a_url_alone_all_of_a_password_is_replaced(url: str, shown: str) -> None:
    assert redacted_url(url) == shown
    assert redacted_url(shown) == shown


@given(SECRETS, SECRETS)
def test_whatever_a_password_holds_a_url_is_shown_without_it(user: str, password: str) -> None:
    for encode in (str, lambda text: quote(text, safe="")):
        shown = redacted_url(
            f"rtsp://{encode(user)}:{encode(password)}@192.0.2.1:554/main?channel=1"
        )
        assert shown == "rtsp://***@192.0.2.1:554/main?channel=1"


@given(
    PARAMETERS, st.text(string.ascii_letters + string.digits + "-._~%+/@:!$'()*,;= ", min_size=1)
)
def test_a_secret_parameter_is_shown_without_its_value(name: str, value: str) -> None:
    for before, after in (("", ""), ("channel=1&", "&subtype=0")):
        shown = redacted_url(f"http://192.0.2.1/video.cgi?{before}{name}=S3{value}{after}")
        assert f"{name}=***" in shown or shown.startswith("http://***@")
        assert f"S3{value}" not in shown
