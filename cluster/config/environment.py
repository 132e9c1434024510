"""``${VAR}`` and ``${VAR:-default}`` in configuration values, so that secrets stay out of files."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"(\$\$(?=\{))|\$\{([^}]*)(\})?")
_NAME = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


class SubstitutionError(ValueError):
    """A reference is malformed, or names a variable that is not set."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message}: {remedy}")
        self.message = message
        self.remedy = remedy


def substituted(text: str, variables: Mapping[str, str]) -> str:
    """The text with its references replaced; ``$${`` stands for ``${`` itself.

    As in a shell, ``:-`` gives the default also where the variable is empty.

    Raises:
        SubstitutionError: A variable is not set, or a reference is malformed.
    """
    return _REFERENCE.sub(lambda match: _value(match, variables), text)


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    if match[1]:
        return "$"
    parts = _NAME.fullmatch(match[2])
    if match[3] is None or parts is None:
        raise SubstitutionError(
            "holds a '${' that is not a reference to a variable",
            "write ${NAME} or ${NAME:-default}, or $${ for the text itself",
        )
    value = variables.get(parts["name"])
    if parts["default"] is not None:
        return value or parts["default"]
    if value is None:
        raise SubstitutionError(
            f"the environment variable {parts['name']} is not set",
            f"set it, or write ${{{parts['name']}:-default}}",
        )
    return value
