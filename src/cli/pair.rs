//! The arguments of `echolog server` and `echolog client`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::pair::{Client, Ports, Server};

const SERVER_EXAMPLES: &str = "\
Examples:
  echolog server 12345                    serve one client on port 12345
  echolog server 10000-20000              on the first free port of these
  echolog server 0 --bind 127.0.0.1       on any free port, on loopback only
  echolog server 12345 --allow 192.168.1.4

The session ends when the client says quit: the log of all messages goes back to
it, and the server ends with exit code 0. A client that leaves in any other way
is an error. nc and telnet work as clients too.

The log is kept in memory while it is small, and else in an unnamed file in
TMPDIR (/tmp where that is not set).";

const CLIENT_EXAMPLES: &str = "\
Examples:
  echolog client 192.168.1.3 12345        type messages; quit (or Ctrl-D) ends
  echolog client 192.168.1.3 12345 --script messages.txt --save-log log.txt
  date | echolog client localhost 12345   send what a command prints
  echolog client ::1 12345 --wait 30      wait for the server to come up

A message is one line. A carriage return before the line end does not count.
Exit code 0 says that the whole log came back as it was sent; the client has
checked it.";

#[derive(Debug, Args)]
#[command(after_help = SERVER_EXAMPLES)]
pub struct ServerArgs {
    /// Port to listen on: 1 to 65535, a range like 10000-20000 for its first free one, or 0 for any
    /// free one; asked for when left out
    #[arg(value_name = "PORT")]
    ports: Option<Ports>,

    /// Address to listen at; by default every address, IPv4 and IPv6
    #[arg(long, value_name = "ADDR")]
    bind: Option<String>,

    /// Take a connection from this address only; may be given several times
    #[arg(long, value_name = "ADDR")]
    allow: Vec<IpAddr>,

    /// Longest message; K, M and G stand for powers of 1024
    #[arg(long, value_name = "BYTES", default_value = "1M", value_parser = message_size)]
    max_message: usize,

    /// Largest log, line ends included; K, M and G stand for powers of 1024
    #[arg(long, value_name = "BYTES", default_value = "1G", value_parser = size)]
    max_log: u64,
}

impl From<ServerArgs> for Server {
    fn from(args: ServerArgs) -> Self {
        let ServerArgs { ports, bind, allow, max_message, max_log } = args;
        Server { ports, bind, allow, max_message, max_log }
    }
}

#[derive(Debug, Args)]
#[command(after_help = CLIENT_EXAMPLES)]
pub struct ClientArgs {
    /// Server's name or address, IPv4 or IPv6; asked for when left out
    host: Option<String>,

    /// Server's port, 1 to 65535; asked for when left out
    #[arg(value_parser = crate::pair::parse_port)]
    port: Option<u16>,

    /// Send the lines of this file as messages; - is standard input
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,

    /// How long a server may take to accept the connection
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    connect_timeout: Duration,

    /// Keep trying this long until the server is up and its name is known
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    wait: Duration,

    /// Pause between the messages of a script or a pipe
    #[arg(long, value_name = "MILLISECONDS", default_value = "0", value_parser = milliseconds)]
    pace: Duration,

    /// Save the log in this file, byte for byte
    #[arg(long, value_name = "FILE")]
    save_log: Option<PathBuf>,

    /// Longest message to send; K, M and G stand for powers of 1024
    #[arg(long, value_name = "BYTES", default_value = "1M", value_parser = message_size)]
    max_message: usize,
}

impl From<ClientArgs> for Client {
    fn from(args: ClientArgs) -> Self {
        let ClientArgs { host, port, script, connect_timeout, wait, pace, save_log, max_message } = args;
        Client { host, port, script, connect_timeout, wait, pace, save_log, max_message }
    }
}

/// A number of bytes, with or without one of the suffixes K, M and G.
fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().next_back() {
        Some((at, 'K' | 'k')) => (&text[..at], 1 << 10),
        Some((at, 'M' | 'm')) => (&text[..at], 1 << 20),
        Some((at, 'G' | 'g')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|_| "a number of bytes, like 4096, 64K or 1M, is needed")?;
    number.checked_mul(unit).ok_or_else(|| "that is more than can be counted".to_owned())
}

/// A size that fits into memory with room to spare; a longer message would not be one.
fn message_size(text: &str) -> Result<usize, String> {
    match size(text)? {
        0..4 => Err("a message needs room for the 4 bytes of quit".into()),
        bytes => usize::try_from(bytes)
            .ok()
            .filter(|&bytes| bytes <= 1 << 30)
            .ok_or_else(|| "a message has at most 1G bytes".into()),
    }
}

pub fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "a number of seconds is needed")?;
    Duration::try_from_secs_f64(number)
        .ok()
        .filter(|&time| time <= Duration::from_secs(365 * 24 * 60 * 60))
        .ok_or_else(|| "a number of seconds between 0 and a year is needed".into())
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    let number: u64 = text.parse().map_err(|_| "a whole number of milliseconds is needed")?;
    Ok(Duration::from_millis(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("64K"), Ok(65_536));
        assert_eq!(size("1m"), Ok(1_048_576));
        assert_eq!(size("2G"), Ok(2_147_483_648));
        for wrong in ["", "K", "-1", "1.5M", "1KB", "1é", "99999999999G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_neither_negative_nor_endless() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["-1", "inf", "NaN", "1e300", "soon"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
