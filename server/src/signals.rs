//! SIGTERM and SIGINT end the node in order; a second SIGINT ends it at once. SIGHUP is ignored, as by Redis.

use std::io;
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tessera_io::Waker;

use crate::ending::Asker;
use crate::shared::Shared;

/// Starts the thread that waits for signals.
///
/// # Errors
/// When the system refuses.
pub fn listen(shared: Arc<Shared>, wakers: Vec<Waker>) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let wait = move || {
        for signal in signals.forever() {
            if signal == SIGHUP {
                continue;
            }
            if signal == SIGINT && (shared.is_shutting_down() || shared.ending.is_on()) {
                tracing::warn!("You insist... exiting now.");
                std::process::exit(1);
            }
            let name = if signal == SIGINT {
                "SIGINT"
            } else {
                "SIGTERM"
            };
            tracing::warn!("Received {name} scheduling shutdown...");
            if shared.latest_config().save_rules.is_empty() || shared.loading.is_on() {
                shared.begin_shutdown();
            } else {
                shared.ending.ask(Asker::default());
            }
            wakers.iter().for_each(Waker::wake);
        }
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)?;
    Ok(())
}
