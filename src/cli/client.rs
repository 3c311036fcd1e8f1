//! The arguments of `echolog client`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::server::OutputArgs;
use super::values::{message_size, milliseconds, seconds};
use crate::error::Fault;
use crate::pair::{Client, Endpoint, Patience, parse_port};

const EXAMPLES: &str = "\
Examples:
  echolog client 192.168.1.3 12345        type messages; quit (or Ctrl-D) ends
  echolog client 192.168.1.3:12345        the same
  echolog client 192.168.1.3 12345 --script messages.txt --save-log log.txt
  date | echolog client localhost 12345   send what a command prints
  echolog client ::1 12345 --wait 30      wait for the server to come up
  echolog client localhost 12345 --script messages.txt --quiet --save-log -
                                          write the log's bytes and nothing else

A message is one line. A carriage return before the line end does not count.
Exit code 0 says that the whole log came back as it was sent; the client has
checked it.

The log is saved as FILE.partial until it has arrived whole.";

#[derive(Debug, Args)]
#[command(after_help = super::after_options(EXAMPLES))]
pub struct ClientArgs {
    /// Server's name or address, IPv4 or IPv6; asked for when left out. HOST:PORT and tcp://HOST:PORT give
    /// the port too
    host: Option<String>,

    /// Server's port, 1 to 65535; asked for when left out
    port: Option<String>,

    /// The same as PORT
    #[arg(short, long = "port", value_name = "PORT", conflicts_with = "port")]
    port_option: Option<String>,

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

    /// Save the log in this file, byte for byte; - is standard output
    #[arg(long, value_name = "FILE")]
    save_log: Option<PathBuf>,

    /// Longest message to send; K, M and G stand for powers of 1024
    #[arg(long, value_name = "BYTES", default_value = "1M", value_parser = message_size)]
    max_message: usize,

    #[command(flatten)]
    output: OutputArgs,
}

impl TryFrom<ClientArgs> for Client {
    type Error = Fault;

    fn try_from(args: ClientArgs) -> Result<Self, Fault> {
        let form = args.output.form();
        let ClientArgs {
            host,
            port,
            port_option,
            script,
            connect_timeout,
            wait,
            pace,
            save_log,
            max_message,
            ..
        } = args;
        let (host, port) = place(host.as_deref(), port.or(port_option).as_deref())?;
        let patience = Patience { connect_timeout, wait };
        Ok(Client { host, port, script, patience, pace, save_log, max_message, form })
    }
}

/// The host and the port that the command line gives.
fn place(host: Option<&str>, port: Option<&str>) -> Result<(Option<String>, Option<u16>), Fault> {
    let endpoint = host.map(Endpoint::parse);
    let (host, in_host) = endpoint.map_or((None, None), |endpoint| (Some(endpoint.host), endpoint.port));
    if in_host.is_some() && port.is_some() {
        return Err(Fault::usage("the port is given twice")
            .hint("give it behind the address, as in echolog client 192.168.1.3 12345"));
    }
    if let Some(host) = &host
        && in_host.is_none()
        && parse_port(host).is_ok()
    {
        let right = format!("echolog client {} {host}", port.unwrap_or("HOST"));
        return Err(Fault::usage(format!("{host} is a port, not the address of a server"))
            .hint(format!("the address comes first: {right}")));
    }
    let port = in_host.as_deref().or(port).map(parse_port).transpose().map_err(|error| {
        Fault::usage(error).hint("the port is a number, which the server shows: echolog client HOST PORT")
    })?;
    // `:12345` leaves the host to be asked for.
    Ok((host.filter(|host| !host.is_empty()), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn host_and_port_are_one_word_or_two() {
        for (host, port) in [("there", Some("12345")), ("there:12345", None), ("tcp://there:12345", None)] {
            assert_eq!(place(Some(host), port).unwrap(), (Some("there".into()), Some(12345)), "{host}");
        }
        assert_eq!(place(Some("[::1]:12345"), None).unwrap(), (Some("::1".into()), Some(12345)));
        assert_eq!(place(Some("::1"), None).unwrap(), (Some("::1".into()), None));
        assert_eq!(place(None, None).unwrap(), (None, None));
        place(Some("there:1"), Some("2")).unwrap_err();
    }
}
