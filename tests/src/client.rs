//! A connection spoken to in bytes: what is sent is exactly what was given, what comes back is
//! handed out reply by reply, or raw.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::command;
use crate::deadline::PATIENCE;
use crate::frame::FrameScan;
use crate::reply::Reply;

/// Requests up to this size fit the kernel's buffers even when the server does not read them; larger
/// ones are written by a second thread while this one reads.
const WRITTEN_AT_ONCE: usize = 32 * 1024;

/// A connection to a server.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    buffer: Vec<u8>,
    start: usize,
    scan: FrameScan,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn set_patience(&self, limit: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_read_timeout(limit)?;
                stream.set_write_timeout(limit)
            }
            Self::Unix(stream) => {
                stream.set_read_timeout(limit)?;
                stream.set_write_timeout(limit)
            }
        }
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
        })
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Unix(stream) => stream.read(into),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Unix(stream) => stream.write_all(bytes),
        }
    }
}

impl Client {
    /// Connects over TCP, without delay of small writes.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        Self::on(Stream::Tcp(stream))
    }

    /// Connects over a Unix socket.
    pub fn connect_unix(path: &Path) -> io::Result<Self> {
        Self::on(Stream::Unix(UnixStream::connect(path)?))
    }

    fn on(stream: Stream) -> io::Result<Self> {
        stream.set_patience(Some(PATIENCE))?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
            start: 0,
            scan: FrameScan::default(),
        })
    }

    /// Sets how long a read or write may wait.
    pub fn set_patience(&self, limit: Duration) {
        self.stream
            .set_patience(Some(limit))
            .expect("a non-zero limit is accepted");
    }

    /// Writes from a thread of its own, for more than the kernel's buffers hold while nobody reads. Joining the thread tells how it went.
    ///
    /// # Errors
    /// When the socket cannot be shared.
    pub fn write_aside(
        &self,
        bytes: Vec<u8>,
    ) -> io::Result<std::thread::JoinHandle<io::Result<()>>> {
        let mut stream = self.stream.try_clone()?;
        Ok(std::thread::spawn(move || stream.write_all(&bytes)))
    }

    /// Writes these bytes.
    pub fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that no more will be written.
    pub fn end_writing(&self) -> io::Result<()> {
        match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Sends one command without waiting for its reply.
    pub fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        let mut bytes = Vec::new();
        command::encode(args, &mut bytes);
        self.write_raw(&bytes).expect("the server reads");
    }

    /// The next reply's bytes; None when the server has closed the connection.
    pub fn read_frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let scanned = self.scan.advance(&self.buffer[self.start..]);
            match scanned.map_err(io::Error::other)? {
                Some(length) => {
                    let frame = self.buffer[self.start..self.start + length].to_vec();
                    self.start += length;
                    self.scan = FrameScan::default();
                    return Ok(Some(frame));
                }
                None => {
                    if self.fill()? == 0 {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
        let mut chunk = [0; 64 * 1024];
        let count = match self.stream.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
            other => other?,
        };
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(count)
    }

    /// The next reply; panics when there is none.
    #[track_caller]
    pub fn read(&mut self) -> Reply {
        match self.read_frame() {
            Ok(Some(frame)) => Reply::parse(&frame),
            Ok(None) => panic!("the connection was closed instead of a reply"),
            Err(error) => panic!("no reply: {error}"),
        }
    }

    /// Everything up to the end of the connection; panics when it does not end.
    #[track_caller]
    pub fn read_to_end(&mut self) -> Vec<u8> {
        loop {
            match self.fill() {
                Ok(0) => return self.buffer.split_off(std::mem::take(&mut self.start)),
                Ok(_) => {}
                Err(error) => panic!("the connection was not closed: {error}"),
            }
        }
    }

    /// Whether the server closes the connection within the patience, whatever it says before.
    pub fn is_closed(&mut self) -> bool {
        loop {
            match self.fill() {
                Ok(0) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// Sends a command and reads its reply; panics when the connection breaks.
    #[track_caller]
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Reply {
        match self.try_call(args) {
            Ok(reply) => reply,
            Err(error) => panic!("{} got no reply: {error}", command::show(args)),
        }
    }

    /// Sends the words of `text` as a command and reads its reply.
    #[track_caller]
    pub fn say(&mut self, text: &str) -> Reply {
        self.call(&command::words(text))
    }

    /// Sends a command and reads its reply.
    pub fn try_call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Reply> {
        let mut bytes = Vec::new();
        command::encode(args, &mut bytes);
        let mut replies = Vec::with_capacity(1);
        self.exchange(&bytes, |frame| {
            replies.push(Reply::parse(&frame));
            true
        })?;
        replies
            .pop()
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Sends all commands at once and reads as many replies.
    #[track_caller]
    pub fn pipeline<A: AsRef<[u8]>>(&mut self, commands: &[Vec<A>]) -> Vec<Reply> {
        let mut bytes = Vec::new();
        for args in commands {
            command::encode(args, &mut bytes);
        }
        let mut replies = Vec::with_capacity(commands.len());
        if commands.is_empty() {
            return replies;
        }
        self.exchange(&bytes, |frame| {
            replies.push(Reply::parse(&frame));
            replies.len() == commands.len()
        })
        .unwrap_or_else(|error| panic!("a pipeline broke: {error}"));
        assert_eq!(
            replies.len(),
            commands.len(),
            "closed in the middle of a pipeline"
        );
        replies
    }

    /// Writes `bytes` while handing each reply to `take`, until that returns true or the connection
    /// is closed.
    pub fn exchange(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(Vec<u8>) -> bool,
    ) -> io::Result<()> {
        if bytes.len() <= WRITTEN_AT_ONCE {
            // A server that closes early makes the write fail; what it said before is still there.
            let written = self.stream.write_all(bytes);
            return self
                .take_frames(&mut take)
                .and(written.or_else(closed_is_fine));
        }
        let mut writer = self.stream.try_clone()?;
        std::thread::scope(|scope| {
            let writing = scope.spawn(move || writer.write_all(bytes));
            let taken = self.take_frames(&mut take);
            let written = writing.join().expect("the writing thread does not panic");
            taken.and(written.or_else(closed_is_fine))
        })
    }

    fn take_frames(&mut self, take: &mut impl FnMut(Vec<u8>) -> bool) -> io::Result<()> {
        while let Some(frame) = self.read_frame()? {
            if take(frame) {
                break;
            }
        }
        Ok(())
    }
}

fn closed_is_fine(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Ok(()),
        _ => Err(error),
    }
}
