//! RESP, the Redis serialization protocol, versions 2 and 3: requests in, replies out, replies back in.

mod inline;
mod parser;
mod reply;

pub use inline::{Unbalanced, split_args};
pub use parser::{Limits, MULTIBULK_MAX, Parsed, Parser, ProtocolError, TERMINATOR_WITHIN_BYTES};
pub use reply::{DeferredLen, OK, Proto, Reply, ZERO, write_command};
