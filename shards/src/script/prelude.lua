-- What every machine runs once before its first script: the sandbox. `raw` holds what only the machine can do; the result is what the machine needs of
-- this chunk. The chunk's own name, "=prelude", tells the error handler which frames are not the script's.
local raw = ...
local error, type, tostring, next, rawget, select = error, type, tostring, next, rawget, select
local pcall, xpcall, setfenv, loadstring, setmetatable, rawset, pairs, ipairs =
    pcall, xpcall, setfenv, loadstring, setmetatable, rawset, pairs, ipairs
local find, match, gmatch, gsub = string.find, string.match, string.gmatch, string.gsub
local collectgarbage, concat, getmetatable = collectgarbage, table.concat, getmetatable

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
    return 0
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

-- The matcher recurses once per item of a pattern, on the machine's own stack.
local PATTERN_BYTES_MAX = 4096
local function check(pattern)
    if type(pattern) == "string" and #pattern > PATTERN_BYTES_MAX then error("pattern too complex", 3) end
end
function string.find(s, pattern, ...)
    check(pattern)
    return find(s, pattern, ...)
end
function string.match(s, pattern, ...)
    check(pattern)
    return match(s, pattern, ...)
end
function string.gmatch(s, pattern, ...)
    check(pattern)
    return gmatch(s, pattern, ...)
end
-- What would not fit into a machine is refused before it is begun.
local STRING_BYTES_MAX = 268435456
local rep = string.rep
function string.rep(s, n)
    if type(s) == "string" and type(n) == "number" and #s * n > STRING_BYTES_MAX then error("not enough memory", 0) end
    return rep(s, n)
end
string.gfind = string.gmatch
function string.gsub(s, pattern, ...)
    check(pattern)
    return gsub(s, pattern, ...)
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
local function run(chunk)
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

return { load_library = load_library, run = run, apply = apply, compile = compile, compile_library = compile_library, globals = globals }
