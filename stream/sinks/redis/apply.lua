-- All that the sink writes, each call a whole: it happens completely or, where it is refused, not at all.
--
-- ARGV: the keys' prefix; what to do; its request in MessagePack. Keys are named by customers and segments, so they are
-- not declared: one node has them all. docs/redis.md describes what lies where, script.py what a request holds.

local prefix, action, request = ARGV[1], ARGV[2], cmsgpack.unpack(ARGV[3])

local call = redis.call
local floor = math.floor

local META, OFFSETS, SEGMENTS = prefix .. 'meta', prefix .. 'offsets', prefix .. 'segments'
local OVERLAP, FEED, GAPS = prefix .. 'overlap', prefix .. 'feed', prefix .. 'gaps'

local LAYOUT = '1'
local ENTERED, EXITED, ERASED = 1, 2, 3
local MINUTE_MS, HOUR_MS, DAY_MS = 60000, 3600000, 86400000
local MINUTES_KEPT, HOURS_KEPT = 1440, 2160
local CHANGES_KEPT, FEED_LENGTH = 10, 10000
local KEPT_MS = 90 * DAY_MS
-- Somebody who fills, and has not written anything for so long, has gone.
local FILLING_MS = 15000
-- A call takes so many arguments at once: Lua's stack is not endless.
local AT_ONCE = 1000

local function text(number)
  return string.format('%.0f', number)
end

local function in_pieces(command, key, list)
  for first = 1, #list, AT_ONCE do
    call(command, key, unpack(list, first, math.min(first + AT_ONCE - 1, #list)))
  end
end

-- Customers ------------------------------------------------------------------------------------------------------------

local customers, in_order = {}, {}  -- those of this request: by id, and as they came

local function customer_of(id)
  local found = customers[id]
  if found then
    return found
  end
  found = { id = id, sequence = 0, segments = {}, touched = {}, changes = {}, was_erased = false }
  local fields = call('HGETALL', prefix .. 'customer:' .. id)
  for i = 1, #fields, 2 do
    local field = fields[i]
    if field == 'sequence' then
      found.sequence = tonumber(fields[i + 1])
    elseif field == 'erased' then
      found.was_erased = true
    elseif field == 'day' then
      found.day = fields[i + 1]
    elseif field == 'left' then
      found.left, found.had_left = fields[i + 1], true
    else
      found.segments[string.sub(field, 2)] = fields[i + 1]
    end
  end
  customers[id] = found
  in_order[#in_order + 1] = found
  return found
end

local overlaps = {}  -- by one and the other segment: how many more have both

local function count_overlaps(customer, segment, number)
  for other in pairs(customer.segments) do
    if other ~= segment then
      local one = segment
      if other < segment then
        one, other = other, segment
      end
      local row = overlaps[one]
      if not row then
        row = {}
        overlaps[one] = row
      end
      row[other] = (row[other] or 0) + number
    end
  end
end

-- Whether the customer was no member before.
local function enter(customer, segment, since_ms, is_held_out)
  local is_new = not customer.segments[segment]
  if is_new then
    count_overlaps(customer, segment, 1)
  end
  customer.segments[segment] = text(since_ms) .. (is_held_out and '|h' or '')
  customer.touched[segment] = true
  return is_new
end

-- Since when the customer was a member; nil for one who was not.
local function leave(customer, segment)
  local membership = customer.segments[segment]
  customer.touched[segment] = true
  if not membership then
    return nil
  end
  customer.segments[segment] = nil
  count_overlaps(customer, segment, -1)
  return tonumber(string.match(membership, '^%d+'))
end

local function leave_all(customer)
  local left = {}
  for segment in pairs(customer.segments) do
    left[#left + 1] = segment
  end
  for _, segment in ipairs(left) do
    leave(customer, segment)
  end
  return left
end

-- Writes the customer's latest changes. They are kept for so long after the last one; that is put off once a day.
local function write_changes(customer, set, today)
  local key, count = prefix .. 'changes:' .. customer.id, #customer.changes
  local length = call('LPUSH', key, unpack(customer.changes, math.max(1, count - CHANGES_KEPT + 1)))
  if length > CHANGES_KEPT then
    call('LTRIM', key, 0, CHANGES_KEPT - 1)
  end
  if length <= count or customer.day ~= today then
    call('PEXPIRE', key, KEPT_MS + DAY_MS)
    set[#set + 1] = 'day'
    set[#set + 1] = today
  end
end

local function write_customer(customer, today)
  local key = prefix .. 'customer:' .. customer.id
  if customer.forgets or customer.unknown then
    call('DEL', prefix .. 'changes:' .. customer.id)
  end
  if customer.erased_ms or customer.unknown then
    call('DEL', key)
    if customer.erased_ms then
      call('HSET', key, 'sequence', text(customer.sequence), 'erased', text(customer.erased_ms))
      call('PEXPIRE', key, KEPT_MS)
    end
    return
  end
  local set, removed = { 'sequence', text(customer.sequence) }, {}
  for segment in pairs(customer.touched) do
    local membership = customer.segments[segment]
    if membership then
      set[#set + 1] = '@' .. segment
      set[#set + 1] = membership
    else
      removed[#removed + 1] = '@' .. segment
    end
  end
  if today and #customer.changes > 0 then
    write_changes(customer, set, today)
  end
  if customer.left then
    set[#set + 1] = 'left'
    set[#set + 1] = customer.left
  elseif customer.had_left then
    removed[#removed + 1] = 'left'
  end
  call('HSET', key, unpack(set))
  if customer.was_erased then
    removed[#removed + 1] = 'erased'
    call('PERSIST', key)
  end
  if #removed > 0 then
    call('HDEL', key, unpack(removed))
  end
end

-- today: the day since the epoch, where changes are kept; nil where not.
local function write_customers(today)
  local joined, left, held_out, not_held_out, seen = {}, {}, {}, {}, {}
  local function put(lists, segment, id)
    local list = lists[segment]
    if not list then
      list = {}
      lists[segment] = list
    end
    list[#list + 1] = id
  end
  for _, customer in ipairs(in_order) do
    if customer.is_changed then
      for segment in pairs(customer.touched) do
        seen[segment] = true
        local membership = customer.segments[segment]
        put(membership and joined or left, segment, customer.id)
        local is_held_out = membership and string.sub(membership, -1) == 'h'
        put(is_held_out and held_out or not_held_out, segment, customer.id)
      end
      write_customer(customer, today)
    end
  end
  for segment in pairs(seen) do
    call('SADD', SEGMENTS, segment)
    local members, holdout = prefix .. 'segment:' .. segment .. ':members', prefix .. 'segment:' .. segment .. ':holdout'
    in_pieces('SADD', members, joined[segment] or {})
    in_pieces('SREM', members, left[segment] or {})
    in_pieces('SADD', holdout, held_out[segment] or {})
    in_pieces('SREM', holdout, not_held_out[segment] or {})
  end
  for one, row in pairs(overlaps) do
    for other, number in pairs(row) do
      if number ~= 0 then
        local pair = one .. '|' .. other
        if call('HINCRBY', OVERLAP, pair, number) == 0 then
          call('HDEL', OVERLAP, pair)
        end
      end
    end
  end
end

-- Flows ----------------------------------------------------------------------------------------------------------------

local function remove_before(key, first)
  local old = {}
  for _, field in ipairs(call('HKEYS', key)) do
    if tonumber(string.match(field, '^%d+')) < first then
      old[#old + 1] = field
    end
  end
  in_pieces('HDEL', key, old)
end

-- In which hour of the day a segment's flows are pruned: one after the other, for each takes a while.
local function hour_of(segment)
  local sum = 0
  for i = 1, #segment do
    sum = sum + string.byte(segment, i)
  end
  return sum % 24
end

-- Each segment once in 24 hours of the stream clock: what is older than the last 24 hours, or 90 days. Moves each hour.
local function prune(before_ms, now_ms)
  local before, now = floor(before_ms / HOUR_MS), floor(now_ms / HOUR_MS)
  if before == now then
    return
  end
  for hour = before - HOURS_KEPT, math.min(before, now - HOURS_KEPT - 1) do
    call('UNLINK', prefix .. 'moves:' .. text(hour))
  end
  for _, segment in ipairs(call('SMEMBERS', SEGMENTS)) do
    local latest = now - (now - hour_of(segment)) % 24
    if latest > before then
      local flow = prefix .. 'flow:' .. segment
      remove_before(flow .. ':minutes', now * 60 - MINUTES_KEPT)
      remove_before(flow .. ':hours', now - HOURS_KEPT)
    end
  end
end

local function write_counts(counts)  -- by key, by field
  for key, fields in pairs(counts) do
    for field, number in pairs(fields) do
      call('HINCRBY', key, field, number)
    end
  end
end

local function count(counts, key, field)
  local fields = counts[key]
  if not fields then
    fields = {}
    counts[key] = fields
  end
  fields[field] = (fields[field] or 0) + 1
end

-- Moves between personas --------------------------------------------------------------------------------------------------

local personas = {}  -- by segment: the persona's id, or false

local function persona_of(segment)
  local found = personas[segment]
  if found == nil then
    found = string.match(segment, '^persona_(p%d+)$') or false
    personas[segment] = found
  end
  return found
end

local moves = {}  -- by hour, by FROM>TO: how many more

local function count_move(at_ms, from, to, number)
  local hour = floor(at_ms / HOUR_MS)
  local row = moves[hour]
  if not row then
    row = {}
    moves[hour] = row
  end
  local pair = from .. '>' .. to
  row[pair] = (row[pair] or 0) + number
end

-- An exit goes to nobody, until the customer's next change turns out to be the entry that belongs to it: that may come
-- with another batch, so what was left is kept with the customer.
local function move_out(customer, persona, at_ms)
  count_move(at_ms, persona, '', 1)
  customer.left = text(at_ms) .. '|' .. persona
end

local function move_in(left, persona, at_ms)
  local left_ms, from = string.match(left or '', '^(%d+)|(.+)$')
  if tonumber(left_ms) == at_ms then
    count_move(at_ms, from, '', -1)
    count_move(at_ms, from, persona, 1)
  else
    count_move(at_ms, '', persona, 1)
  end
end

local function write_moves(now_hour)
  for hour, row in pairs(moves) do
    local key = prefix .. 'moves:' .. text(hour)
    for pair, number in pairs(row) do
      if number ~= 0 and hour >= now_hour - HOURS_KEPT and call('HINCRBY', key, pair, number) == 0 then
        call('HDEL', key, pair)
      end
    end
  end
end

local function stay_bucket(seconds)
  local length = seconds + 1
  local bucket = floor(4 * math.log(length) / math.log(2))
  -- A logarithm may be a hair off where a bucket begins.
  while 2 ^ ((bucket + 1) / 4) <= length do
    bucket = bucket + 1
  end
  while 2 ^ (bucket / 4) > length do
    bucket = bucket - 1
  end
  return bucket
end

-- Changes --------------------------------------------------------------------------------------------------------------

-- What is left elsewhere of customers who were erased.
local function forget(erased)
  local gone = {}
  for _, entry in ipairs(call('XRANGE', FEED, '-', '+')) do
    local fields = entry[2]
    for i = 1, #fields, 2 do
      if fields[i] == 'customer' and erased[fields[i + 1]] then
        gone[#gone + 1] = entry[1]
      end
    end
  end
  in_pieces('XDEL', FEED, gone)
  local customer = call('HGET', GAPS, 'last_customer')
  if customer and erased[customer] then
    call('HDEL', GAPS, 'last', 'last_customer')
  end
end

local function check_offsets(places)
  local partitions, expected = {}, {}
  for i, place in ipairs(places) do
    partitions[i], expected[i] = text(place[1]), text(place[2])
  end
  local found = call('HMGET', OFFSETS, unpack(partitions))
  for i = 1, #partitions do
    if found[i] ~= expected[i] then
      return false
    end
  end
  return true
end

-- request: topic, places {partition, offset of the first record, offset behind the last}, keep_changes, feed: whether
-- these changes are among the latest, and changes {customer, sequence, change, segment, at_ms, cause, is_held_out, json}.
local function apply()
  local meta = call('HMGET', META, 'layout', 'topic', 'filled', 'at_ms')
  if meta[1] ~= LAYOUT or meta[2] ~= request.topic or meta[3] ~= '1' or not check_offsets(request.places) then
    return { 'refused' }
  end
  local before_ms = tonumber(meta[4] or '-1')
  local now_ms, first_ms = before_ms, nil
  local applied, duplicates, gaps, unknown, last_gap = { 0, 0, 0 }, 0, 0, 0, nil
  local feed, erased, flows, stays, is_gap_forgotten = {}, nil, {}, {}, false
  for _, change in ipairs(request.changes) do
    local id, sequence, kind, segment, at_ms = change[1], change[2], change[3], change[4], change[5]
    local customer = customer_of(id)
    if sequence <= customer.sequence then
      duplicates = duplicates + 1
    else
      if sequence > customer.sequence + 1 then
        if customer.sequence > 0 then
          gaps = gaps + 1
          last_gap = { customer = id, expected = customer.sequence + 1, got = sequence, at = at_ms }
        else
          unknown = unknown + 1
        end
      end
      -- What was left just before this change; after a gap nobody knows.
      local left = sequence == customer.sequence + 1 and customer.left or nil
      customer.left = nil
      customer.sequence = sequence
      customer.is_changed = true
      applied[kind] = applied[kind] + 1
      first_ms = first_ms or at_ms
      if at_ms > now_ms then
        now_ms = at_ms
      end
      if kind == ERASED then
        for _, segment_left in ipairs(leave_all(customer)) do
          flows[#flows + 1] = { segment_left, at_ms, change[6], ':out' }
          local persona = persona_of(segment_left)
          if persona then
            count_move(at_ms, persona, '', 1)
          end
        end
        customer.erased_ms, customer.changes, customer.forgets = at_ms, {}, true
        erased = erased or {}
        erased[id] = true
        for i = 1, #feed do
          if feed[i] and feed[i][1] == id then
            feed[i] = false
          end
        end
        if last_gap and last_gap.customer == id then
          last_gap, is_gap_forgotten = nil, true
        end
      else
        customer.erased_ms = nil
        local is_moved
        if kind == ENTERED then
          is_moved = enter(customer, segment, at_ms, change[7])
        else
          local since_ms = leave(customer, segment)
          is_moved = since_ms ~= nil
          if is_moved then
            count(stays, prefix .. 'stay:' .. segment, stay_bucket(math.max(0, floor((at_ms - since_ms) / 1000))))
          end
        end
        if is_moved then
          flows[#flows + 1] = { segment, at_ms, change[6], kind == ENTERED and ':in' or ':out' }
          local persona = persona_of(segment)
          if persona and kind == ENTERED then
            move_in(left, persona, at_ms)
          elseif persona then
            move_out(customer, persona, at_ms)
          end
        end
        customer.changes[#customer.changes + 1] = change[8]
        if request.feed and change[6] ~= 'erasure' then
          feed[#feed + 1] = { id, change[8] }
        end
      end
    end
  end

  if before_ms >= 0 then
    prune(before_ms, now_ms)
  end
  local counts = {}
  local now_hour = floor(now_ms / HOUR_MS)
  for _, flow in ipairs(flows) do
    local segment, minute, hour = flow[1], floor(flow[2] / MINUTE_MS), floor(flow[2] / HOUR_MS)
    local rest = ':' .. flow[3] .. flow[4]
    if minute >= now_hour * 60 - MINUTES_KEPT then
      count(counts, prefix .. 'flow:' .. segment .. ':minutes', minute .. rest)
    end
    if hour >= now_hour - HOURS_KEPT then
      count(counts, prefix .. 'flow:' .. segment .. ':hours', hour .. rest)
    end
  end
  write_counts(counts)
  write_counts(stays)
  write_moves(now_hour)
  write_customers(request.keep_changes and tostring(floor(call('TIME')[1] / 86400)) or nil)
  if erased then
    forget(erased)
  end
  for _, entry in ipairs(feed) do
    if entry then
      call('XADD', FEED, 'MAXLEN', '~', FEED_LENGTH, '*', 'change', entry[2], 'customer', entry[1])
    end
  end
  if gaps > 0 then
    call('HINCRBY', GAPS, 'count', gaps)
  end
  if unknown > 0 then
    call('HINCRBY', GAPS, 'unknown', unknown)
  end
  if is_gap_forgotten then
    call('HDEL', GAPS, 'last', 'last_customer')
  end
  if last_gap then
    call('HSET', GAPS, 'last', cjson.encode(last_gap), 'last_customer', last_gap.customer)
  end
  if first_ms then
    call('HSET', META, 'at_ms', text(now_ms), 'definitions', request.definitions)
    call('HSETNX', META, 'history_from_ms', text(first_ms))
  end
  for _, place in ipairs(request.places) do
    call('HSET', OFFSETS, text(place[1]), text(place[3]))
  end
  return { 'applied', applied[ENTERED], applied[EXITED], applied[ERASED], duplicates, gaps, unknown }
end

-- Filling --------------------------------------------------------------------------------------------------------------

local function now_ms()
  local time = call('TIME')
  return time[1] * 1000 + floor(time[2] / 1000)
end

-- request: token, topic. From here on nothing is applied until the filling has ended.
local function begin()
  local found = call('HMGET', META, 'filling', 'filling_ms')
  if found[1] and found[1] ~= request.token and now_ms() - tonumber(found[2]) < FILLING_MS then
    return { 'refused' }
  end
  call('DEL', META, OFFSETS)
  call('HSET', META, 'layout', LAYOUT, 'topic', request.topic, 'filling', request.token, 'filling_ms', text(now_ms()))
  return { 'begun' }
end

local function is_filling()
  if call('HGET', META, 'filling') ~= request.token then
    return false
  end
  call('HSET', META, 'filling_ms', text(now_ms()))
  return true
end

-- request: token, keys: what lay there before.
local function clear()
  if not is_filling() then
    return { 'refused' }
  end
  for first = 1, #request.keys, AT_ONCE do
    call('UNLINK', unpack(request.keys, first, math.min(first + AT_ONCE - 1, #request.keys)))
  end
  return { 'cleared' }
end

-- request: token, customers {customer, sequence, memberships {segment, since_ms, is_held_out}}; a sequence below 0 is a
-- tombstone's. The latest of a customer is what holds.
local function fill()
  if not is_filling() then
    return { 'refused' }
  end
  local latest_ms = tonumber(call('HGET', META, 'at_ms') or '-1')
  for _, record in ipairs(request.customers) do
    local customer = customer_of(record[1])
    leave_all(customer)
    customer.is_changed = true
    customer.unknown = record[2] < 0
    customer.sequence = record[2]
    for _, membership in ipairs(record[3]) do
      enter(customer, membership[1], membership[2], membership[3])
      latest_ms = math.max(latest_ms, membership[2])
    end
  end
  write_customers(nil)
  if latest_ms >= 0 then
    call('HSET', META, 'at_ms', text(latest_ms))
  end
  return { 'filled' }
end

-- request: token, places {partition, offset}, is_empty: nobody had any memberships.
local function finish()
  if not is_filling() then
    return { 'refused' }
  end
  for _, place in ipairs(request.places) do
    call('HSET', OFFSETS, text(place[1]), text(place[2]))
  end
  call('HSET', META, 'filled', '1')
  call('HDEL', META, 'filling', 'filling_ms')
  if request.is_empty then
    call('HSET', META, 'history_from_ms', '0')
  end
  return { 'finished' }
end

local actions = { apply = apply, begin = begin, clear = clear, fill = fill, finish = finish }
return actions[action]()
