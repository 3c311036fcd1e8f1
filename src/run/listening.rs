//! Every listen(2) of a program, noted as it is called (`seccomp_unotify(2)`).
//!
//! A program may end right after it listens, before anyone has looked at the kernel's table of sockets. So a
//! listen(2) of a program on an isolated computer waits until this process has made the call in its place, on the
//! same socket, and has noted it.
//!
//! What always holds: the program gets the kernel's own answer to its call, and a call is noted before the program
//! goes on. Where the kernel does not offer this, programs run without it, and nothing is noted.

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use socket2::Socket;

/// `AUDIT_ARCH_*` of linux/audit.h for the system calls of this machine.
const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else {
    None
};
/// Where `struct seccomp_data` keeps the number of the call, and the architecture.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
/// The descriptor that is sent is no message without a byte beside it.
const BYTE: &[u8; 1] = b"l";

nix::ioctl_readwrite!(receive_call, b'!', 0, libc::seccomp_notif);
nix::ioctl_readwrite!(answer_call, b'!', 1, libc::seccomp_notif_resp);

/// The addresses at which a program has listened so far.
#[derive(Clone, Debug, Default)]
pub struct Listened(Arc<Mutex<Vec<SocketAddr>>>);

impl Listened {
    /// All of them, in order.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, address: SocketAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(address);
    }
}

/// The two ends by which a child hands over what tells of its calls: this process's, and the child's.
pub(super) fn channel() -> nix::Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// In the child, which can gain no privileges any more: from here on its calls of listen(2) wait for the other end
/// of `channel`.
pub(super) fn hand_over(channel: &OwnedFd) -> nix::Result<()> {
    let Some(listener) = ARCHITECTURE.and_then(|architecture| install(architecture).ok()) else {
        return Ok(());
    };
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files = [listener.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&files));
    let sent = sendmsg(channel, &[IoSlice::new(BYTE)], &mut control, SendFlags::NOSIGNAL);
    sent.map(drop).map_err(|error| Errno::from_raw(error.raw_os_error()))
}

/// Installs the filter, and returns the file that tells of the calls.
fn install(architecture: u32) -> nix::Result<OwnedFd> {
    let step = |code: u32, no: u8, value: u32| libc::sock_filter {
        code: code.try_into().unwrap_or_default(),
        jt: 0,
        jf: no,
        k: value,
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equals = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let give = libc::BPF_RET | libc::BPF_K;
    let listen = u32::try_from(libc::SYS_listen).map_err(|_| Errno::ENOSYS)?;
    let mut steps = [
        step(load, 0, ARCH),
        step(equals, 3, architecture),
        step(load, 0, NUMBER),
        step(equals, 1, listen),
        step(give, 0, libc::SECCOMP_RET_USER_NOTIF),
        step(give, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let len = steps.len().try_into().map_err(|_| Errno::EINVAL)?;
    let program = libc::sock_fprog { len, filter: steps.as_mut_ptr() };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    #[expect(unsafe_code, reason = "no crate here wraps seccomp(2)")]
    // SAFETY: the kernel copies the filter, and the file that it returns is nobody else's.
    unsafe {
        let file = libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program);
        Errno::result(file).map(|file| OwnedFd::from_raw_fd(file.try_into().unwrap_or(-1)))
    }
}

/// Once the child has become its program: answers its calls for as long as it, or anything that it started, runs.
pub(super) fn watch(channel: &OwnedFd) -> std::io::Result<Listened> {
    let listened = Listened::default();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    if recvmsg(channel, &mut [IoSliceMut::new(&mut byte)], &mut control, flags).is_err() {
        return Ok(listened);
    }
    let calls = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    if let Some(calls) = calls {
        let notes = listened.clone();
        thread::Builder::new().name("listening".to_owned()).spawn(move || answer_all(&calls, &notes))?;
    }
    Ok(listened)
}

fn answer_all(listener: &OwnedFd, notes: &Listened) {
    loop {
        let mut ready = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        // No process is left whose calls could come here.
        if !ready[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN)) {
            return;
        }
        answer_one(listener, notes);
    }
}

fn answer_one(listener: &OwnedFd, notes: &Listened) {
    #[expect(unsafe_code, reason = "no crate here wraps these requests")]
    // SAFETY: both are plain numbers, and the kernel wants the first one zeroed.
    unsafe {
        let mut call: libc::seccomp_notif = std::mem::zeroed();
        if receive_call(listener.as_raw_fd(), &raw mut call).is_err() {
            return;
        }
        let mut answer: libc::seccomp_notif_resp = std::mem::zeroed();
        answer.id = call.id;
        match listen(call.pid, call.data.args, notes) {
            Some(Ok(())) => {}
            Some(Err(error)) => answer.error = -error,
            None => answer.flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or_default(),
        }
        // A program that has ended meanwhile needs no answer.
        let _ = answer_call(listener.as_raw_fd(), &raw mut answer);
    }
}

/// Makes the call of `thread`; `None` where its socket cannot be had, so that it has to make the call itself.
fn listen(thread: u32, arguments: [u64; 6], notes: &Listened) -> Option<Result<(), i32>> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    let process = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()?;
    let process = pidfd_open(Pid::from_raw(process)?, PidfdFlags::empty()).ok()?;
    // Both are of type int; the upper half of the register counts for nothing.
    let int = |argument: u64| u32::try_from(argument & 0xffff_ffff).unwrap_or_default().cast_signed();
    let socket = pidfd_getfd(process, int(arguments[0]), PidfdGetfdFlags::empty()).ok()?;
    let socket = Socket::from(socket);
    if let Err(error) = socket.listen(int(arguments[1])) {
        return Some(Err(error.raw_os_error().unwrap_or(libc::EINVAL)));
    }
    if let Some(address) = socket.local_addr().ok().and_then(|address| address.as_socket()) {
        notes.note(address);
    }
    Some(Ok(()))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};
    use std::os::fd::RawFd;

    use nix::unistd::{gettid, pipe};
    use socket2::{Domain, Type};

    use super::*;

    fn listen_on(file: RawFd, notes: &Listened) -> Option<Result<(), i32>> {
        let arguments = [file.try_into().expect("a file"), 1, 0, 0, 0, 0];
        listen(gettid().as_raw().cast_unsigned(), arguments, notes)
    }

    #[apply(test)]
    fn a_call_is_made_on_the_caller_s_own_socket_and_noted() {
        let notes = Listened::default();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("an address");
        assert_eq!(listen_on(socket.as_raw_fd(), &notes), Some(Ok(())));
        let address = socket.local_addr().expect("an address").as_socket().expect("of the internet");
        assert_eq!(notes.addresses(), [address]);
        TcpStream::connect(address).expect("it listens");
    }

    #[apply(test)]
    fn a_call_that_fails_gets_the_kernel_s_own_error_and_is_not_noted() {
        let notes = Listened::default();
        let (file, _) = pipe().expect("a pipe");
        assert_eq!(listen_on(file.as_raw_fd(), &notes), Some(Err(libc::ENOTSOCK)));
        assert_eq!(listen_on(i32::MAX, &notes), None);
        assert_eq!(notes.addresses(), []);
    }
}
