//! The network of an isolated computer: a loopback interface, one with its own address, and routes (rtnetlink(7)).
//!
//! Many programs look for an interface that is not the loopback one to find their address. It is of a kind that
//! leads nowhere; on a kernel that has none of these kinds, the loopback interface has the address.
//!
//! What always holds: every packet stays on the computer, and a connection to any other address fails at
//! once.

use std::ffi::CStr;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

/// `AF_INET`, as these messages have it.
const FAMILY: u8 = 2;
/// `AF_INET6`, as an attribute has it.
const AF_INET6: u16 = 10;

/// The loopback interface is the first of every network.
const LOOPBACK: i32 = 1;
/// The name of the interface with the address.
const NAME: &CStr = c"eth0";
/// Kinds of interfaces that lead nowhere.
const KINDS: [&[u8]; 2] = [b"dummy", b"ifb"];

// linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_LABEL: u16 = 3;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_PREFSRC: u16 = 7;
// linux/fib_rules.h
const FR_ACT_UNREACHABLE: u8 = 7;
const FRA_PRIORITY: u16 = 6;
const FRA_IP_PROTO: u16 = 22;

/// Gives the network of this thread the address `own`. Sockets may also be bound to `other`, which stands for
/// the other computer; no interface has it.
pub(super) fn set_up(own: Ipv4Addr, other: Ipv4Addr) -> nix::Result<()> {
    let kernel =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
    ask(&kernel, libc::RTM_NEWLINK, 0, &up(LOOPBACK))?;
    let index = match add_interface(&kernel) {
        Some(index) => index,
        None => LOOPBACK,
    };
    let interface = || attribute(RTA_OIF, &index.to_ne_bytes());
    let label = if index == LOOPBACK { &b"lo:1\0"[..] } else { NAME.to_bytes_with_nul() };

    // struct ifaddrmsg: family, length of the prefix, flags, scope, index
    let address = [&[FAMILY, 24, 0, libc::RT_SCOPE_UNIVERSE][..], &index.to_ne_bytes()].concat();
    let own_address = [address, attribute(IFA_LOCAL, &own.octets()), attribute(IFA_LABEL, label)].concat();
    ask(&kernel, libc::RTM_NEWADDR, libc::NLM_F_CREATE, &own_address)?;

    // Whoever asks from which address it connects is told this computer's own.
    let source = attribute(RTA_PREFSRC, &own.octets());
    // A route in the table of local addresses is what lets a socket be bound to an address.
    let to_other =
        [route(32, libc::RT_TABLE_LOCAL), attribute(RTA_DST, &other.octets()), source.clone(), interface()]
            .concat();
    ask(&kernel, libc::RTM_NEWROUTE, libc::NLM_F_CREATE, &to_other)?;
    // A datagram socket can be "connected" to any address, which is how programs look up their own.
    let default = [route(0, libc::RT_TABLE_MAIN), source, interface()].concat();
    ask(&kernel, libc::RTM_NEWROUTE, libc::NLM_F_CREATE, &default)?;
    // A TCP connection to an address of neither computer fails at once. struct fib_rule_hdr: family, two
    // lengths of prefixes, type of service, table, two reserved, action, flags. A kernel without such rules
    // refuses the connection as one to this computer, and lets sockets be bound to any address.
    let rule = vec![FAMILY, 0, 0, 0, 0, 0, 0, FR_ACT_UNREACHABLE, 0, 0, 0, 0];
    let protocol = u8::try_from(libc::IPPROTO_TCP).unwrap_or_default();
    let tcp =
        [rule, attribute(FRA_PRIORITY, &1_u32.to_ne_bytes()), attribute(FRA_IP_PROTO, &[protocol])].concat();
    let _ = ask(&kernel, libc::RTM_NEWRULE, libc::NLM_F_CREATE, &tcp);
    Ok(())
}

/// Adds an interface that leads nowhere: its number, if the kernel has a kind of these.
fn add_interface(kernel: &OwnedFd) -> Option<i32> {
    KINDS.into_iter().find_map(|kind| {
        let name = attribute(IFLA_IFNAME, NAME.to_bytes_with_nul());
        let kind = attribute(IFLA_LINKINFO, &attribute(IFLA_INFO_KIND, kind));
        ask(kernel, libc::RTM_NEWLINK, libc::NLM_F_CREATE, &[vec![0; 16], name, kind].concat()).ok()?;
        let index: i32 = if_nametoindex(NAME).ok()?.try_into().ok()?;
        // It gets no address of IPv6 by itself; on a kernel without IPv6 there is none to be had.
        let no_address = attribute(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
        let families = attribute(IFLA_AF_SPEC, &attribute(AF_INET6, &no_address));
        let link = [&[0; 4][..], &index.to_ne_bytes(), &[0; 8], &families].concat();
        let _ = ask(kernel, libc::RTM_NEWLINK, 0, &link);
        ask(kernel, libc::RTM_NEWLINK, 0, &up(index)).ok().map(|()| index)
    })
}

/// `struct ifinfomsg` by which an interface comes up: family, padding, type, index, flags, mask of flags.
fn up(index: i32) -> Vec<u8> {
    let up = (libc::IFF_UP as u32).to_ne_bytes();
    [&[0; 4][..], &index.to_ne_bytes(), &up, &up].concat()
}

/// `struct rtmsg` of a route to addresses of this computer: family, lengths of the prefixes of destination
/// and source, type of service, table, protocol, scope, type, flags.
fn route(prefix: u8, table: u8) -> Vec<u8> {
    let kind = libc::RTN_LOCAL;
    vec![FAMILY, prefix, 0, 0, table, libc::RTPROT_BOOT, libc::RT_SCOPE_HOST, kind, 0, 0, 0, 0]
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = 4 + value.len();
    let mut bytes = Vec::with_capacity(length + 3);
    bytes.extend(u16::try_from(length).unwrap_or_default().to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(length.next_multiple_of(4), 0);
    bytes
}

/// Sends one request and waits for the answer.
fn ask(kernel: &OwnedFd, kind: u16, flags: i32, body: &[u8]) -> nix::Result<()> {
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags).unwrap_or_default();
    let length = 16 + body.len();
    let mut request = Vec::with_capacity(length);
    request.extend(u32::try_from(length).unwrap_or_default().to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend(flags.to_ne_bytes());
    request.extend([0; 8]);
    request.extend(body);
    send(kernel.as_raw_fd(), &request, MsgFlags::empty())?;
    let mut answer = [0; 1024];
    let count = recv(kernel.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    // struct nlmsgerr behind the header: the error, or 0.
    let error = answer.get(16..20).filter(|_| count >= 20).ok_or(Errno::EBADMSG)?;
    match i32::from_ne_bytes([error[0], error[1], error[2], error[3]]) {
        0 => Ok(()),
        error => Err(Errno::from_raw(-error)),
    }
}
