"""A client of a real server on which time passes as a simulation says.

The scripts of the registry ask the server for the time, and let it end leases. Here each of them
runs behind a few lines of its own language that answer for the clock, and that keep the ends of
keys beside the keys. All else is the server's, and so is its work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import redis
from redis.exceptions import NoScriptError

from cluster.registry.store import connect

# KEYS[2] is the time in microseconds. Keys whose end has come are gone before a script begins.
_CLOCK = """
local server, at_us, ENDS = redis, tonumber(KEYS[2]), KEYS[1] .. ':ends'
local at_ms = math.floor(at_us / 1000)
for _, name in ipairs(server.call('ZRANGEBYSCORE', ENDS, '-inf', at_ms)) do
  server.call('DEL', name)
  server.call('ZREM', ENDS, name)
end
local function forget(...)
  server.call('ZREM', ENDS, ...)
  return server.call('DEL', ...)
end
local function set(name, value, _, ms, only)
  local done = only and server.call('SET', name, value, only) or server.call('SET', name, value)
  if done and ms then server.call('ZADD', ENDS, at_ms + ms, name) end
  return done
end
local answers = {
  TIME = function()
    return {string.format('%.0f', math.floor(at_us / 1e6)), string.format('%.0f', at_us % 1e6)}
  end,
  PTTL = function(name)
    local ends = server.call('ZSCORE', ENDS, name)
    if ends then return ends - at_ms end
    return server.call('PTTL', name)
  end,
  PEXPIRE = function(name, ms) return server.call('ZADD', ENDS, at_ms + ms, name) end,
  DEL = forget,
  SET = set,
}
local redis = {error_reply = server.error_reply, call = function(command, ...)
  local answer = answers[command]
  if answer then return answer(...) end
  return server.call(command, ...)
end}
"""


class VirtualServer(redis.Redis):
    """A client whose scripts see another time than the server's.

    Args:
        url: Of the server.
        clock_s: Tells the time, seconds since 1970, never going back.
    """

    def __init__(self, url: str, clock_s: Callable[[], float]) -> None:
        super().__init__(connection_pool=connect(url).connection_pool)
        self._clock_s = clock_s
        self._names: dict[str, str] = {}

    def execute_command(self, *words: Any, **options: Any) -> Any:
        """Run a command; scripts with the clock's lines before them."""
        run: Any = super().execute_command
        if words[0] not in {"EVAL", "EVALSHA"}:
            return run(*words, **options)
        command, script, _, prefix, *args = words
        if command == "EVAL":
            named, script = script, _CLOCK + script
            self._names[_sha1(named)] = _sha1(script)
        elif script in self._names:
            script = self._names[script]
        else:
            raise NoScriptError
        at_us = f"{1e6 * self._clock_s():.0f}"
        return run(command, script, 2, prefix, at_us, *args, **options)


def _sha1(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
