"""Lua scripts of the desired state: each is one atomic step. They need Redis 6.2 or any Valkey.

Every script gets the registry's prefix as its one key and makes the other names from it. On a
Redis Cluster choose a prefix with a hash tag, as in ``{sightline}``, so that all lie on one node.

Beside the records the scripts keep an **index**, so that no slot has to read all streams:

- ``wanted``, hash: id of each enabled stream to ``<generation> <rank> <need>``. The need is JSON
  that only Python reads (``index.py``), the rank that of its class, 0 for the most important.
- ``free``, sorted set by rank: those of them that have no lease. ``free_since``, hash: id to ms.
- ``expiry``, sorted set: leased streams by the ms at which the lease ends.
- ``left``, hash: id of each stream that was switched off or deleted while nobody held it, though
  there is a ``state`` of it, to the record with which it ran: a slot ends what is open in it.
- ``index``: the revision that the index is of. Where it is not the current one, a version that
  knows no index has written, and every script asks to build it anew (``STALEINDEX``).
"""

FOR_SLOT = ">"
"""Begins a call on ``wake`` for one slot, which its name follows; no stream has such a name."""

NAMES = """
local prefix = KEYS[1]
local function key(name, id)
  return prefix .. ':' .. name .. (id and (':' .. id) or '')
end
local FREE, FREE_SINCE, MOVES = key('free'), key('free_since'), key('moves')
local WANTED, EXPIRY, LEFT = key('wanted'), key('expiry'), key('left')
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local function not_free(id)
  redis.call('ZREM', FREE, id)
  redis.call('HDEL', FREE_SINCE, id)
  redis.call('HDEL', MOVES, id)
end
local function free_if_wanted(id)
  local wanted = redis.call('HGET', WANTED, id)
  if not wanted then return false end
  redis.call('ZADD', FREE, string.match(wanted, '^%d+ (%d+)'), id)
  redis.call('HSETNX', FREE_SINCE, id, now_ms)
  return true
end
-- An empty need: nobody wants the stream to run.
local function want(id, generation, need)
  if need == '' then
    redis.call('HDEL', WANTED, id)
    return not_free(id)
  end
  redis.call('HSET', WANTED, id, generation .. ' ' .. need)
  local left_ms = redis.call('PTTL', key('lease', id))
  if left_ms < 0 then return free_if_wanted(id) end
  redis.call('ZADD', EXPIRY, 'NX', now_ms + left_ms, id)
end
"""

# All leases end while Redis is away, though their slots run on. So where no slot was heard of for
# a while, who comes first gives the others 2.5 s to renew before it takes what has ended; once in
# 10 s at most, so that slots which are slow for another reason still take it.
HEARD = """
local heard_ms = tonumber(redis.call('GET', key('heard')) or now_ms)
redis.call('SET', key('heard'), string.format('%.0f', now_ms))
if now_ms - heard_ms > 2000 then redis.call('SET', key('grace'), '1', 'PX', 10000, 'NX') end
local function is_grace()
  return redis.call('PTTL', key('grace')) > 7500
end
"""

# A slot that has ended, is silent, drains or is not ready claims nothing: nothing is kept for it.
TAKERS = """
local function takes_streams(slot)
  local until_ms, load = string.match(redis.call('HGET', key('loads'), slot) or '', '^(%d+) (.*)$')
  return until_ms and tonumber(until_ms) > now_ms
      and not string.find(load, '"draining":true', 1, true)
      and not string.find(load, '"ready":false', 1, true)
end
"""

# What is kept for slots, where `is_over` says so of the slot and the end of its time, is anybody's.
# Returns one of these streams, to call all slots with, or nil, and for which slots they were kept.
FREE_MOVES = """
local function free_moves(is_over)
  local moves, freed, slots = redis.call('HGETALL', MOVES), nil, {}
  for i = 1, #moves, 2 do
    local slot, until_ms = string.match(moves[i + 1], '^(%S+) (%d+)$')
    if is_over(slot, tonumber(until_ms)) then
      redis.call('HDEL', MOVES, moves[i])
      freed = moves[i]
      slots[#slots + 1] = slot
    end
  end
  return freed, slots
end
"""

INDEXED = (
    NAMES
    + """
local versions = redis.call('MGET', key('index'), key('revision'))
if versions[1] ~= versions[2] then
  return redis.error_reply('STALEINDEX the index is of another revision')
end
"""
)

STATE_TTL_MS = 86_400_000
"""What is open in the rules of a stream that nobody takes ends when somebody does, within a day."""

# A record is put together as text, because cjson turns an empty list into an object.
_TABLE = (
    INDEXED
    + f"local STATE_TTL_MS = {STATE_TTL_MS}"
    + """
local records, id, is_stream = key(ARGV[1]), ARGV[2], ARGV[1] == 'streams'
local now = time[1] .. '.' .. string.format('%06d', time[2])
local current = redis.call('HGET', records, id)
local function leave()
  if redis.call('EXISTS', key('state', id)) == 0 then return end
  redis.call('HSETNX', LEFT, id, current)
  redis.call('PEXPIRE', LEFT, STATE_TTL_MS)
end
local function next_generation()
  local generation = string.format('%.0f', redis.call('INCR', key('revision')))
  redis.call('SET', key('index'), generation)
  redis.call('PUBLISH', key('wake'), id)
  return generation
end
local function write(spec, created_at, need)
  local generation = next_generation()
  local made = '{"spec":' .. spec .. ',"generation":' .. generation
      .. ',"created_at":' .. created_at .. ',"updated_at":' .. now .. '}'
  redis.call('HSET', records, id, made)
  if is_stream then want(id, generation, need) end
  return {made}
end
"""
)

# ARGV: table, id, spec, need, largest number of entries.
CREATE = (
    _TABLE
    + """
if current then return 'exists' end
if redis.call('HLEN', records) >= tonumber(ARGV[5]) then return 'full' end
return write(ARGV[3], now, ARGV[4])
"""
)

# ARGV: table, id, spec, need, expected generation or ''.
REPLACE = (
    _TABLE
    + """
if not current then return 'missing' end
local before = cjson.decode(current)
if ARGV[5] ~= '' and string.format('%.0f', before.generation) ~= ARGV[5] then return 'stale' end
if is_stream and ARGV[4] == '' then leave() end
return write(ARGV[3], string.format('%.6f', before.created_at), ARGV[4])
"""
)

# ARGV: table, id, expected generation or ''. What was seen of a stream goes with it, but for what
# has to be ended yet.
DELETE = (
    _TABLE
    + """
if not current then return 'missing' end
if ARGV[3] ~= '' and string.format('%.0f', cjson.decode(current).generation) ~= ARGV[3] then
  return 'stale'
end
redis.call('HDEL', records, id)
if is_stream then
  want(id, '', '')
  leave()
  redis.call('DEL', key('status', id))
  redis.call('HDEL', key('decode_costs'), id)
end
next_generation()
return {''}
"""
)

# ARGV: revision, then id, generation and need of each stream. 0 where there is a newer revision.
REINDEX = (
    NAMES
    + """
local revision = redis.call('GET', key('revision'))
if (revision or '') ~= ARGV[1] then return 0 end
local since = redis.call('HGETALL', FREE_SINCE)
redis.call('DEL', WANTED, FREE)
for i = 2, #ARGV, 3 do want(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
for i = 1, #since, 2 do
  if not redis.call('ZSCORE', FREE, since[i]) then not_free(since[i]) end
end
if revision then redis.call('SET', key('index'), revision) else redis.call('DEL', key('index')) end
return 1
"""
)
