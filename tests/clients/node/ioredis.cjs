// What an application does through ioredis, against the server named in the environment:
// TESSERA_HOST, TESSERA_PORT, TESSERA_PASSWORD, TESSERA_SOCKET (optional).
// Prints "ok <case>" per case and ends with a non-zero code at the first that fails.
'use strict';

const assert = require('node:assert/strict');
const Redis = require('ioredis');

const { TESSERA_HOST, TESSERA_PORT, TESSERA_PASSWORD, TESSERA_SOCKET } = process.env;

function connect(options = {}) {
  const client = new Redis({
    host: TESSERA_HOST,
    port: Number(TESSERA_PORT),
    password: TESSERA_PASSWORD,
    db: 2,
    retryStrategy: () => 10,
    ...options,
  });
  client.on('error', () => {});
  return client;
}

const cases = {
  async 'connects with database and password'(r) {
    assert.equal(await r.ping(), 'PONG');
    assert.match(await r.client('INFO'), / db=2 /);
    const stranger = connect({ password: 'wrong', retryStrategy: () => null, lazyConnect: true, maxRetriesPerRequest: 0 });
    await assert.rejects(stranger.get('k'));
    stranger.disconnect();
  },

  async strings(r) {
    assert.equal(await r.set('s', 'one'), 'OK');
    assert.equal(await r.set('s', 'two', 'NX'), null);
    assert.equal(await r.set('s', 'two', 'EX', 1000, 'XX', 'GET'), 'one');
    assert.equal(await r.append('s', '!'), 4);
    assert.equal(await r.incrby('n', 42), 42);
    assert.equal(await r.incrbyfloat('f', '0.5'), '0.5');
    assert.equal(await r.getset('n', '1'), '42');
    assert.equal(await r.setrange('r', 3, 'x'), 4);
    assert.equal(await r.getdel('s'), 'two!');
  },

  async 'many keys and a pipeline'(r) {
    const keys = Array.from({ length: 1000 }, (_, n) => `many:${n}`);
    assert.equal(await r.mset(Object.fromEntries(keys.map((key, n) => [key, String(n)]))), 'OK');
    assert.deepEqual(await r.mget(keys), keys.map((_, n) => String(n)));
    const pipeline = r.pipeline();
    for (const key of keys) pipeline.incr(key);
    pipeline.set('text', 'abc').incr('text').get('text');
    const replies = await pipeline.exec();
    assert.equal(replies.length, 1003);
    replies.slice(0, 1000).forEach(([error, value], n) => {
      assert.equal(error, null);
      assert.equal(value, n + 1);
    });
    assert.match(replies[1001][0].message, /not an integer/);
    assert.deepEqual(replies[1002], [null, 'abc']);
    assert.equal(await r.del(...keys), 1000);
  },

  async 'automatic pipelining keeps order'() {
    const r = connect({ enableAutoPipelining: true });
    const values = await Promise.all(Array.from({ length: 300 }, () => r.incr('auto')));
    assert.deepEqual(values, Array.from({ length: 300 }, (_, n) => n + 1));
    r.disconnect();
  },

  async 'scan stream'(r) {
    await r.mset(Object.fromEntries(Array.from({ length: 700 }, (_, n) => [`scan:${n}`, n])));
    const seen = new Set();
    for await (const keys of r.scanStream({ match: 'scan:*', count: 50 })) keys.forEach((key) => seen.add(key));
    assert.equal(seen.size, 700);
  },

  async expiry(r) {
    await r.set('e', 1, 'PX', 1000000);
    assert.ok((await r.pttl('e')) > 0);
    assert.equal(await r.persist('e'), 1);
    assert.equal(await r.ttl('e'), -1);
    assert.equal(await r.pexpireat('e', 1), 1);
    assert.equal(await r.exists('e'), 0);
  },

  async 'errors leave the connection usable'(r) {
    await r.set('text', 'abc');
    await assert.rejects(r.incr('text'), /not an integer/);
    await assert.rejects(r.call('NOSUCH'), /unknown command/);
    await assert.rejects(r.call('GET'), /wrong number of arguments/);
    assert.equal(await r.get('text'), 'abc');
  },

  async 'binary and large values'(r) {
    const every = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
    await r.set(every, every);
    assert.deepEqual(await r.getBuffer(every), every);
    const large = Buffer.alloc(16 << 20, 'xyz\r\n');
    await r.set('large', large);
    assert.ok((await r.getBuffer('large')).equals(large));
  },

  async 'reconnects after CLIENT KILL'(r) {
    const victim = connect();
    await victim.set('k', 'before');
    const number = await victim.client('ID');
    assert.equal(await r.client('KILL', 'ID', number), 1);
    assert.equal(await victim.get('k'), 'before');
    assert.notEqual(await victim.client('ID'), number);
    victim.disconnect();
  },

  async 'unix socket'(r) {
    if (!TESSERA_SOCKET) return;
    const local = connect({ path: TESSERA_SOCKET });
    await local.set('by-socket', 'yes');
    assert.equal(await r.get('by-socket'), 'yes');
    local.disconnect();
  },
};

async function main() {
  for (const [name, run] of Object.entries(cases)) {
    const client = connect();
    await client.flushall();
    await run(client);
    client.disconnect();
    console.log('ok', name);
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
