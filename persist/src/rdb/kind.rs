//! The numbers of RDB: types of values, marks between keys, forms of lengths.

/// Of the files and payloads that are written.
pub const VERSION: u16 = 10;
/// The newest that is read.
pub const VERSION_MAX: u16 = 12;
/// Of payloads with a hash whose fields have lifetimes: older servers do not know it.
pub const VERSION_FIELD_TTL: u16 = 12;

pub(crate) const STRING: u8 = 0;
pub(crate) const LIST: u8 = 1;
pub(crate) const SET: u8 = 2;
pub(crate) const ZSET: u8 = 3;
pub(crate) const HASH: u8 = 4;
pub(crate) const ZSET_2: u8 = 5;
pub(crate) const MODULE_PRE_GA: u8 = 6;
pub(crate) const MODULE_2: u8 = 7;
pub(crate) const HASH_ZIPMAP: u8 = 9;
pub(crate) const LIST_ZIPLIST: u8 = 10;
pub(crate) const SET_INTSET: u8 = 11;
pub(crate) const ZSET_ZIPLIST: u8 = 12;
pub(crate) const HASH_ZIPLIST: u8 = 13;
pub(crate) const LIST_QUICKLIST: u8 = 14;
pub(crate) const STREAM: u8 = 15;
pub(crate) const HASH_LISTPACK: u8 = 16;
pub(crate) const ZSET_LISTPACK: u8 = 17;
pub(crate) const LIST_QUICKLIST_2: u8 = 18;
pub(crate) const STREAM_2: u8 = 19;
pub(crate) const SET_LISTPACK: u8 = 20;
pub(crate) const STREAM_3: u8 = 21;
pub(crate) const HASH_TTL_PRE_GA: u8 = 22;
pub(crate) const HASH_LISTPACK_TTL_PRE_GA: u8 = 23;
pub(crate) const HASH_TTL: u8 = 24;
pub(crate) const HASH_LISTPACK_TTL: u8 = 25;

pub(crate) const SLOT_INFO: u8 = 244;
pub(crate) const FUNCTION_2: u8 = 245;
pub(crate) const FUNCTION_PRE_GA: u8 = 246;
pub(crate) const MODULE_AUX: u8 = 247;
pub(crate) const IDLE: u8 = 248;
pub(crate) const FREQ: u8 = 249;
pub(crate) const AUX: u8 = 250;
pub(crate) const RESIZE_DB: u8 = 251;
pub(crate) const EXPIRE_MS: u8 = 252;
pub(crate) const EXPIRE_S: u8 = 253;
pub(crate) const SELECT_DB: u8 = 254;
pub(crate) const EOF: u8 = 255;

/// A length in 6 bits, in 14, or in the 4 or 8 bytes that follow.
pub(crate) const LENGTH_14: u8 = 0x40;
pub(crate) const LENGTH_32: u8 = 0x80;
pub(crate) const LENGTH_64: u8 = 0x81;
/// No length but a form: an integer of 1, 2 or 4 bytes, or LZF.
pub(crate) const FORM: u8 = 0xC0;
pub(crate) const FORM_INT_8: u8 = 0;
pub(crate) const FORM_INT_16: u8 = 1;
pub(crate) const FORM_INT_32: u8 = 2;
pub(crate) const FORM_LZF: u8 = 3;

/// A node of a quicklist is one element, or a listpack.
pub(crate) const NODE_PLAIN: u64 = 1;
pub(crate) const NODE_PACKED: u64 = 2;
