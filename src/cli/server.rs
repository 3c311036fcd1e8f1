//! The arguments of `echolog server`.

use std::net::IpAddr;

use clap::Args;

use super::values::{message_size, size};
use crate::error::Fault;
use crate::pair::{Endpoint, Form, Ports, Server};

const EXAMPLES: &str = "\
Examples:
  echolog server 12345                    serve one client on port 12345
  echolog server 10000-20000              on the first free port of these
  echolog server localhost:0              on any free port, on loopback only
  echolog server 12345 --allow 192.168.1.4
  echolog server 12345 --json             one JSON object a line for each event

The session ends when the client says quit: the server sends the log of all
messages back and ends with exit code 0. A client that disconnects in any other
way is an error. A connection that ends before it has sent anything (a port
scan, a health check) is noted, and the server goes on listening. nc and telnet
work as clients too.

The log is kept in memory up to 1 MiB, and beyond that in an unnamed file in
TMPDIR (/tmp where that is not set).";

#[derive(Debug, Args)]
#[command(after_help = super::after_options(EXAMPLES))]
pub struct ServerArgs {
    /// Port to listen on: 1 to 65535, a range like 10000-20000 for its first free one, or 0 for any free one;
    /// asked for when left out. ADDR:PORT listens at that address
    #[arg(value_name = "PORT")]
    port: Option<String>,

    /// The same as PORT
    #[arg(short, long = "port", value_name = "PORT", conflicts_with = "port")]
    port_option: Option<String>,

    /// Address to listen at; by default every address, IPv4 and IPv6
    #[arg(long, value_name = "ADDR")]
    bind: Option<String>,

    /// Accept a connection from this address only; may be given several times
    #[arg(long, value_name = "ADDR")]
    allow: Vec<IpAddr>,

    /// Longest message; K, M and G stand for powers of 1024
    #[arg(long, value_name = "BYTES", default_value = "1M", value_parser = message_size)]
    max_message: usize,

    /// Largest log, line ends included; K, M and G stand for powers of 1024
    #[arg(long, value_name = "BYTES", default_value = "1G", value_parser = size)]
    max_log: u64,

    #[command(flatten)]
    output: OutputArgs,
}

// What a program writes on standard output. (A doc comment would become that of the command.)
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// Write only the messages (server) or the log (client) to standard output
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,

    /// Write one JSON object a line for each event, for programs to read
    #[arg(long)]
    json: bool,
}

impl OutputArgs {
    pub fn form(&self) -> Form {
        match self {
            OutputArgs { quiet: true, .. } => Form::Quiet,
            OutputArgs { json: true, .. } => Form::Json,
            _ => Form::Screen,
        }
    }
}

impl TryFrom<ServerArgs> for Server {
    type Error = Fault;

    fn try_from(args: ServerArgs) -> Result<Self, Fault> {
        let ServerArgs { port, port_option, bind, allow, max_message, max_log, output } = args;
        let form = output.form();
        let (ports, bind) = match port.or(port_option) {
            Some(text) => place(&text, bind)?,
            None => (None, bind),
        };
        Ok(Server { ports, bind, allow, max_message, max_log, form })
    }
}

/// The ports and the address that `text`, PORT or ADDR:PORT, and `--bind` say.
fn place(text: &str, bind: Option<String>) -> Result<(Option<Ports>, Option<String>), Fault> {
    let (address, ports) = match Endpoint::parse(text) {
        Endpoint { host, port: Some(port) } => (host, port),
        Endpoint { host, port: None } => (String::new(), host),
    };
    let ports = ports.parse().map_err(|error: String| {
        let fault = Fault::usage(error);
        if ports.contains(['.', ':']) {
            fault.hint(format!("the server takes a port, as in: echolog server 12345 --bind {ports}"))
        } else {
            fault.hint("give a number like 12345, or a range like 10000-20000")
        }
    })?;
    match (address.as_str(), bind) {
        ("" | "*", bind) => Ok((Some(ports), bind)),
        (_, None) => Ok((Some(ports), Some(address))),
        (_, Some(_)) => Err(Fault::usage("the address to listen at is given twice")
            .hint("leave --bind out, or the address before the port")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn a_port_may_stand_behind_the_address_to_listen_at() {
        for (text, bind) in [
            ("12345", None),
            (":12345", None),
            ("*:12345", None),
            ("0.0.0.0:12345", Some("0.0.0.0")),
            ("localhost:12345", Some("localhost")),
            ("[::1]:12345", Some("::1")),
            ("tcp://localhost:12345", Some("localhost")),
        ] {
            let (ports, address) = place(text, None).unwrap();
            assert_eq!((ports.unwrap().to_string().as_str(), address.as_deref()), ("12345", bind), "{text}");
        }
        place("localhost:12345", Some("::1".into())).unwrap_err();
        place(":12345", Some("::1".into())).unwrap();
    }
}
