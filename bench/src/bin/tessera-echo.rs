//! The floor under every server of this design: a shard's loop over the reactor that understands nothing and answers every frame with
//! the same bytes. What a server costs above this is what parsing, finding and answering cost. `scripts/bench` and `scripts/profile` run it
//! beside the server.

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use memchr::memmem;
use tessera_io::{BackendChoice, CloseMode, Env, Event, Listen, Options, ReactorGroup, Wait};

/// Answers every frame with the same bulk string.
#[derive(Debug, Parser)]
#[command(name = "tessera-echo", version)]
struct Args {
    /// Port of 127.0.0.1 to listen on
    #[arg(long, value_name = "N")]
    port: u16,
    /// Length of the answer, bytes
    #[arg(long, value_name = "N", default_value_t = 64)]
    data_size: usize,
}

/// What `scripts/bench` asks to learn whether a server is there.
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

fn main() -> ExitCode {
    match serve(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tessera-echo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until the reactor fails.
fn serve(args: &Args) -> Result<(), Box<dyn Error>> {
    let options = Options {
        backend: BackendChoice::Auto,
        ..Options::default()
    };
    let listen = Listen {
        tcp: vec![([127, 0, 0, 1], args.port).into()],
        ..Listen::default()
    };
    let mut group = ReactorGroup::new(1, &listen, &options)?;
    let mut reactor = group.seeds.remove(0).build()?;
    let mut answer = format!("${}\r\n", args.data_size).into_bytes();
    answer.resize(answer.len() + args.data_size, b'x');
    answer.extend_from_slice(b"\r\n");
    let between_frames = memmem::Finder::new(b"\r\n*");
    let mut events = Vec::new();
    loop {
        reactor.poll(Wait::Forever, &mut events)?;
        for event in events.drain(..) {
            match event {
                Event::Received { conn, chunk } => {
                    let mut out = reactor.buffer();
                    if &*chunk == PING {
                        out.extend_from_slice(b"+PONG\r\n");
                    } else {
                        let first = usize::from(chunk.first() == Some(&b'*'));
                        for _ in 0..first + between_frames.find_iter(&chunk).count() {
                            out.extend_from_slice(&answer);
                        }
                    }
                    reactor.send(conn, out);
                }
                Event::Closed { conn, .. } => reactor.close(conn, CloseMode::Abort),
                Event::Accepted { .. } | Event::Drained { .. } => {}
            }
        }
    }
}
