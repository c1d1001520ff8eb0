//! Where things built for the tests are: the server's binary and the client suites' packages.

use std::path::PathBuf;

use crate::launch::Kind;

/// The workspace's root.
#[must_use]
pub fn workspace() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}

/// Cargo's target directory, the one this test binary itself was built into.
#[must_use]
pub fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("a running program has a path");
    // <target>/<profile>/deps/<test binary>
    exe.ancestors()
        .nth(3)
        .map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The server under test: `TESSERA_SERVER`, or the release build beside this test binary.
/// `TESSERA_TEST_SERVER=redis` puts redis-server in its place, to try a suite on the oracle.
#[must_use]
pub fn server_under_test() -> (Kind, PathBuf) {
    if std::env::var("TESSERA_TEST_SERVER").is_ok_and(|kind| kind == "redis") {
        return (Kind::Redis, oracle());
    }
    if let Some(path) = std::env::var_os("TESSERA_SERVER") {
        return (Kind::Tessera, PathBuf::from(path));
    }
    let candidates = [
        target_dir().join("release/tessera-server"),
        workspace().join("target/release/tessera-server"),
    ];
    let found = candidates.iter().find(|path| path.exists());
    let path = found.unwrap_or_else(|| {
        panic!(
            "no server at {}: run scripts/test, or `cargo build --release -p tessera-server`",
            candidates[0].display()
        )
    });
    (Kind::Tessera, path.clone())
}

/// The redis-server used as oracle: `TESSERA_ORACLE`, or the one in PATH.
#[must_use]
pub fn oracle() -> PathBuf {
    std::env::var_os("TESSERA_ORACLE").map_or_else(|| PathBuf::from("redis-server"), PathBuf::from)
}

/// Where scripts/test installs the client libraries: `TESSERA_CLIENTS`, or under the target directory.
#[must_use]
pub fn clients() -> PathBuf {
    std::env::var_os("TESSERA_CLIENTS").map_or_else(|| target_dir().join("clients"), PathBuf::from)
}
