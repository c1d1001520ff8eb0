//! Folders: that of an append-only log. What reads it is to be put in here.

use std::path::Path;

/// Why a folder cannot be looked at.
pub(super) fn refuse(path: &Path) -> String {
    format!(
        "cannot check {}: it is a folder, and those of an append-only log cannot be read by this program yet; name a snapshot file",
        path.display()
    )
}
