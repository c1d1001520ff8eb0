// What an application does through node-redis, against the server named in the environment:
// TESSERA_HOST, TESSERA_PORT, TESSERA_PASSWORD, TESSERA_SOCKET (optional), TESSERA_PROTOCOL (2 or 3).
// Prints "ok <case>" per case and ends with a non-zero code at the first that fails.
'use strict';

const assert = require('node:assert/strict');
const { createClient, RESP_TYPES } = require('redis');

const { TESSERA_HOST, TESSERA_PORT, TESSERA_PASSWORD, TESSERA_SOCKET, TESSERA_PROTOCOL } = process.env;

async function connect(options = {}) {
  const client = createClient({
    RESP: Number(TESSERA_PROTOCOL),
    password: TESSERA_PASSWORD,
    database: 6,
    name: 'suite',
    socket: { host: TESSERA_HOST, port: Number(TESSERA_PORT), reconnectStrategy: 10 },
    ...options,
  });
  client.on('error', () => {});
  await client.connect();
  return client;
}

const cases = {
  async 'connects with database, password and name'(r) {
    assert.equal(await r.ping(), 'PONG');
    const info = await r.clientInfo();
    assert.equal(info.db, 6);
    assert.equal(info.name, 'suite');
    assert.equal(await r.clientGetName(), 'suite');
    const socket = { host: TESSERA_HOST, port: Number(TESSERA_PORT), reconnectStrategy: false };
    await assert.rejects(connect({ password: 'wrong', socket }), /WRONGPASS/);
  },

  async strings(r) {
    assert.equal(await r.set('s', 'one'), 'OK');
    assert.equal(await r.set('s', 'two', { condition: 'NX' }), null);
    assert.equal(await r.set('s', 'two', { condition: 'XX', GET: true }), 'one');
    assert.equal(await r.incrBy('n', 42), 42);
    assert.equal(await r.decr('n'), 41);
    assert.equal(await r.incrByFloat('f', 0.5), '0.5');
    assert.equal(await r.getEx('s', { type: 'EX', value: 1000 }), 'two');
    assert.equal(await r.getDel('s'), 'two');
    assert.equal(await r.get('s'), null);
  },

  async 'many keys and automatic pipelining'(r) {
    const keys = Array.from({ length: 1000 }, (_, n) => `many:${n}`);
    assert.equal(await r.mSet(keys.map((key, n) => [key, String(n)])), 'OK');
    assert.deepEqual(await r.mGet(keys), keys.map((_, n) => String(n)));
    const values = await Promise.all(keys.map(() => r.incr('counter')));
    assert.deepEqual(values, keys.map((_, n) => n + 1));
    assert.equal(await r.del(keys), 1000);
  },

  async 'scan iterator'(r) {
    await r.mSet(Array.from({ length: 700 }, (_, n) => [`scan:${n}`, String(n)]));
    const seen = new Set();
    for await (const keys of r.scanIterator({ MATCH: 'scan:*', COUNT: 50 })) keys.forEach((key) => seen.add(key));
    assert.equal(seen.size, 700);
  },

  async expiry(r) {
    await r.set('e', '1', { expiration: { type: 'PX', value: 1000000 } });
    assert.ok((await r.pTTL('e')) > 0);
    assert.equal(await r.persist('e'), 1);
    assert.equal(await r.ttl('e'), -1);
    assert.equal(await r.pExpireAt('e', 1), 1);
    assert.equal(await r.exists('e'), 0);
  },

  async 'errors leave the connection usable'(r) {
    await r.set('text', 'abc');
    await assert.rejects(r.incr('text'), /not an integer/);
    await assert.rejects(r.sendCommand(['NOSUCH']), /unknown command/);
    assert.equal(await r.get('text'), 'abc');
  },

  async 'binary and large values'(r) {
    const buffers = r.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    const every = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
    await r.set(every, every);
    assert.deepEqual(await buffers.get(every), every);
    const large = Buffer.alloc(16 << 20, 'xyz\r\n');
    await r.set('large', large);
    assert.ok((await buffers.get('large')).equals(large));
  },

  async 'reconnects after CLIENT KILL'(r) {
    const victim = await connect();
    await victim.set('k', 'before');
    const number = await victim.clientId();
    const closed = new Promise((resolve) => victim.once('reconnecting', resolve));
    assert.equal(await r.clientKill({ filter: 'ID', id: number }), 1);
    await closed;
    assert.equal(await victim.get('k'), 'before');
    assert.notEqual(await victim.clientId(), number);
    victim.destroy();
  },

  async 'unix socket'(r) {
    if (!TESSERA_SOCKET) return;
    const local = await connect({ socket: { path: TESSERA_SOCKET } });
    await local.set('by-socket', 'yes');
    assert.equal(await r.get('by-socket'), 'yes');
    local.destroy();
  },
};

async function main() {
  for (const [name, run] of Object.entries(cases)) {
    const client = await connect();
    await client.flushAll();
    await run(client);
    client.destroy();
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
