"""What an application does through redis-py, against the server named in the environment.

TESSERA_HOST, TESSERA_PORT, TESSERA_PASSWORD, TESSERA_SOCKET (optional), TESSERA_PROTOCOL (2 or 3).
Prints "ok <case>" per case and ends with a non-zero code at the first that fails.
"""

import asyncio
import os
import sys
import time

import redis
import redis.asyncio

HOST = os.environ["TESSERA_HOST"]
PORT = int(os.environ["TESSERA_PORT"])
PASSWORD = os.environ["TESSERA_PASSWORD"]
SOCKET = os.environ.get("TESSERA_SOCKET")
PROTOCOL = int(os.environ["TESSERA_PROTOCOL"])
PATIENCE_S = 30


def connect(**options):
    settings = {"host": HOST, "port": PORT, "password": PASSWORD, "protocol": PROTOCOL, "db": 3}
    settings.update(options)
    return redis.Redis(**settings)


def expect_error(kind, call, *args, **options):
    try:
        result = call(*args, **options)
    except kind as error:
        return str(error)
    raise AssertionError(f"{kind.__name__} was expected, not {result!r}")


def wait_until(what, condition):
    limit = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < limit, f"waited in vain until {what}"
        time.sleep(0.005)


def case_connects_with_database_and_password(r):
    assert r.ping() is True
    assert int(r.client_info()["db"]) == 3
    assert int(r.client_info()["resp"]) == PROTOCOL
    assert r.echo("hello") == b"hello"
    error = expect_error(redis.AuthenticationError, connect(password="wrong").ping)
    assert "invalid username-password pair" in error, error
    expect_error(redis.AuthenticationError, connect(password=None).ping)


def case_strings(r):
    assert r.set("s", "one") is True
    assert r.get("s") == b"one"
    assert r.set("s", "two", nx=True) is None
    assert r.set("s", "two", xx=True, get=True) == b"one"
    assert r.append("s", "!") == 4
    assert r.getrange("s", -2, -1) == b"o!"
    assert r.setrange("s", 6, "x") == 7
    assert r.get("s") == b"two!\x00\x00x"
    assert r.strlen("s") == 7
    assert r.getdel("s") == b"two!\x00\x00x"
    assert r.get("s") is None
    assert r.incr("n") == 1
    assert r.incrby("n", 41) == 42
    assert r.decr("n", 2) == 40
    assert r.incrbyfloat("f", 1.25) == 1.25
    r.mset({"lcs1": "ohmytext", "lcs2": "mynewtext"})
    assert r.lcs("lcs1", "lcs2") == b"mytext"
    assert r.lcs("lcs1", "lcs2", len=True) == 6


def case_many_keys(r):
    values = {f"many:{n}": str(n) for n in range(1000)}
    assert r.mset(values) is True
    assert r.mget(list(values)) == [value.encode() for value in values.values()]
    assert r.mget("many:1", "missing") == [b"1", None]
    assert r.msetnx({"many:1": "x", "fresh": "y"}) is False
    assert r.exists("fresh") == 0
    assert r.exists("many:1", "many:2", "missing", "many:1") == 3
    assert r.delete(*values) == 1000
    assert r.unlink("many:1") == 0


def case_pipeline_without_transaction(r):
    pipe = r.pipeline(transaction=False)
    for n in range(500):
        pipe.set(f"p:{n}", n)
        pipe.get(f"p:{n}")
    replies = pipe.execute()
    assert replies[0::2] == [True] * 500
    assert replies[1::2] == [str(n).encode() for n in range(500)]
    pipe = r.pipeline(transaction=False)
    pipe.set("p:text", "abc").incr("p:text").get("p:text")
    replies = pipe.execute(raise_on_error=False)
    assert replies[0] is True and replies[2] == b"abc", replies
    assert isinstance(replies[1], redis.ResponseError), replies
    assert "not an integer" in str(replies[1])


def case_scan(r):
    r.flushdb()
    r.mset({f"scan:{n}": n for n in range(1500)})
    assert {f"scan:{n}".encode() for n in range(1500)} == set(r.scan_iter(count=100))
    matched = sorted(r.scan_iter(match="scan:149?", count=1000))
    assert matched == [f"scan:{n}".encode() for n in range(1490, 1500)]
    assert set(r.scan_iter(_type="list")) == set()
    assert r.dbsize() == 1500
    assert len(r.keys("scan:1*")) == 1 + 10 + 100 + 500


def case_expiry(r):
    assert r.set("e", 1, ex=1000) is True
    assert 0 < r.ttl("e") <= 1000
    assert 999_000 < r.pttl("e") + 60_000
    assert r.persist("e") is True
    assert r.ttl("e") == -1
    assert r.ttl("missing") == -2
    assert r.expireat("e", 4_000_000_000) is True
    assert r.expiretime("e") == 4_000_000_000
    assert r.expire("e", 10, nx=True) is False
    assert r.getex("e", persist=True) == b"1"
    assert r.pexpire("e", 1) is True
    wait_until("a key expires", lambda: r.get("e") is None)


def case_errors_leave_the_connection_usable(r):
    r.set("text", "abc")
    one = connect(single_connection_client=True)
    number = one.client_id()
    assert "not an integer" in expect_error(redis.ResponseError, one.incr, "text")
    assert "unknown command" in expect_error(redis.ResponseError, one.execute_command, "NOSUCH", "x")
    assert "wrong number of arguments" in expect_error(redis.ResponseError, one.execute_command, "GET")
    assert "syntax error" in expect_error(redis.ResponseError, one.execute_command, "SET", "k", "v", "ZZ")
    assert one.client_id() == number
    one.close()


def case_binary_safety(r):
    every = bytes(range(256)) * 3
    assert r.set(every, every + b"\r\n$5\r\n") is True
    assert r.get(every) == every + b"\r\n$5\r\n"
    assert every in list(r.scan_iter(count=1000))
    assert r.set("", "") is True
    assert r.get("") == b""
    text = connect(decode_responses=True)
    text.set("ключ", "значение")
    assert text.get("ключ") == "значение"


def case_large_values(r):
    block = os.urandom(1 << 20)
    large = block * 64
    assert r.set("large", large) is True
    assert r.strlen("large") == 64 << 20
    assert r.get("large") == large
    assert r.getrange("large", (63 << 20) + 5, (63 << 20) + 9) == block[5:10]
    assert r.delete("large") == 1


def case_reconnects_after_client_kill(r):
    victim = connect(single_connection_client=True, retry=None)
    victim.set("k", "before")
    assert r.client_kill_filter(_id=victim.client_id()) == 1
    expect_error(redis.ConnectionError, victim.get, "k")
    assert victim.get("k") == b"before"
    pooled = connect()
    number = pooled.client_id()
    r.client_kill_filter(_id=number)
    assert pooled.get("k") == b"before"
    assert pooled.client_id() != number


def case_unix_socket(r):
    if not SOCKET:
        return
    local = redis.Redis(unix_socket_path=SOCKET, password=PASSWORD, protocol=PROTOCOL, db=3)
    local.set("by-socket", "yes")
    assert r.get("by-socket") == b"yes"
    assert local.client_info()["addr"].startswith(SOCKET)


def case_databases_and_server(r):
    other = connect(db=5)
    r.set("m", 1)
    assert r.move("m", 5) == 1
    assert other.get("m") == b"1"
    assert other.copy("m", "m", destination_db=3) == 1
    assert r.rename("m", "m2") is True
    assert expect_error(redis.ResponseError, r.rename, "missing", "x") == "no such key"
    assert r.swapdb(3, 5)
    assert other.get("m2") == b"1"
    assert r.type("m") == "string" or r.type("m") == b"string"
    info = r.info()
    assert info["redis_version"] and info["tcp_port"] == PORT
    assert r.config_get("maxclients")["maxclients"].isdigit()
    assert r.config_set("timeout", 0) is True
    assert abs(r.time()[0] - time.time()) < 3600
    assert r.randomkey() is not None
    assert r.client_setname("named") is True
    r.set("m3", 7)
    assert r.object("encoding", "m3") in (b"int", "int")
    assert r.memory_usage("m3") > 0
    assert r.command_count() > 60
    assert "get" in r.command()


def case_asyncio(_):
    async def main():
        options = {"host": HOST, "port": PORT, "password": PASSWORD, "protocol": PROTOCOL, "db": 4}
        r = redis.asyncio.Redis(**options)
        await r.set("async", 0)
        await asyncio.gather(*(r.incr("async") for _ in range(50)))
        assert await r.get("async") == b"50"
        found = {key async for key in r.scan_iter(match="async")}
        assert found == {b"async"}
        await r.aclose()

    asyncio.run(main())


def main():
    cases = [(name, case) for name, case in globals().items() if name.startswith("case_")]
    for name, case in cases:
        r = connect()
        r.flushall()
        case(r)
        r.close()
        print("ok", name.removeprefix("case_"), flush=True)


if __name__ == "__main__":
    sys.exit(main())
