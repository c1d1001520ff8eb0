//! How shards talk: messages, batches of them, and one inbox per shard.

mod batch;
mod inbox;
mod message;

pub use batch::{Batch, Recipient};
pub use inbox::Mesh;
pub use message::{
    CallFn, Item, KeyPlace, Origin, Parcel, RequestHead, Route, TakenKey, Wait, Watch,
};
