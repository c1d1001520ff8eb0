//! RESP, the Redis serialization protocol, versions 2 and 3: requests in, replies out, and replies back in.

mod ahead;
mod chain;
mod gathered;
mod inline;
mod parser;
mod reply;
mod room;
mod skip;
mod value;

pub use ahead::Ahead;
pub use chain::{Chain, try_append_chain};
pub use gathered::{Gathered, Part};
pub use inline::{Unbalanced, split_args};
pub use parser::{
    ARGS_INLINE, Limits, MULTIBULK_MAX, Parsed, Parser, ProtocolError, TERMINATOR_WITHIN_BYTES,
};
pub use reply::{DeferredLen, OK, Proto, Reply, ZERO, write_command};
pub use room::{OUT_OF_MEMORY, make_room, try_append, try_copy};
pub use skip::{ReplyError, Skipper, aggregate_header, skip_reply};
pub use value::{DEPTH_MAX, Value, parse_reply};
