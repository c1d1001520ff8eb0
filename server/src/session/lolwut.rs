//! LOLWUT: a floor of tiles, and the version.

use tessera_core::number::parse_i64;
use tessera_shards::shard::Rng;

use crate::session::{REDIS_VERSION, Session, VERSION};

const COLUMNS_MAX: i64 = 120;
const LINES_MAX: i64 = 40;

/// Two tiles of a Truchet pattern: their lines always meet, so that a random floor becomes a maze.
const TILES: [char; 2] = ['╱', '╲'];

/// `LOLWUT [VERSION n] [columns [lines]]`. What does not fit is the default.
pub(super) fn cmd_lolwut(session: &mut Session<'_>, args: &[&[u8]]) {
    let args = match args {
        [_, word, _, rest @ ..] if word.eq_ignore_ascii_case(b"version") => rest,
        [_, rest @ ..] => rest,
        [] => &[],
    };
    let number = |at: usize, default, max| {
        args.get(at)
            .and_then(|text| parse_i64(text))
            .unwrap_or(default)
            .clamp(1, max)
    };
    let (columns, lines) = (number(0, 40, COLUMNS_MAX), number(1, 8, LINES_MAX));
    let floor = draw(columns, lines, &mut session.front.engine.shard.rng);
    let text = format!(
        "{floor}\nTessera: a thing made of tiles. Tessera ver. {VERSION}, Redis ver. {REDIS_VERSION}\n"
    );
    session.reply.verbatim(*b"txt", text.as_bytes());
}

fn draw(columns: i64, lines: i64, rng: &mut Rng) -> String {
    let mut floor = String::new();
    for _ in 0..lines {
        floor.extend((0..columns).map(|_| TILES[rng.below(2) as usize]));
        floor.push('\n');
    }
    floor
}

#[cfg(test)]
mod tests {
    use crate::session::rig::Rig;

    #[test]
    fn as_large_as_asked_for() {
        let mut rig = Rig::new();
        let lines_of = |text: &str| {
            text.lines()
                .skip(1)
                .map(|line| line.chars().count())
                .collect::<Vec<_>>()
        };
        let text = rig.send("LOLWUT version 5 3 2").replace('|', "\n");
        assert_eq!(lines_of(&text)[..3], [3, 3, 0], "{text}");
        assert!(rig.send("LOLWUT").contains("Tessera ver. "));
        assert!(rig.send("LOLWUT x 9999999").contains("Redis ver. 7.2.4\n"));
    }
}
