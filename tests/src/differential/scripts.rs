//! Draws of scripts: drawn commands inside scripts, with keys declared and not, and values on their way through Lua.

use super::draw::Draw;
use super::step::{Command, Judge, Step};
use super::{lists, strings};

/// The commands of this family.
pub const COMMANDS: &[&str] = &["EVAL", "EVALSHA", "EVALSHA_RO", "EVAL_RO", "SCRIPT"];

/// A script that is loaded at times, and its name.
const LOADED: (&str, &str) = (
    "return {KEYS[1], ARGV[1]}",
    "d006f1a90249474274c76f5be725b8f5804a346b",
);

/// Scripts over keys and arguments.
const CODES: &[&str] = &[
    "return {KEYS, ARGV}",
    "return {#KEYS, #ARGV, tostring(KEYS[1]), tonumber(ARGV[1])}",
    "return redis.call('mget', unpack(KEYS))",
    "for i = 1, #KEYS do redis.call('set', KEYS[i], ARGV[1]) end return redis.call('mget', unpack(KEYS))",
    "local ok, e = pcall(redis.call, 'incrby', KEYS[1], ARGV[1]) return {tostring(ok), tostring(e)}",
    "return redis.call('append', KEYS[1], ARGV[1]) + 0.5",
    "redis.call('set', KEYS[1], cjson.encode(ARGV)) return cjson.decode(redis.call('get', KEYS[1]))",
    "redis.call('set', KEYS[1], cmsgpack.pack(ARGV)) return cmsgpack.unpack(redis.call('get', KEYS[1]))",
    "return redis.pcall('lrange', KEYS[1], 0, -1)",
    "return redis.call('get', KEYS[1] .. 'x')",
    "local n = 0 for i = 1, #ARGV do n = n + #ARGV[i] end redis.call('set', 'length', n) return redis.call('get', 'length')",
    "redis.setresp(3) return {redis.call('get', 'none'), 1}",
    "return redis.error_reply(ARGV[1])",
    "return redis.status_reply(ARGV[1])",
    "return redis.sha1hex(ARGV[1])",
    "error(ARGV[1])",
    "return missing",
    "return +",
    "#!lua flags=no-writes\nreturn redis.call('set', KEYS[1], 1)",
];

/// A drawn command as a script: its words are arguments, so that its keys are declared by nobody.
fn wrapped(draw: &mut Draw) -> Option<Command> {
    let steps = if draw.rng.one_in(2) {
        strings::draw(draw)
    } else {
        lists::draw(draw)
    };
    // A step that needs another one is not torn from it: a key whose time is over stays until somebody looks.
    let [step] = <[Step; 1]>::try_from(steps).ok()?;
    let is_known = |name: &&&str| step.name() == **name;
    let is_plain = step.judge == Judge::Exact
        && !matches!(step.name().as_str(), "LPOS" | "OBJECT" | "DEBUG")
        && strings::COMMANDS
            .iter()
            .chain(lists::COMMANDS)
            .any(|name| is_known(&name));
    if !is_plain {
        return None;
    }
    let code = draw.rng.pick(&[
        "return redis.call(unpack(ARGV))",
        "return redis.pcall(unpack(ARGV))",
        "redis.call('incr', 'runs') return redis.pcall(unpack(ARGV))",
    ]);
    let mut command: Command = vec![b"EVAL".to_vec(), code.into(), b"0".to_vec()];
    command.extend(step.command);
    Some(command)
}

/// One command of this family.
pub fn draw(draw: &mut Draw) -> Vec<Step> {
    if draw.rng.one_in(2)
        && let Some(command) = wrapped(draw)
    {
        return vec![Step::exact(command)];
    }
    let name = draw.rng.pick(&[
        "EVAL",
        "EVAL",
        "EVAL",
        "EVAL_RO",
        "EVALSHA",
        "EVALSHA_RO",
        "SCRIPT",
        "SCRIPT",
    ]);
    let mut command: Command = vec![draw.cased(name)];
    match name {
        "SCRIPT" => {
            let sub = draw
                .rng
                .pick(&["EXISTS", "KILL", "NOSUCH", "LOAD", "LOAD", "FLUSH"]);
            command.push(draw.cased(sub));
            match sub {
                "EXISTS" => command.extend([draw.odd_word(), LOADED.1.into()]),
                "LOAD" => {
                    let code = draw.rng.pick(&[LOADED.0, LOADED.0, "return +", "#!lua x"]);
                    command.push(code.into());
                }
                "FLUSH" if draw.rng.one_in(2) => {
                    let how = draw.rng.pick(&["SYNC", "ASYNC", "NEVER"]);
                    command.push(draw.cased(how));
                }
                _ => {}
            }
        }
        name => {
            let code = draw.rng.pick(CODES);
            command.push(if name.starts_with("EVALSHA") {
                let sha = draw.rng.pick(&[
                    "0123456789012345678901234567890123456789",
                    "",
                    LOADED.1,
                    LOADED.1,
                ]);
                draw.cased(sha)
            } else {
                code.into()
            });
            let keys = draw.keys(4);
            command.push(match draw.rng.below(12) {
                0 => draw.integer(),
                _ => keys.len().to_string().into_bytes(),
            });
            command.extend(keys);
            for _ in 0..draw.rng.below(4) {
                command.push(draw.value());
            }
        }
    }
    vec![Step::exact(command)]
}
