//! The computers that the programs of a session run on.
//!
//! An isolated [`Computer`] is a set of Linux namespaces (user, network, mount, IPC, UTS): it has a
//! network, files, a host name and users of its own. Each program on it has a PID namespace of its own as
//! well, whose first process ends with the program: the kernel then kills everything that the program
//! started. Where the kernel gives no namespaces, both programs run on this computer as they are.
//!
//! What always holds: a process on an isolated computer can reach no network but that computer's own,
//! writes to no file outside it, and does not outlive its [`Program`](crate::run::program::Program).
//! rexpect starts the programs in either case: what is done here happens in its child, before the program
//! is executed.

pub mod enter;
mod exposure;
mod files;
mod holder;
mod network;
mod privileges;
mod work;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use socket2::{Domain, Protocol, Socket, Type};

use self::holder::Holder;
use crate::run::sockets::Sockets;

/// The address of an isolated server's computer.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 3);
/// The address of an isolated client's computer.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 4);

/// The home directory of the programs on an isolated computer.
pub(super) const HOME: &str = "/home/student";
/// The name of their user.
pub(super) const USER: &str = "student";

pub(in crate::run) use self::exposure::PLACES as TOOL_PLACES;

/// How much a program may change in its working directory, and how much may be kept in `/tmp`, the home
/// directory and the like of a computer, all together.
pub const SPACE_MIB: u64 = 128;

/// What programs on an isolated computer are told of it by their environment.
pub(super) fn environment() -> Vec<(OsString, OsString)> {
    let mut environment: Vec<(OsString, OsString)> = [("HOME", HOME), ("USER", USER), ("LOGNAME", USER)]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
    if let Some(rustup) = exposure::rustup() {
        environment.push(("RUSTUP_HOME".into(), rustup.into()));
    }
    environment
}

/// What the programs of a session find of this computer's files, besides the system and the tools in
/// `PATH`.
#[derive(Clone, Debug)]
pub struct Files {
    /// Directories that they may write to. They belong to the programs' user from then on.
    pub writable: Vec<PathBuf>,
    /// Files and directories that they may only read.
    pub readable: Vec<PathBuf>,
    /// The directory that each program is given a copy of, at the same path.
    pub copied: Option<PathBuf>,
    /// How much may be kept in `/tmp`, the home directory and the like, all together.
    pub space_mib: u64,
}

impl Default for Files {
    fn default() -> Files {
        Files { writable: Vec::new(), readable: Vec::new(), copied: None, space_mib: SPACE_MIB }
    }
}

impl Files {
    /// Gives each program a copy of `directory`, where it is.
    pub fn copy(&mut self, directory: &Path) -> Result<(), Unavailable> {
        if directory.parent().is_none() {
            return Err(Unavailable(
                "the current directory is /, of which nobody is given a copy".to_owned(),
            ));
        }
        must_be_readable(directory)?;
        self.copied = Some(directory.to_owned());
        Ok(())
    }

    /// Lets programs read what these words of their commands name by absolute paths, and what belongs to it.
    pub fn show(&mut self, words: &[OsString]) -> Result<(), Unavailable> {
        for path in words.iter().map(PathBuf::from).filter(|path| path.is_absolute() && path.exists()) {
            must_be_readable(&path)?;
            self.readable.extend(exposure::around(&path));
        }
        Ok(())
    }
}

fn must_be_readable(path: &Path) -> Result<(), Unavailable> {
    if owner().is_some() && !holder::is_readable_by_all(path) {
        let why = "only its owner can read it, and programs run as a user who owns nothing";
        return Err(Unavailable(format!("{}: {why}", path.display())));
    }
    Ok(())
}

/// Why there can be no isolated computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// The two computers of one session.
#[derive(Clone, Debug)]
pub struct Computers {
    /// The one that the server runs on.
    pub server: Arc<Computer>,
    /// The one that the client runs on.
    pub client: Arc<Computer>,
}

impl Computers {
    /// Two isolated computers, each with `files`.
    pub fn isolated(files: &Files) -> Result<Computers, Unavailable> {
        let computer = |name, own: Ipv4Addr, other: Ipv4Addr| {
            let holder = Holder::start(name, own, other, files)?;
            Ok(Arc::new(Computer { address: own.into(), holder: Some(holder), copied: files.copied.clone() }))
        };
        Ok(Computers {
            server: computer("server", SERVER, CLIENT)?,
            client: computer("client", CLIENT, SERVER)?,
        })
    }

    /// This computer, twice.
    pub fn shared() -> Computers {
        let here = Arc::new(Computer { address: Ipv4Addr::LOCALHOST.into(), holder: None, copied: None });
        Computers { server: Arc::clone(&here), client: here }
    }
}

/// The user and group that the files of programs on isolated computers must belong to, if that is not this
/// process's own.
pub fn owner() -> Option<(u32, u32)> {
    holder::owner()
}

/// One computer that programs under test run on.
#[derive(Debug)]
pub struct Computer {
    address: IpAddr,
    holder: Option<Holder>,
    /// The directory that each program on it is given a copy of.
    copied: Option<PathBuf>,
}

impl Computer {
    /// Whether it is a computer of its own, and not the one that this process runs on.
    pub fn is_isolated(&self) -> bool {
        self.holder.is_some()
    }

    /// The address by which the other computer knows it.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// A new TCP socket on it, neither bound nor connected.
    pub fn socket(&self, domain: Domain) -> io::Result<Socket> {
        match &self.holder {
            Some(holder) => {
                holder.socket(domain.into(), Type::STREAM.into(), Protocol::TCP.into()).map(Socket::from)
            }
            None => Socket::new(domain, Type::STREAM, Some(Protocol::TCP)),
        }
    }

    /// Its table of TCP sockets.
    pub fn sockets(&self) -> Result<Sockets> {
        match &self.holder {
            Some(holder) => Ok(Sockets::over(holder.netlink_socket().context("no table of sockets")?)),
            None => Sockets::open(),
        }
    }

    /// The namespaces that a program on it joins, as a process that is in them (`pidfd_open(2)`).
    pub(super) fn namespaces(&self) -> Option<BorrowedFd<'_>> {
        self.holder.as_ref().map(Holder::process)
    }
}
