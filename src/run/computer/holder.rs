//! The process that makes the namespaces of an isolated computer and keeps them for as long as it lives.
//!
//! It is a child of this process that executes no other program: it sets up its namespaces and then makes
//! sockets in its network for whoever asks at its channel. What always holds: it ends when its [`Holder`]
//! is dropped, and when this process ends, however that happens.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::chown;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, getegid, geteuid, sethostname, setsid};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg, socketpair,
};

use super::files::{Failure, View};
use super::privileges::ID;
use super::{Files, Unavailable, exposure, network};
use crate::run::clock::lock;
use crate::run::descriptors::{close_all_but, pidfd};
use crate::run::fork::{exit_now, without_copies};
use crate::run::scratch::Scratch;

/// The namespaces of a computer; each program adds a PID namespace.
pub(super) const NAMESPACES: CloneFlags = CloneFlags::CLONE_NEWUSER
    .union(CloneFlags::CLONE_NEWNS)
    .union(CloneFlags::CLONE_NEWNET)
    .union(CloneFlags::CLONE_NEWIPC)
    .union(CloneFlags::CLONE_NEWUTS);

/// The user outside that the programs are where this process is the superuser's: one that owns nothing.
const NOBODY: u32 = 65534;

/// How long the kernel may take for a namespace; it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// The step that fails where a machine has no isolated computers to give.
const NO_NAMESPACES: &str = "the kernel gives no namespaces";

/// Requests and answers at the channel.
const IN_NAMESPACES: u8 = b'n';
const USERS_MAPPED: u8 = b'm';
const READY: u8 = b'r';
const FAILED: u8 = b'f';

/// The user and group outside to whom the files of programs on isolated computers belong, if that is not this
/// process's own.
pub(super) fn owner() -> Option<(u32, u32)> {
    geteuid().is_root().then_some((NOBODY, NOBODY))
}

/// The first process of a computer.
#[derive(Debug)]
pub(super) struct Holder {
    pid: Pid,
    process: OwnedFd,
    /// One request at a time.
    channel: Mutex<OwnedFd>,
}

impl Holder {
    /// Makes the computer `name` with the address `own`; the other one is to be at `other`.
    pub(super) fn start(
        name: &'static str,
        own: Ipv4Addr,
        other: Ipv4Addr,
        files: &Files,
    ) -> Result<Holder, Unavailable> {
        // It goes once the computer is there: what is mounted stays.
        let base = Scratch::new().map_err(|error| Unavailable(format!("{error:#}")))?;
        if let Some((user, group)) = owner() {
            for path in &files.writable {
                chown(path, Some(user), Some(group))
                    .map_err(|error| unavailable("cannot change an owner", error))?;
            }
        }
        let plan = Plan {
            view: View::new(base.path(), files, &exposure::TOOLS, name, own, other),
            name,
            own,
            other,
        };
        let channel = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = channel.map_err(|error| unavailable("no socket", error))?;
        set_socket_timeout(&ours, Timeout::Recv, Some(PATIENCE))
            .map_err(|error| unavailable("no socket", error))?;

        // Until it has closed them, it has copies of all our files.
        let turn = without_copies();
        #[expect(unsafe_code, reason = "a namespace is made by a process of its own")]
        // SAFETY: the child makes system calls, takes no lock of ours, and allocates only what the C
        // libraries of Linux keep usable after fork.
        let pid = match unsafe { fork() }.map_err(|errno| unavailable("no process", errno))? {
            ForkResult::Child => plan.hold(&theirs),
            ForkResult::Parent { child } => child,
        };
        drop(theirs);
        let process = pidfd(pid);
        let holder = match process {
            Ok(process) => Holder { pid, process, channel: Mutex::new(ours) },
            Err(error) => {
                let _ = kill(pid, Signal::SIGKILL);
                let _ = waitpid(pid, None);
                return Err(unavailable("a process cannot be watched", error));
            }
        };
        holder.hear(IN_NAMESPACES)?;
        drop(turn);
        map_users(pid).map_err(|error| unavailable("the users of a namespace cannot be mapped", error))?;
        holder.send(&[USERS_MAPPED]).map_err(|error| unavailable("the namespaces ended", error))?;
        holder.hear(READY)?;
        Ok(holder)
    }

    /// The process, as `setns(2)` takes it.
    pub(super) fn process(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }

    /// A socket in its network.
    pub(super) fn socket(&self, domain: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
        let request: Vec<u8> =
            [domain, kind, protocol].iter().flat_map(|number| number.to_ne_bytes()).collect();
        let channel = lock(&self.channel);
        send(&*channel, &request, SendFlags::NOSIGNAL)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut errno = [0; 4];
        let received =
            recvmsg(&*channel, &mut [IoSliceMut::new(&mut errno)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        if received.bytes != errno.len() {
            return Err(io::Error::other("the computer has ended"));
        }
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(mut files) = message
                && let Some(file) = files.next()
            {
                return Ok(file);
            }
        }
        Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)))
    }

    /// A socket to ask the kernel for its table of sockets.
    pub(super) fn netlink_socket(&self) -> io::Result<OwnedFd> {
        self.socket(libc::AF_NETLINK, libc::SOCK_DGRAM, libc::NETLINK_SOCK_DIAG)
    }

    fn send(&self, message: &[u8]) -> rustix::io::Result<usize> {
        send(&*lock(&self.channel), message, SendFlags::NOSIGNAL)
    }

    /// Waits for the message `wanted`.
    fn hear(&self, wanted: u8) -> Result<(), Unavailable> {
        let mut message = [0; 256];
        let (count, _) = recv(&*lock(&self.channel), &mut message, RecvFlags::empty())
            .map_err(|error| unavailable("no answer from the namespaces", error))?;
        match &message[..count] {
            [kind] if *kind == wanted => Ok(()),
            [FAILED, a, b, c, d, step @ ..] => {
                let errno = Errno::from_raw(i32::from_ne_bytes([*a, *b, *c, *d]));
                let step = String::from_utf8_lossy(step);
                Err(if step == NO_NAMESPACES && errno == Errno::ENOSPC {
                    // user_namespaces(7): the limit, and not a disk that is full.
                    Unavailable(format!("{step}: user.max_user_namespaces allows no more of them"))
                } else {
                    unavailable(&step, errno)
                })
            }
            _ => Err(Unavailable("the process of a namespace ended".to_owned())),
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = kill(self.pid, Signal::SIGKILL);
        let _ = waitpid(self.pid, None);
    }
}

fn unavailable(step: &str, why: impl Into<io::Error>) -> Unavailable {
    Unavailable(format!("{step}: {}", why.into()))
}

/// Says who the users of a new namespace are outside.
fn map_users(pid: Pid) -> io::Result<()> {
    let (users, groups) = if let Some((user, group)) = owner() {
        (format!("0 0 1\n{ID} {user} 1\n"), format!("0 0 1\n{ID} {group} 1\n"))
    } else {
        // Whoever gives up a group could gain what is forbidden to it.
        fs::write(format!("/proc/{pid}/setgroups"), "deny")?;
        (format!("{ID} {} 1\n", geteuid()), format!("{ID} {} 1\n", getegid()))
    };
    fs::write(format!("/proc/{pid}/uid_map"), users)?;
    fs::write(format!("/proc/{pid}/gid_map"), groups)
}

/// What the first process of a computer is to make.
struct Plan {
    view: View,
    name: &'static str,
    own: Ipv4Addr,
    other: Ipv4Addr,
}

impl Plan {
    /// Does it, in a child of this process, and then serves until the other end of the channel is closed.
    fn hold(&self, channel: &OwnedFd) -> ! {
        if let Err((step, errno)) = self.set_up(channel) {
            let mut message = vec![FAILED];
            message.extend((errno as i32).to_ne_bytes());
            message.extend(step.as_bytes());
            let _ = send(channel, &message, SendFlags::NOSIGNAL);
        } else {
            serve(channel);
        }
        exit_now(0)
    }

    fn set_up(&self, channel: &OwnedFd) -> Result<(), Failure> {
        let at = |step: &'static str| move |errno: Errno| (step, errno);
        close_all_but(channel.as_raw_fd()).map_err(at("cannot close files"))?;
        setsid().map_err(at("cannot leave the session"))?;
        unshare(NAMESPACES).map_err(at(NO_NAMESPACES))?;
        let lost =
            |error: rustix::io::Errno| ("the channel is closed", Errno::from_raw(error.raw_os_error()));
        send(channel, &[IN_NAMESPACES], SendFlags::NOSIGNAL).map_err(lost)?;
        let mut answer = [0];
        let (count, _) = recv(channel, &mut answer, RecvFlags::empty()).map_err(lost)?;
        if answer[..count] != [USERS_MAPPED] {
            return Err(("the channel is closed", Errno::EPIPE));
        }
        sethostname(self.name).map_err(at("cannot set the host name"))?;
        network::set_up(self.own, self.other).map_err(at("cannot set up the network"))?;
        self.view.enter()?;
        send(channel, &[READY], SendFlags::NOSIGNAL).map_err(lost)?;
        Ok(())
    }
}

/// Makes sockets for whoever asks.
fn serve(channel: &OwnedFd) {
    let mut request = [0; 12];
    loop {
        match recv(channel, &mut request, RecvFlags::empty()) {
            Ok((12, _)) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Ok(_) | Err(_) => return,
        }
        let number =
            |at: usize| i32::from_ne_bytes([request[at], request[at + 1], request[at + 2], request[at + 3]]);
        let (socket, errno) =
            match socket2::Socket::new(number(0).into(), number(4).into(), Some(number(8).into())) {
                Ok(socket) => (Some(socket), 0),
                Err(error) => (None, error.raw_os_error().unwrap_or(libc::EIO)),
            };
        let files: Vec<BorrowedFd<'_>> = socket.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(&files));
        }
        let answer = errno.to_ne_bytes();
        if sendmsg(channel, &[IoSlice::new(&answer)], &mut ancillary, SendFlags::NOSIGNAL).is_err() {
            return;
        }
    }
}

/// Whether everyone may read `path`, as a program's user is one who owns nothing.
pub(super) fn is_readable_by_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|data| {
        let needed = if data.is_dir() { 0o005 } else { 0o004 };
        data.permissions().mode() & needed == needed
    })
}
