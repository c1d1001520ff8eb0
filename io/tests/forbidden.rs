//! A container that forbids io_uring: epoll takes over and says so, or there is a clear error. Apart
//! from the other tests because the prohibition cannot be lifted from a thread again.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    reason = "a test may panic and asks the system"
)]

use tessera_io::{
    Backend, BackendChoice, Env, Event, Listen, Options, ReactorGroup, StartError, Wait,
};

/// Makes io_uring_setup fail with EPERM on this thread, as container runtimes do.
fn forbid_io_uring() {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let filter = [
        // The number of the call is the first word of what the filter sees.
        step(LOAD, 0, 0, 0),
        step(JUMP_EQUAL, 0, 1, libc::SYS_io_uring_setup as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the filter during the call, and only reads it; the first call makes
    // the second one legal for any user.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

fn options(backend: BackendChoice) -> Options {
    Options {
        backend,
        ..Options::default()
    }
}

#[test]
fn epoll_takes_over_where_io_uring_is_forbidden() {
    forbid_io_uring();
    let listen = Listen {
        tcp: vec![([127, 0, 0, 1], 0).into()],
        ..Listen::default()
    };
    let mut group = ReactorGroup::new(1, &listen, &options(BackendChoice::Auto)).unwrap();
    assert_eq!(group.report.backend, Backend::Epoll);
    let line = group.report.to_string();
    assert!(
        line.starts_with("epoll (io_uring is forbidden here: "),
        "{line}"
    );
    assert!(!line.contains('\n'));

    let mut reactor = group.seeds.remove(0).build().unwrap();
    let _client = std::net::TcpStream::connect(group.addresses[0]).unwrap();
    let mut events = Vec::new();
    reactor.poll(Wait::Forever, &mut events).unwrap();
    assert!(matches!(events[..], [Event::Accepted { .. }]));
}

#[test]
fn who_insists_on_io_uring_is_told_why_not() {
    forbid_io_uring();
    let error = ReactorGroup::new(1, &Listen::default(), &options(BackendChoice::Uring));
    match error.err().unwrap() {
        StartError::Uring(reason) => assert!(reason.contains("kernel.io_uring_disabled")),
        other => panic!("{other}"),
    }
}
