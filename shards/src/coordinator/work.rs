//! A command that has to wait: its own copy of everything that is needed to run it later.

use smallvec::SmallVec;

use crate::mesh::{Parcel, RequestHead};

/// A request with its own arguments.
#[derive(Clone, Debug)]
pub(super) struct Parked {
    pub(super) head: RequestHead,
    pub(super) args: Vec<Box<[u8]>>,
}

impl Parked {
    pub(super) fn new(head: &RequestHead, args: &[&[u8]]) -> Self {
        Parked {
            head: *head,
            args: args.iter().map(|arg| Box::from(*arg)).collect(),
        }
    }

    pub(super) fn args(&self) -> SmallVec<[&[u8]; 8]> {
        self.args.iter().map(|arg| &**arg).collect()
    }
}

/// What waits for a lock or at the gate.
pub(super) enum Work<X> {
    /// A command.
    Command(Parked),
    /// A take, `Parcel::Take`.
    Take(Parcel<X>),
}
