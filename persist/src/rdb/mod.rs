//! RDB, the snapshot format of Redis: values one by one, the payloads of DUMP and RESTORE, and whole files.
//!
//! Read: everything that Redis up to 7.4 has written (versions 1 to 12), but for the values of modules. Written: what Redis 7.0 reads (version 10), but for hashes
//! whose fields have lifetimes, which only 7.4 knows. Packed blobs of `core` have Redis's bytes and are copied. What is read may be anything: it is checked, nothing is
//! allocated that the input does not pay for, and an error says what is wrong.

mod compact;
mod dump;
mod encoder;
mod error;
mod file;
mod input;
pub mod kind;
mod limits;
mod reader;
mod stream;
#[cfg(test)]
mod tests;
mod value;
mod writer;

pub use dump::{PayloadCheck, PayloadSum, dump_footer, payload_of};
pub use encoder::Encoder;
pub use error::RdbError;
pub use file::{
    FileReader, Key, Record, Usage, file_footer, file_header, select_database, write_function,
    write_key, write_key_head,
};
pub use input::Input;
pub use limits::Limits;
pub use reader::ValueReader;
pub use value::Value;
pub use writer::ValueWriter;
