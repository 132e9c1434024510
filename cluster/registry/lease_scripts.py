"""Lua scripts of the leases: each is one atomic step, on the index that ``scripts`` describes.

What a slot writes is checked here, in the server: it carries the **fencing token** of its lease,
and a token that is not the lease's writes nothing. Tokens only go up, also where Redis was
restored from a copy that has forgotten some: each is at least the time in milliseconds.

``owners:{id}`` is a list, newest first, of ``<token> <claimed at, ms> <slot>``: by it the sink of
the events judges what a former owner tells late. It outlives the leases by a day.
"""

from cluster.registry.scripts import FOR_SLOT, FREE_MOVES, HEARD, INDEXED, STATE_TTL_MS, TAKERS

SWEEP_AT_MOST = 200
"""Leases that one call finds expired; the next call goes on."""

MAX_OWNERS = 16
"""Past owners of a stream that are remembered, so that late events can be judged."""

_OWNERS_TTL_MS = 86_400_000

_OWNING = (
    INDEXED
    + HEARD
    + FREE_MOVES
    + f"""
local function owns(id, token, slot)
  local held = redis.call('HMGET', key('lease', id), 'slot', 'token')
  return held[2] == token and (not slot or held[1] == slot)
end
local function newest_owner(id)
  local newest = redis.call('LINDEX', key('owners', id), 0)
  return string.match(newest or '', '^(%d+) ?%S* ?(.*)$')
end
-- Whoever lets a lease run out, or what is kept for it, gets no streams until it says again what
-- it has.
local function sweep()
  if is_grace() then return end
  local ended = redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', now_ms, 'LIMIT', 0, {SWEEP_AT_MOST})
  local freed, late = free_moves(function(_, until_ms) return until_ms <= now_ms end)
  for _, slot in ipairs(late) do redis.call('HDEL', key('loads'), slot) end
  for _, id in ipairs(ended) do
    local left_ms = redis.call('PTTL', key('lease', id))
    if left_ms >= 0 then
      redis.call('ZADD', EXPIRY, now_ms + left_ms + 1, id)
    else
      redis.call('ZREM', EXPIRY, id)
      if free_if_wanted(id) then freed = id end
      local _, slot = newest_owner(id)
      if slot then redis.call('HDEL', key('loads'), slot) end
    end
  end
  if freed then redis.call('PUBLISH', key('wake'), freed) end
end
local function extend(id, ttl_ms)
  redis.call('PEXPIRE', key('lease', id), ttl_ms)
  redis.call('ZADD', EXPIRY, now_ms + ttl_ms, id)
end
local function own(id, slot, token, ttl_ms)
  redis.call('HSET', key('lease', id), 'slot', slot, 'token', token)
  extend(id, ttl_ms)
  not_free(id)
  if newest_owner(id) ~= token then
    local claimed_at = string.format('%.0f', now_ms)
    local num = redis.call('LPUSH', key('owners', id), token .. ' ' .. claimed_at .. ' ' .. slot)
    if num > {MAX_OWNERS} then redis.call('LTRIM', key('owners', id), 0, {MAX_OWNERS - 1}) end
  end
  redis.call('PEXPIRE', key('owners', id), {_OWNERS_TTL_MS})
end
local function last_token()
  return tonumber(redis.call('GET', key('fence')) or '0')
end
local function set_last_token(token)
  redis.call('SET', key('fence'), string.format('%.0f', token))
end
local function give_up(id)
  redis.call('DEL', key('lease', id))
  redis.call('ZREM', EXPIRY, id)
  return free_if_wanted(id)
end
"""
)

# ARGV: offset, number. Free streams by importance, with what is known of each, in columns; one is
# empty where nothing is known of any.
FREE = (
    _OWNING
    + """
sweep()
local ids = redis.call('ZRANGE', FREE, ARGV[1], ARGV[1] + ARGV[2] - 1)
if #ids == 0 then return {} end
local function known(hash)
  if redis.call('HLEN', hash) == 0 then return {} end
  return redis.call('HMGET', hash, unpack(ids))
end
return {
  string.format('%.0f', now_ms), ids,
  known(WANTED), known(key('decode_costs')), known(FREE_SINCE), known(MOVES),
}
"""
)

# ARGV: slot, time to live in ms, then ids. Returns a token each, 0 where it may not have it.
CLAIM = (
    _OWNING
    + TAKERS
    + """
sweep()
local any_is_kept = redis.call('HLEN', MOVES) > 0
local function is_kept_for_another(id)
  local move = any_is_kept and redis.call('HGET', MOVES, id)
  local to, until_ms = string.match(move or '', '^(%S+) (%d+)$')
  return to and to ~= ARGV[1] and tonumber(until_ms) > now_ms and takes_streams(to)
end
local tokens, last = {}, last_token()
for i = 3, #ARGV do
  local id, token = ARGV[i], '0'
  local is_free = redis.call('ZSCORE', FREE, id) and redis.call('HEXISTS', LEFT, id) == 0
  if is_free and not is_kept_for_another(id) then
    last = math.max(last + 1, now_ms)
    token = string.format('%.0f', last)
    own(id, ARGV[1], token, tonumber(ARGV[2]))
  end
  tokens[#tokens + 1] = token
end
set_last_token(last)
return tokens
"""
)

# ARGV: slot, time to live in ms, then id and token in turn. Returns for each what became of the
# lease (kept, regained, lost) and the generation of its spec, 0 where nobody wants it to run; and
# before these in how many ms the first lease of all ends, or '', and how many streams were left.
RENEW = (
    _OWNING
    + """
local function renew(id, token)
  local ttl_ms = tonumber(ARGV[2])
  if owns(id, token, ARGV[1]) then
    extend(id, ttl_ms)
    return 'kept'
  end
  local newest = newest_owner(id)
  if redis.call('EXISTS', key('lease', id)) == 1
      or (newest and tonumber(newest) > tonumber(token)) then
    return 'lost'
  end
  set_last_token(math.max(tonumber(token), last_token()))
  own(id, ARGV[1], token, ttl_ms)
  return 'regained'
end
local found = {'', redis.call('HLEN', LEFT)}
for i = 3, #ARGV, 2 do
  found[#found + 1] = renew(ARGV[i], ARGV[i + 1])
  local wanted = redis.call('HGET', WANTED, ARGV[i])
  found[#found + 1] = wanted and string.match(wanted, '^%d+') or '0'
end
local first = redis.call('ZRANGE', EXPIRY, 0, 0, 'WITHSCORES')
if first[2] then found[1] = string.format('%.0f', first[2] - now_ms) end
return found
"""
)

# ARGV: slot, then id and token in turn. Returns how many were still held.
RELEASE = (
    _OWNING
    + """
local num_released = 0
for i = 2, #ARGV, 2 do
  if owns(ARGV[i], ARGV[i + 1], ARGV[1]) then
    give_up(ARGV[i])
    num_released = num_released + 1
    if num_released == 1 then redis.call('PUBLISH', key('wake'), ARGV[i]) end
  end
end
return num_released
"""
)

# ARGV: slot, id, token, state or '', successor or '', how long it is kept for that one in ms.
# Where nobody wants the stream to run any more, who holds it has to end it. A successor that takes
# nothing any more gets nothing: the stream is anybody's.
HAND_OVER = (
    _OWNING
    + TAKERS
    + f"""
local id = ARGV[2]
if not owns(id, ARGV[3], ARGV[1]) or redis.call('HEXISTS', WANTED, id) == 0 then return 0 end
give_up(id)
if ARGV[4] ~= '' then
  redis.call('SET', key('state', id), ARGV[4], 'PX', {STATE_TTL_MS})
  redis.call('HDEL', LEFT, id)
end
local is_kept = takes_streams(ARGV[5])
if is_kept then
  redis.call('HSET', MOVES, id, ARGV[5] .. ' ' .. string.format('%.0f', now_ms + ARGV[6]))
end
redis.call('PUBLISH', key('wake'), is_kept and '{FOR_SLOT}' .. ARGV[5] or id)
return 1
"""
)

# ARGV: id and token in turn. Returns the state of each, and forgets it.
TAKE_STATES = (
    _OWNING
    + """
local states = {}
for i = 1, #ARGV, 2 do
  local state = ''
  if owns(ARGV[i], ARGV[i + 1]) then
    state = redis.call('GET', key('state', ARGV[i])) or ''
    if state ~= '' then redis.call('DEL', key('state', ARGV[i])) end
    redis.call('HDEL', LEFT, ARGV[i])
  end
  states[#states + 1] = state
end
return states
"""
)

# ARGV: slot, time to live in ms, how many at most. The slot owns what it gets, though nobody wants
# it to run, until it says that it was ended. Returns id, token, record and state of each in turn.
TAKE_LEFT = (
    _OWNING
    + """
local found, last = {}, last_token()
local left = redis.call('HGETALL', LEFT)
for i = 1, #left, 2 do
  local id = left[i]
  local is_held = redis.call('EXISTS', key('lease', id)) == 1
  local state = not is_held and #found < 4 * ARGV[3] and redis.call('GET', key('state', id))
  if state then
    last = math.max(last + 1, now_ms)
    local token = string.format('%.0f', last)
    own(id, ARGV[1], token, tonumber(ARGV[2]))
    for _, each in ipairs({id, token, left[i + 1], state}) do found[#found + 1] = each end
  elseif redis.call('EXISTS', key('state', id)) == 0 then
    redis.call('HDEL', LEFT, id)
  end
end
set_last_token(last)
return found
"""
)

# ARGV: slot, id, token. Returns whether the slot still owned it.
END_LEFT = (
    _OWNING
    + """
local id = ARGV[2]
if not owns(id, ARGV[3], ARGV[1]) then return 0 end
redis.call('HDEL', LEFT, id)
redis.call('DEL', key('state', id))
if give_up(id) then redis.call('PUBLISH', key('wake'), id) end
return 1
"""
)

# ARGV: time to live in ms, then id, token, document, and what decoding it costs or '', in turn.
# A stream that was deleted has no status, though the slot may still be ending it.
PUBLISH_STATUS = (
    _OWNING
    + """
local accepted = {}
for i = 2, #ARGV, 4 do
  local id = ARGV[i]
  local is_current = owns(id, ARGV[i + 1]) and redis.call('HEXISTS', key('streams'), id) == 1
  if is_current then
    redis.call('SET', key('status', id), ARGV[i + 2], 'PX', ARGV[1])
    if ARGV[i + 3] ~= '' then redis.call('HSET', key('decode_costs'), id, ARGV[i + 3]) end
  end
  accepted[#accepted + 1] = is_current and 1 or 0
end
return accepted
"""
)
