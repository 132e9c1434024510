"""Take credentials out of any text that leaves the registry: answers, logs, states, metrics."""

from __future__ import annotations

import re

# Greedy to the last '@': a password may hold '/', ':' or '@' without being percent-encoded.
_USER_INFO = re.compile(r"(?<=://)\S*@")
# Cameras also take them in the path or query: ?user=a&pwd=b, /user=a_password=b_channel=1.
_PARAMETER = re.compile(
    r"(?i)((?:^|[?&/;_])(?:user(?:name)?|usr|login|\w*pass\w*|pwd|auth\w*|\w*token|\w*secret|\w*key)=)"
    r"[^&\s#/'\"]*"
)
PLACEHOLDER = "***"


def redacted(text: str) -> str:
    """The text with user, password and secret parameters of every URL in it replaced by ``***``."""
    return _PARAMETER.sub(rf"\1{PLACEHOLDER}", _USER_INFO.sub(f"{PLACEHOLDER}@", text))
