//! Two computers: two network namespaces and a cable between them, made by a test and removed with it.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What this needs of the machine.
pub const TOOLS: [&str; 2] = ["root", "ip"];

/// Two computers, each with one interface, joined by a cable. No route leads anywhere else.
pub struct Network {
    server: String,
    client: String,
}

impl Network {
    /// Makes the two, with these addresses (and their prefix lengths) at the server and at the client.
    pub fn joined(addresses: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("echolog-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let network = Network { server: format!("{name}-server"), client: format!("{name}-client") };
        let Network { server, client } = &network;
        for end in [server, client] {
            ip(&["netns", "add", end]);
            ip(&["-n", end, "link", "set", "lo", "up"]);
        }
        ip(&["-n", server, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", client]);
        for end in [server, client] {
            // IPv6 addresses are given below, and used at once: nobody else can have them.
            ip(&["-n", end, "link", "set", "cable", "addrgenmode", "none"]);
        }
        for &(at_server, at_client) in addresses {
            for (end, address) in [(server, at_server), (client, at_client)] {
                let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
                ip(&[&["-n", end, "address", "add", address, "dev", "cable"], nodad].concat());
            }
        }
        for end in [server, client] {
            ip(&["-n", end, "link", "set", "cable", "up"]);
        }
        network
    }

    /// An IPv4 network as the assignment shows it.
    pub fn ipv4() -> Self {
        Network::joined(&[("192.168.1.3/24", "192.168.1.4/24")])
    }

    /// The name of the server's computer, as `ip netns` knows it.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The name of the client's computer.
    pub fn client(&self) -> &str {
        &self.client
    }

    /// Pulls the cable out of the server's computer.
    pub fn pull_the_cable(&self) {
        ip(&["-n", &self.server, "link", "set", "cable", "down"]);
    }

    /// Loses everything that is sent from now on; no interface can see that.
    pub fn lose_everything(&self) {
        self.lose_what_the_server_sends();
        send_nowhere(&self.client, "192.168.1.3");
    }

    /// Loses everything that the server's computer sends from now on; no interface can see that.
    pub fn lose_what_the_server_sends(&self) {
        send_nowhere(&self.server, "192.168.1.4");
    }
}

/// Has what `computer` sends to `address` go to a network card that does not exist.
fn send_nowhere(computer: &str, address: &str) {
    let nowhere = ["lladdr", "02:00:00:00:00:99", "dev", "cable", "nud", "permanent"];
    ip(&[&["-n", computer, "neighbour", "replace", address][..], &nowhere].concat());
}

impl Drop for Network {
    fn drop(&mut self) {
        for end in [&self.server, &self.client] {
            // In a test that fails before it is made it cannot be removed.
            let _ = Command::new("ip").args(["netns", "delete", end]).stderr(Stdio::null()).status();
        }
    }
}

/// A command to be run at the computer of this name; what and how is to be added.
pub fn at(computer: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", computer]);
    command
}

/// Runs `ip` with `args`.
pub fn ip(args: &[&str]) {
    let status = Command::new("ip").args(args).status().expect("ip can be run");
    assert!(status.success(), "ip {} fails", args.join(" "));
}
