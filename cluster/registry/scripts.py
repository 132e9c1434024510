"""Lua scripts: each is one atomic step of the registry. They need Redis 6.2 or any Valkey.

All keys of a registry share its prefix; on a Redis Cluster choose a prefix with a hash tag, as in
``{sightline}``, so that they lie on one node.
"""

# A record is put together as text, because cjson turns an empty list into an object.
_RECORD = """
local function record(spec, generation, created_at, now)
  return '{"spec":' .. spec .. ',"generation":' .. generation
      .. ',"created_at":' .. created_at .. ',"updated_at":' .. now .. '}'
end
local time = redis.call('TIME')
local now = time[1] .. '.' .. string.format('%06d', time[2])
local current = redis.call('HGET', KEYS[1], ARGV[1])
local function announce()
  redis.call('PUBLISH', KEYS[3], ARGV[1])
end
local function next_generation()
  return string.format('%.0f', redis.call('INCR', KEYS[2]))
end
"""

# KEYS: table, revision, wake channel. ARGV: id, spec, largest number of entries.
CREATE = (
    _RECORD
    + """
if current then return 'exists' end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 'full' end
local made = record(ARGV[2], next_generation(), now, now)
redis.call('HSET', KEYS[1], ARGV[1], made)
announce()
return {made}
"""
)

# KEYS as above. ARGV: id, spec, expected generation or ''.
REPLACE = (
    _RECORD
    + """
if not current then return 'missing' end
local before = cjson.decode(current)
if ARGV[3] ~= '' and string.format('%.0f', before.generation) ~= ARGV[3] then return 'stale' end
local made = record(ARGV[2], next_generation(), string.format('%.6f', before.created_at), now)
redis.call('HSET', KEYS[1], ARGV[1], made)
announce()
return {made}
"""
)

# KEYS as above, then keys that go with the entry. ARGV: id, expected generation or ''.
DELETE = (
    _RECORD
    + """
if not current then return 'missing' end
if ARGV[2] ~= '' and string.format('%.0f', cjson.decode(current).generation) ~= ARGV[2] then
  return 'stale'
end
redis.call('HDEL', KEYS[1], ARGV[1])
for i = 4, #KEYS do redis.call('DEL', KEYS[i]) end
next_generation()
announce()
return {''}
"""
)

# KEYS: fence, then a lease each. ARGV: slot, time to live in ms. Returns a token each, 0 if taken.
CLAIM = """
local tokens = {}
for i = 2, #KEYS do
  local token = 0
  if redis.call('EXISTS', KEYS[i]) == 0 then
    token = redis.call('INCR', KEYS[1])
    redis.call('HSET', KEYS[i], 'slot', ARGV[1], 'token', token)
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
  end
  tokens[i - 1] = token
end
return tokens
"""

_OWNS = """
local function owns(lease, slot, token)
  local held = redis.call('HMGET', lease, 'slot', 'token')
  return held[1] == slot and held[2] == token
end
"""

# KEYS: a lease each. ARGV: slot, time to live in ms, then a token each. Returns 1 or 0 each.
RENEW = (
    _OWNS
    + """
local kept = {}
for i = 1, #KEYS do
  kept[i] = 0
  if owns(KEYS[i], ARGV[1], ARGV[i + 2]) then
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
    kept[i] = 1
  end
end
return kept
"""
)

# KEYS: wake channel, then a lease each. ARGV: slot, then a token each.
RELEASE = (
    _OWNS
    + """
local num_released = 0
for i = 2, #KEYS do
  if owns(KEYS[i], ARGV[1], ARGV[i]) then
    redis.call('DEL', KEYS[i])
    num_released = num_released + 1
  end
end
if num_released > 0 then redis.call('PUBLISH', KEYS[1], 'release') end
return num_released
"""
)

# KEYS: a lease and a status in turn. ARGV: time to live in ms, then a token and a document in turn.
PUBLISH_STATUS = """
local accepted = {}
for i = 1, #KEYS, 2 do
  local current = redis.call('HGET', KEYS[i], 'token') == ARGV[i + 1]
  if current then redis.call('SET', KEYS[i + 1], ARGV[i + 2], 'PX', ARGV[1]) end
  accepted[#accepted + 1] = current and 1 or 0
end
return accepted
"""
