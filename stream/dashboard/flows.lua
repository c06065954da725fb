-- What flowed in and out of one segment in some minutes or hours: those fields of KEYS[1] that are there, as text.
-- There are ten fields for each minute, most of them missing, and asking for them by a client's means takes far longer.
--
-- ARGV: the first number, the last one. Reads only.

local CAUSES = { 'event', 'timer', 'definitions', 'erasure', 'model' }
local DIRECTIONS = { 'in', 'out' }
-- A call takes so many arguments at once: Lua's stack is not endless.
local AT_ONCE = 1000

local fields, found = {}, {}

local function ask()
  local numbers = redis.call('HMGET', KEYS[1], unpack(fields))
  for i = 1, #fields do
    if numbers[i] then
      found[#found + 1] = fields[i] .. ':' .. numbers[i]
    end
  end
  fields = {}
end

for number = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  for _, cause in ipairs(CAUSES) do
    for _, direction in ipairs(DIRECTIONS) do
      fields[#fields + 1] = string.format('%.0f:%s:%s', number, cause, direction)
    end
  end
  if #fields >= AT_ONCE then
    ask()
  end
end
if #fields > 0 then
  ask()
end
return table.concat(found, ' ')
