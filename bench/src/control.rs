//! A blocking connection for the commands that are not load: the handshake, INFO, what prepares a workload, what
//! disturbs one.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{RecvFlags, SendFlags};
use tessera_core::resp::{Value, parse_reply, write_command};

use crate::error::BenchError;
use crate::reply::Skipper;
use crate::tally::ErrorTally;

/// A blocking connection.
#[derive(Debug)]
pub struct Control {
    socket: OwnedFd,
    address: String,
}

impl Control {
    /// A connection on a socket that blocks.
    pub(crate) fn new(socket: OwnedFd, address: String) -> Self {
        Self { socket, address }
    }

    /// Sends one command and returns the bytes of its reply.
    ///
    /// # Errors
    /// When the connection breaks, or the reply is an error.
    pub fn call(&mut self, arguments: &[&str]) -> Result<Vec<u8>, BenchError> {
        let mut reply = Vec::new();
        self.exchange(arguments, 1, |bytes| reply.extend_from_slice(bytes))?;
        Ok(reply)
    }

    /// Sends one command and passes over its reply, however long it is.
    ///
    /// # Errors
    /// When the connection breaks, or the reply is an error.
    pub fn call_and_skip(&mut self, arguments: &[&str]) -> Result<(), BenchError> {
        self.exchange(arguments, 1, |_| {})
    }

    /// Sends many commands at once and passes over their replies.
    ///
    /// # Errors
    /// When the connection breaks, or a reply is an error.
    pub fn call_many(&mut self, commands: &[Vec<String>]) -> Result<(), BenchError> {
        let mut request = Vec::new();
        for command in commands {
            write_command(&mut request, command);
        }
        let name = commands.first().map_or("", |command| &command[0]);
        self.send_and_read(&request, name, commands.len(), |_| {})
    }

    /// Looks so many keys up at once. Says for each whether it is there.
    ///
    /// # Errors
    /// When the connection breaks, or a reply is an error.
    pub fn found(&mut self, keys: &[String]) -> Result<Vec<bool>, BenchError> {
        let (mut request, mut replies) = (Vec::new(), Vec::new());
        for key in keys {
            write_command(&mut request, &["GET", key]);
        }
        self.send_and_read(&request, "GET", keys.len(), |bytes| {
            replies.extend_from_slice(bytes);
        })?;
        let (mut found, mut rest) = (Vec::with_capacity(keys.len()), &replies[..]);
        while let Ok(Some((value, length))) = parse_reply(rest) {
            found.push(!matches!(value, Value::Null));
            rest = &rest[length..];
        }
        Ok(found)
    }

    /// Sends one command whose reply is a number, or text that is one; a null is 0.
    ///
    /// # Errors
    /// When the connection breaks, or the reply is something else.
    pub fn number(&mut self, arguments: &[&str]) -> Result<i64, BenchError> {
        let texts = self.strings(arguments)?;
        let number = match texts.as_slice() {
            [] => Some(0),
            [text] => text.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| BenchError::Refused {
            command: arguments[0].to_owned(),
            reply: "not a number".to_owned(),
        })
    }

    /// Sends one command and returns the texts and numbers of its reply, one after the other. A null has none.
    ///
    /// # Errors
    /// When the connection breaks, or the reply is an error.
    pub fn strings(&mut self, arguments: &[&str]) -> Result<Vec<String>, BenchError> {
        let reply = self.call(arguments)?;
        let mut texts = Vec::new();
        if let Ok(Some((value, _))) = parse_reply(&reply) {
            flatten(&value, &mut texts);
        }
        Ok(texts)
    }

    /// Sends one command; its reply is read by `hear`.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn say(&mut self, arguments: &[&str]) -> Result<(), BenchError> {
        let mut request = Vec::new();
        write_command(&mut request, arguments);
        send_all(&self.socket, &request).map_err(|source| self.broken(source))
    }

    /// Passes over the reply to a command of this name that was said.
    ///
    /// # Errors
    /// When the connection breaks, or the reply is an error.
    pub fn hear(&mut self, command: &str) -> Result<(), BenchError> {
        self.read(command, 1, |_| {})
    }

    fn broken(&self, source: io::Error) -> BenchError {
        BenchError::Connect {
            address: self.address.clone(),
            source,
        }
    }

    fn exchange(
        &mut self,
        arguments: &[&str],
        replies: usize,
        take: impl FnMut(&[u8]),
    ) -> Result<(), BenchError> {
        let mut request = Vec::new();
        write_command(&mut request, arguments);
        self.send_and_read(&request, arguments[0], replies, take)
    }

    fn send_and_read(
        &mut self,
        request: &[u8],
        command: &str,
        replies: usize,
        take: impl FnMut(&[u8]),
    ) -> Result<(), BenchError> {
        send_all(&self.socket, request).map_err(|source| self.broken(source))?;
        self.read(command, replies, take)
    }

    fn read(
        &mut self,
        command: &str,
        replies: usize,
        take: impl FnMut(&[u8]),
    ) -> Result<(), BenchError> {
        let mut errors = ErrorTally::default();
        let read = read_replies(&self.socket, replies, &mut errors, take);
        read.map_err(|source| self.broken(source))?;
        match errors.iter().next() {
            // The arguments, of which one may be a password, stay out of the message.
            Some((text, _)) => Err(BenchError::Refused {
                command: command.to_owned(),
                reply: text.to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// The socket, for the event loop.
    #[must_use]
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }
}

fn send_all(socket: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::net::send(socket, bytes, SendFlags::NOSIGNAL) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads `replies` replies and gives their bytes to `take`.
fn read_replies(
    socket: &OwnedFd,
    mut replies: usize,
    errors: &mut ErrorTally,
    mut take: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut skipper = Skipper::default();
    let mut buffer = [0u8; 16 * 1024];
    while replies > 0 {
        let (got, _) = match rustix::net::recv(socket, &mut buffer, RecvFlags::empty()) {
            Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        let mut input = &buffer[..got];
        while replies > 0 {
            let outcome = skipper
                .next(&mut input, errors)
                .map_err(|malformed| io::Error::new(io::ErrorKind::InvalidData, malformed.0))?;
            if outcome.is_none() {
                break;
            }
            replies -= 1;
        }
        take(&buffer[..got - input.len()]);
    }
    Ok(())
}

fn flatten(value: &Value<'_>, texts: &mut Vec<String>) {
    match value {
        Value::Map(pairs) => {
            for (name, value) in pairs {
                flatten(name, texts);
                flatten(value, texts);
            }
        }
        _ => match (value.as_elements(), value.as_integer(), value.as_bytes()) {
            (Some(elements), _, _) => elements.iter().for_each(|each| flatten(each, texts)),
            (_, Some(number), _) => texts.push(number.to_string()),
            (_, _, Some(bytes)) => texts.push(String::from_utf8_lossy(bytes).into_owned()),
            _ => {}
        },
    }
}

/// The body of a bulk or verbatim string reply.
#[must_use]
pub fn bulk_body(reply: &[u8]) -> &[u8] {
    let start = reply
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    let body = &reply[start..];
    let body = body.strip_suffix(b"\r\n").unwrap_or(body);
    if reply.first() == Some(&b'=') {
        body.get(4..).unwrap_or_default()
    } else {
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    /// A connection whose peer writes these replies, each in answer to one read.
    fn answered(replies: &'static [&'static [u8]]) -> Control {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        std::thread::spawn(move || {
            let mut request = [0u8; 4096];
            for reply in replies {
                assert!(theirs.read(&mut request).unwrap() > 0);
                theirs.write_all(reply).unwrap();
            }
        });
        Control::new(ours.into(), "test".to_owned())
    }

    #[test]
    fn texts_and_numbers_of_replies() {
        let mut control = answered(&[
            b"*3\r\n$1\r\na\r\n:5\r\n*1\r\n+b\r\n",
            b"%1\r\n+k\r\n+v\r\n",
            b"$1\r\n7\r\n",
            b"$-1\r\n",
        ]);
        assert_eq!(control.strings(&["A"]).unwrap(), ["a", "5", "b"]);
        assert_eq!(control.strings(&["B"]).unwrap(), ["k", "v"]);
        assert_eq!(control.number(&["C"]).unwrap(), 7);
        assert_eq!(control.number(&["D"]).unwrap(), 0);
    }

    #[test]
    fn one_error_among_many_replies_is_reported_after_all_of_them() {
        let mut control = answered(&[b"+OK\r\n-OOM no\r\n+OK\r\n", b"+PONG\r\n"]);
        let set = vec!["SET".to_owned(), "k".to_owned(), "v".to_owned()];
        let error = control
            .call_many(&[set.clone(), set.clone(), set])
            .unwrap_err();
        assert_eq!(error.to_string(), "the server refused SET: OOM no");
        assert_eq!(control.call(&["PING"]).unwrap(), b"+PONG\r\n");
    }
}
