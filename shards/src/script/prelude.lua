-- What every machine runs once before its first script: the sandbox. `raw` holds what only the machine can do; the result is what the machine needs of
-- this chunk. The chunk's own name, "=prelude", tells the error handler which frames are not the script's.
local raw = ...
local error, type, tostring, next, rawget, select = error, type, tostring, next, rawget, select
local pcall, xpcall, setfenv, loadstring, setmetatable, rawset, pairs, ipairs =
    pcall, xpcall, setfenv, loadstring, setmetatable, rawset, pairs, ipairs
local find, match, gmatch, gsub = string.find, string.match, string.gmatch, string.gsub
local collectgarbage, concat, getmetatable = collectgarbage, table.concat, getmetatable
local tonumber, unpack, math = tonumber, unpack, math

local READONLY = "Attempt to modify a readonly table"

-- Protected tables: what scripts hold is an empty table that reads through to the real one.
local real = setmetatable({}, { __mode = "k" })
local function refuse() error(READONLY, 2) end
local function protect(inner, missing)
    local outer = {}
    real[outer] = inner
    local meta = { __index = inner, __newindex = refuse }
    meta.__metatable = false
    if missing then setmetatable(inner, { __index = missing }) end
    return setmetatable(outer, meta)
end

-- What a thrown value is to a script: errors of this server's functions are values of their own until they are caught.
local function caught(value)
    if type(value) == "userdata" then value = raw.thrown(value) end
    -- A place in here is none of the script's.
    if type(value) == "string" then return (gsub(value, "^prelude:%d+: ", "")) end
    if type(value) == "table" then
        local text = rawget(value, "err")
        if type(text) == "string" then return text end
    end
    return value
end
local function settle(ok, ...)
    if ok then return ok, ... end
    return false, caught((...))
end

local globals = {
    _VERSION = _VERSION, tostring = tostring, assert = assert, error = error, gcinfo = gcinfo, ipairs = ipairs, next = next, rawequal = rawequal,
    select = select, tonumber = tonumber, type = type, unpack = unpack, getmetatable = getmetatable,
}
function globals.rawget(t, k)
    return rawget(real[t] or t, k)
end
function globals.pcall(...)
    return settle(pcall(...))
end
function globals.xpcall(f, handler)
    return settle(xpcall(f, function(value) return handler(caught(value)) end))
end
-- These two are functions of the machine: a Lua function in their place would hide the caller from the handler of errors.
globals.pairs = raw.pairs(next, real)
globals.setmetatable = raw.setmetatable(real)
function globals.rawset(t, k, v)
    if real[t] then error(READONLY, 0) end
    return rawset(t, k, v)
end
function globals.collectgarbage(what, ...)
    if what == nil or what == "collect" or what == "count" or what == "step" then return collectgarbage(what or "collect", ...) end
    if what == "stop" or what == "restart" or what == "setpause" or what == "setstepmul" then return 0 end
    local got = type(what) == "string" and "invalid option '" .. what .. "'" or "string expected, got " .. type(what)
    error("bad argument #1 to 'collectgarbage' (" .. got .. ")", 2)
end

local environment = protect(globals, function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end)
globals._G = environment

-- Source text only: the verifier of byte code can be deceived.
local function compile(text, name)
    if text:byte(1) == 27 then return nil, "attempt to load chunk with wrong mode" end
    local chunk, cause = loadstring(text, name)
    if chunk then setfenv(chunk, environment) end
    return chunk, cause
end
function globals.loadstring(text, name)
    if type(text) == "number" then text = tostring(text) end
    if type(text) ~= "string" then
        error("bad argument #1 to 'loadstring' (string expected, got " .. (text == nil and "no value" or type(text)) .. ")", 2)
    end
    return compile(text, name or text)
end
function globals.load(reader, name)
    if type(reader) ~= "function" then
        error("bad argument #1 to 'load' (function expected, got " .. (reader == nil and "no value" or type(reader)) .. ")", 2)
    end
    local pieces = {}
    while true do
        local piece = reader()
        if piece == nil or piece == "" then break end
        if type(piece) ~= "string" then return nil, "reader function must return a string" end
        pieces[#pieces + 1] = piece
    end
    return compile(concat(pieces), name or "=(load)")
end

-- The matcher recurses once per item of a pattern, on the machine's own stack, and cannot be interrupted: what may take it many steps is searched by the
-- machine's own. Each item that comes any number of times may be tried at each place of the text for each of the others.
local PATTERN_BYTES_MAX = 4096
local STEPS_MAX = 1e6
local search, byte, sub, char = raw.search, string.byte, string.sub, string.char
local function is_long(s, pattern)
    if type(pattern) == "number" then pattern = tostring(pattern) end
    if type(pattern) ~= "string" then return false end
    if #pattern > PATTERN_BYTES_MAX then error("pattern too complex", 3) end
    if type(s) ~= "string" or #s < 32 then return false end
    local steps = #s
    for at = 1, #pattern do
        local item = byte(pattern, at)
        -- * + - and the b of %b
        if item == 42 or item == 43 or item == 45 or item == 98 then
            steps = steps * #s
            if steps > STEPS_MAX then return true end
        end
    end
    return false
end
-- From where a search starts, counted from 0.
local function start_of(s, init)
    init = tonumber(init) or 1
    init = init < 0 and math.ceil(init) or math.floor(init)
    if init < 0 then init = #s + init + 1 end
    if init < 1 then return 0 end
    return init - 1 > #s and #s or init - 1
end
-- The first match: a pattern that begins with ^ is one for that place only.
local function first(s, pattern, init)
    pattern = tostring(pattern)
    local start = start_of(s, init)
    if byte(pattern) == 94 then return search(s, sub(pattern, 2), start, true) end
    return search(s, pattern, start, false)
end
local function captures_of(s, from, to, ...)
    if from == nil then return nil end
    if select("#", ...) == 0 then return sub(s, from, to) end
    return ...
end
-- What the library itself says of its arguments is told at the place of the caller; whatever else was thrown, by a function that takes the place
-- of matches, goes on as it is.
local MISTAKES = {
    "bad argument", "malformed pattern", "missing '['", "unbalanced pattern", "unfinished capture", "too many captures",
    "invalid capture index", "invalid pattern capture", "invalid replacement value",
}
local function told(name, ok, ...)
    if ok then return ... end
    local text = caught((...))
    for at = 1, type(text) == "string" and #MISTAKES or 0 do
        if find(text, MISTAKES[at], 1, true) == 1 then error((gsub(text, "'%?'", "'" .. name .. "'", 1)), 3) end
    end
    error((...), 0)
end
function string.find(s, pattern, init, plain)
    if not plain and is_long(s, pattern) then
        local found = { told("find", pcall(first, s, pattern, init)) }
        if found[1] == nil then return nil end
        return unpack(found)
    end
    return told("find", pcall(find, s, pattern, init, plain))
end
function string.match(s, pattern, init)
    if is_long(s, pattern) then return captures_of(s, told("match", pcall(first, s, pattern, init))) end
    return told("match", pcall(match, s, pattern, init))
end
function string.gmatch(s, pattern)
    if not is_long(s, pattern) then return told("gmatch", pcall(gmatch, s, pattern)) end
    pattern = tostring(pattern)
    local at = 0
    local function go_on(from, to, ...)
        if from == nil then return nil end
        at = to < from and from or to
        return captures_of(s, from, to, ...)
    end
    return function()
        if at > #s then return nil end
        return go_on(told("gmatch", pcall(search, s, pattern, at, false)))
    end
end
-- What takes the place of a match.
local function replaced(s, by, from, to, ...)
    local whole, value = sub(s, from, to), nil
    local one = select("#", ...) == 0 and whole or (...)
    if type(by) == "table" then
        value = by[one]
    elseif type(by) == "function" then
        value = by(captures_of(s, from, to, ...))
    else
        local words = { captures_of(s, from, to, ...) }
        local pieces, at = {}, 1
        while true do
            local percent = find(by, "%", at, true)
            pieces[#pieces + 1] = sub(by, at, (percent or #by + 1) - 1)
            if percent == nil then return concat(pieces) end
            local sign = byte(by, percent + 1) or 0
            if sign == 48 then
                pieces[#pieces + 1] = whole
            elseif sign > 48 and sign < 58 then
                local word = words[sign - 48]
                if word == nil then error("invalid capture index", 3) end
                pieces[#pieces + 1] = word
            else
                pieces[#pieces + 1] = char(sign)
            end
            at = percent + 2
        end
    end
    if not value then return whole end
    if type(value) ~= "string" and type(value) ~= "number" then error("invalid replacement value (a " .. type(value) .. ")", 3) end
    return value
end
function string.gsub(s, pattern, by, most)
    local kind = type(by)
    local fits = kind == "string" or kind == "number" or kind == "table" or kind == "function"
    if not fits or not is_long(s, pattern) then
        return told("gsub", pcall(gsub, s, pattern, by, most))
    end
    pattern, most = tostring(pattern), tonumber(most) or #s + 1
    if kind == "number" then by = tostring(by) end
    local once = byte(pattern) == 94
    if once then pattern = sub(pattern, 2) end
    local pieces, at, count = {}, 0, 0
    while count < most do
        local found = { told("gsub", pcall(search, s, pattern, at, once)) }
        local from, to = found[1], found[2]
        if from == nil then break end
        count = count + 1
        pieces[#pieces + 1] = sub(s, at + 1, from - 1)
        pieces[#pieces + 1] = replaced(s, by, unpack(found))
        at = to
        if to < from then
            -- Nothing was matched: the byte there stays.
            if from > #s then at = #s break end
            pieces[#pieces + 1] = sub(s, from, from)
            at = from
        end
        if once or at > #s then break end
    end
    pieces[#pieces + 1] = sub(s, at + 1)
    return concat(pieces), count
end
-- What would not fit into a machine is refused before it is begun.
local STRING_BYTES_MAX = 268435456
local rep = string.rep
function string.rep(s, n)
    local length = type(s) == "string" and #s or type(s) == "number" and #tostring(s)
    local times = tonumber(n)
    if length and times then
        if length == 0 then return "" end
        if length * times > STRING_BYTES_MAX then error("not enough memory", 0) end
    end
    return rep(s, n)
end
string.gfind = string.gmatch

-- The library's own comparison cannot be interrupted; one in Lua is like any other code.
local SORTED_AT_ONCE_MAX = 20000
local sort = table.sort
local function is_less(a, b) return a < b end
function table.sort(...)
    local t, by = ...
    if type(t) ~= "table" then
        error("bad argument #1 to 'sort' (table expected, got " .. (select("#", ...) == 0 and "no value" or type(t)) .. ")", 2)
    end
    if by ~= nil and type(by) ~= "function" then error("bad argument #2 to 'sort' (function expected, got " .. type(by) .. ")", 2) end
    if by == nil and #t > SORTED_AT_ONCE_MAX then by = is_less end
    return sort(t, by)
end

local strings = getmetatable("")
globals.string = protect(string)
strings.__index = string
strings.__metatable = protect({ __index = globals.string })
globals.table = protect(table)
globals.math = protect(math)
globals.coroutine = protect(coroutine)
for name, library in pairs(raw.libraries) do globals[name] = protect(library) end
math.random = raw.random
math.randomseed = raw.randomseed
globals.redis = protect(raw.redis)

local handler = raw.handler
globals.__redis__err__handler = handler

-- Runs a script, or a function of a library, and says how it ended.
local function run(chunk, keys, argv)
    globals.KEYS, globals.ARGV = keys, argv
    return xpcall(chunk, handler)
end
local function apply(chunk, keys, argv)
    return xpcall(function() return chunk(keys, argv) end, handler)
end

-- A library is loaded with the same globals but another `redis`, and without KEYS and ARGV.
local library_globals = {}
for name, value in pairs(globals) do library_globals[name] = value end
local running, loading = protect(raw.library_redis), protect(raw.loading_redis, function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end)
library_globals.redis = running
local library_environment = protect(library_globals, function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end)
library_globals._G = library_environment
local function compile_library(text)
    if text:byte(1) == 27 then return nil, "attempt to load chunk with wrong mode" end
    local chunk, cause = loadstring(text, "@user_function")
    if chunk then setfenv(chunk, library_environment) end
    return chunk, cause
end
local function load_library(chunk)
    library_globals.redis = loading
    local ok, cause = xpcall(chunk, handler)
    library_globals.redis = running
    return ok, cause
end

return { load_library = load_library, run = run, apply = apply, compile = compile, compile_library = compile_library }
