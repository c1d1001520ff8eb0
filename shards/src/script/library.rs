//! Libraries of functions, as all shards know them.

use std::sync::Arc;

use super::shebang;

/// What a library said of a function that it registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Its name.
    pub name: Box<[u8]>,
    /// What it is for.
    pub description: Option<Box<[u8]>>,
    /// Bits of `shebang::flags`.
    pub flags: u32,
}

/// A function, and where it is.
#[derive(Clone, Debug)]
pub struct Function {
    /// What is known of it.
    pub what: Registered,
    /// The library's name.
    pub library: Box<[u8]>,
}

impl Function {
    /// Whether it never writes.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.what.flags & shebang::flags::NO_WRITES != 0
    }
}

/// A library.
#[derive(Clone, Debug)]
pub struct Library {
    /// Its name.
    pub name: Box<[u8]>,
    /// As it was loaded.
    pub source: Box<[u8]>,
    /// Without the first line.
    pub code: Arc<[u8]>,
    /// Its functions, in the order in which they were registered.
    pub functions: Vec<Registered>,
}

impl Library {
    /// A library whose code has not run yet.
    ///
    /// # Errors
    /// Redis's words about the first line.
    pub fn parse(source: &[u8]) -> Result<Self, Vec<u8>> {
        let (name, body) = shebang::of_library(source)?;
        Ok(Library {
            name,
            source: source.into(),
            code: body.into(),
            functions: Vec::new(),
        })
    }

    /// Names of a function's flags.
    pub fn flag_names(flags: u32) -> impl Iterator<Item = &'static str> {
        let is_set = move |known: &&(u32, &'static str)| flags & known.0 != 0;
        shebang::FLAGS.iter().filter(is_set).map(|(_, name)| *name)
    }
}
