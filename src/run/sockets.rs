//! What the kernel tells of TCP sockets (`sock_diag(7)`) and addresses.
//!
//! Nothing here changes anything. Linux only.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::Context as _;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

use super::processes;

/// The addresses of this machine's interfaces, each once.
pub fn addresses() -> BTreeSet<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
        })
        .collect()
}

/// The kernel's table of TCP sockets.
#[derive(Debug)]
pub struct Sockets {
    netlink: OwnedFd,
}

/// What the table says of one connected socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Bytes that its program has not read yet; an unread end of stream counts for one.
    pub unread: u32,
    /// Bytes that arrived at it so far; an end of stream counts for one.
    pub arrived: u64,
    /// Bytes that its program has written and its kernel has not sent yet.
    pub unsent: u32,
    /// Whether its program has ended the stream: that is sent, or about to be (RFC 9293, section 3.3.2).
    pub closing: bool,
}

// linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h, linux/tcp.h
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const INET_DIAG_INFO: u8 = 2;
const TCP_ESTABLISHED: u8 = 1;
const TCP_TIME_WAIT: u8 = 6;
const TCP_CLOSE_WAIT: u8 = 8;
const TCP_LISTEN: u8 = 10;
const HEADER: usize = 16;
const MESSAGE: usize = 72;
/// Where `struct inet_diag_msg` keeps `idiag_rqueue`.
const UNREAD: usize = 56;
/// Where it keeps `idiag_inode`.
const INODE: usize = 68;
/// Where `struct tcp_info` keeps `tcpi_bytes_received`.
const ARRIVED: usize = 128;
/// Where it keeps `tcpi_notsent_bytes`.
const UNSENT: usize = 144;

impl Sockets {
    /// Opens the table.
    pub fn open() -> anyhow::Result<Sockets> {
        let netlink = socket(
            AddressFamily::Netlink,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkSockDiag,
        )
        .context("the kernel's table of sockets cannot be opened")?;
        Ok(Sockets { netlink })
    }

    /// The table of the network in which the socket `netlink` of the right kind was made.
    pub fn over(netlink: OwnedFd) -> Sockets {
        Sockets { netlink }
    }

    /// The address at which something listens on `port`, if anything does.
    pub fn listening(&self, port: u16) -> anyhow::Result<Option<SocketAddr>> {
        for family in [libc::AF_INET, libc::AF_INET6] {
            let none = |ip: IpAddr| SocketAddr::new(ip, 0);
            let any = match family {
                libc::AF_INET => none(Ipv4Addr::UNSPECIFIED.into()),
                _ => none(Ipv6Addr::UNSPECIFIED.into()),
            };
            let mut found = None;
            self.ask(NLM_F_DUMP, 1 << TCP_LISTEN, 0, SocketAddr::new(any.ip(), port), any, |message| {
                let address = local_address(message);
                if address.port() == port {
                    found = found.or(Some(address));
                }
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// What is known of the socket that is `local` at its own end of a connection with `remote`.
    /// `None` when there is no such socket (any more).
    pub fn connected(&self, local: SocketAddr, remote: SocketAddr) -> anyhow::Result<Option<Connected>> {
        let mut found = None;
        self.ask(0, u32::MAX, 1 << (INET_DIAG_INFO - 1), local, remote, |message| {
            // Asked for a connection that is gone, the kernel may answer with the listening socket.
            if message[1] == TCP_LISTEN {
                return;
            }
            let unread = u32::from_ne_bytes(bytes(message, UNREAD));
            if let Some(info) = attribute(&message[MESSAGE..], INET_DIAG_INFO.into())
                && info.len() >= UNSENT + 4
            {
                found = Some(Connected {
                    unread,
                    arrived: u64::from_ne_bytes(bytes(info, ARRIVED)),
                    unsent: u32::from_ne_bytes(bytes(info, UNSENT)),
                    closing: ![TCP_ESTABLISHED, TCP_CLOSE_WAIT].contains(&message[1]),
                });
            }
        })?;
        Ok(found)
    }

    /// Whether a connection of `port` that this side closed first is still being remembered, which keeps
    /// a server without `SO_REUSEADDR` from listening there.
    pub fn winding_down(&self, port: u16) -> anyhow::Result<bool> {
        let mut found = false;
        self.dump(1 << TCP_TIME_WAIT, port, |_| found = true)?;
        Ok(found)
    }

    /// The ports on which the processes `pids` listen, in order.
    pub fn listened_to_by(&self, pids: &BTreeSet<i32>) -> anyhow::Result<BTreeSet<u16>> {
        let files = pids.iter().flat_map(|&pid| processes::open_files(pid));
        let inodes: BTreeSet<u32> = files
            .filter_map(|file| {
                let name = fs::read_link(file).ok()?;
                name.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
            })
            .collect();
        let mut ports = BTreeSet::new();
        self.dump(1 << TCP_LISTEN, 0, |message| {
            if inodes.contains(&u32::from_ne_bytes(bytes(message, INODE))) {
                ports.insert(local_address(message).port());
            }
        })?;
        Ok(ports)
    }

    /// Every socket of either family in one of `states`, at `port`, or at any port where that is 0.
    fn dump(&self, states: u32, port: u16, mut each: impl FnMut(&[u8])) -> anyhow::Result<()> {
        for any in [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()] {
            let (local, remote) = (SocketAddr::new(any, port), SocketAddr::new(any, 0));
            self.ask(NLM_F_DUMP, states, 0, local, remote, |message| {
                if port == 0 || local_address(message).port() == port {
                    each(message);
                }
            })?;
        }
        Ok(())
    }

    fn ask(
        &self,
        flags: u16,
        states: u32,
        extensions: u8,
        local: SocketAddr,
        remote: SocketAddr,
        mut answer: impl FnMut(&[u8]),
    ) -> anyhow::Result<()> {
        let mut request = Vec::with_capacity(72);
        request.extend(72_u32.to_ne_bytes());
        request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        request.extend((NLM_F_REQUEST | flags).to_ne_bytes());
        request.extend([0; 8]);
        let family = if local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        request.push(u8::try_from(family).unwrap_or_default());
        request.push(u8::try_from(libc::IPPROTO_TCP).unwrap_or_default());
        request.extend([extensions, 0]);
        request.extend(states.to_ne_bytes());
        request.extend(local.port().to_be_bytes());
        request.extend(remote.port().to_be_bytes());
        for address in [local.ip(), remote.ip()] {
            let mut field = [0; 16];
            match address {
                IpAddr::V4(ip) => field[..4].copy_from_slice(&ip.octets()),
                IpAddr::V6(ip) => field = ip.octets(),
            }
            request.extend(field);
        }
        // Any interface, any cookie.
        request.extend([0; 4]);
        request.extend([0xff; 8]);
        let failed = "the kernel's table of sockets cannot be read";
        send(self.netlink.as_raw_fd(), &request, MsgFlags::empty()).context(failed)?;
        let mut buffer = vec![0; 1 << 15];
        loop {
            let count = match recv(self.netlink.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => continue,
                count => count.context(failed)?,
            };
            let mut rest = &buffer[..count];
            while rest.len() >= HEADER {
                let length = u32::from_ne_bytes(bytes(rest, 0)) as usize;
                let kind = u16::from_ne_bytes(bytes(rest, 4));
                anyhow::ensure!((HEADER..=rest.len()).contains(&length), failed);
                let message = &rest[HEADER..length];
                match kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => {
                        anyhow::ensure!(message.len() >= 4, failed);
                        let errno = Errno::from_raw(-i32::from_ne_bytes(bytes(message, 0)));
                        return if errno == Errno::ENOENT { Ok(()) } else { Err(errno).context(failed) };
                    }
                    _ if message.len() >= MESSAGE => answer(message),
                    _ => {}
                }
                if flags & NLM_F_DUMP == 0 {
                    return Ok(());
                }
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }
}

fn bytes<const N: usize>(from: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&from[at..at + N]);
    bytes
}

fn local_address(message: &[u8]) -> SocketAddr {
    let port = u16::from_be_bytes(bytes(message, 4));
    let ip = if i32::from(message[0]) == libc::AF_INET {
        IpAddr::from(bytes::<4>(message, 8))
    } else {
        IpAddr::from(bytes::<16>(message, 8))
    };
    SocketAddr::new(ip, port)
}

/// The payload of the attribute `kind` in a run of netlink attributes.
fn attribute(mut rest: &[u8], kind: u16) -> Option<&[u8]> {
    while rest.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes(bytes(rest, 0)));
        if u16::from_ne_bytes(bytes(rest, 2)) == kind {
            return rest.get(4..length);
        }
        rest = rest.get(length.next_multiple_of(4).max(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::time::Duration;

    use socket2::{Domain, SockRef, Socket, Type};

    use super::*;
    use crate::run::clock::Clock;

    #[apply(test)]
    fn the_table_tells_who_listens_where() {
        let sockets = Sockets::open().expect("netlink");
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let listener = TcpListener::bind(address).expect("bind");
            let address = listener.local_addr().expect("address");
            assert_eq!(sockets.listening(address.port()).expect("table"), Some(address));
            drop(listener);
            // A child that was just being started has a copy of everything until it becomes its program.
            let gone = || sockets.listening(address.port()).expect("table").is_none().then_some(());
            assert!(Clock::start().watch(Duration::from_secs(20), gone).seen().is_some());
        }
    }

    #[apply(test)]
    fn the_table_tells_what_a_process_listens_to_and_what_winds_down() {
        let sockets = Sockets::open().expect("netlink");
        // Without SO_REUSEADDR, which std sets, and at every address: so that no port of a connection that winds
        // down is taken.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into()).expect("bind");
        socket.listen(1).expect("listen");
        let listener = TcpListener::from(socket);
        let port = listener.local_addr().expect("address").port();
        let own = BTreeSet::from([std::process::id().cast_signed()]);
        assert!(sockets.listened_to_by(&own).expect("table").contains(&port));
        assert!(!sockets.listened_to_by(&BTreeSet::from([1])).expect("table").contains(&port));
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connect");
        drop(listener.accept().expect("accept"));
        client.read_to_end(&mut Vec::new()).expect("read");
        assert!(!sockets.winding_down(port).expect("table"));
        drop(client);
        // A child that was just being started has a copy of everything until it becomes its program.
        let winds_down = || sockets.winding_down(port).expect("table").then_some(());
        assert!(Clock::start().watch(Duration::from_secs(20), winds_down).seen().is_some());
    }

    #[apply(test)]
    fn the_table_tells_what_arrived_and_what_was_read() {
        let sockets = Sockets::open().expect("netlink");
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).expect("bind");
            let mut client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
            let (mut server, from) = listener.accept().expect("accept");
            let local = server.local_addr().expect("address");
            let look = || sockets.connected(local, from).expect("table");
            let open = Connected { unread: 0, arrived: 0, unsent: 0, closing: false };
            assert_eq!(look(), Some(open));
            client.write_all(b"hello").expect("write");
            assert_eq!(look(), Some(Connected { unread: 5, arrived: 5, ..open }));
            server.read_exact(&mut [0; 3]).expect("read");
            assert_eq!(look(), Some(Connected { unread: 2, arrived: 5, ..open }));
            // The kernel keeps what is written for a moment, as if it waited for an acknowledgement.
            SockRef::from(&server).set_tcp_cork(true).expect("an option");
            server.write_all(b"hey").expect("write");
            assert_eq!(look().expect("connected").unsent, 3);
            SockRef::from(&server).set_tcp_cork(false).expect("an option");
            client.read_exact(&mut [0; 3]).expect("read");
            assert_eq!(look().expect("connected").unsent, 0);
            server.shutdown(Shutdown::Write).expect("connected");
            assert!(look().expect("connected").closing);
            drop(server);
            // What is left of it is in some closing state, or reset and gone; the listener is not it.
            assert!(look().is_none_or(|seen| seen.unread <= 2));
        }
    }
}
