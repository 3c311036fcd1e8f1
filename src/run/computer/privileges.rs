//! Giving up privileges: what a program on an isolated computer may not do, whatever user it is.

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, remove_capability_from_bounding_set,
    set_capabilities, set_capabilities_secure_bits, set_no_new_privs,
};

/// The user and group that programs are on an isolated computer.
pub(super) const ID: u32 = 1000;

/// Becomes the programs' user for good, with none of the rights that come with a user namespace.
pub(super) fn give_up(may_set_groups: bool) -> nix::Result<()> {
    for number in 0..64 {
        let Some(capability) = CapabilitySet::from_bits(1 << number) else { continue };
        // The kernel answers EINVAL behind the last capability that it has.
        if remove_capability_from_bounding_set(capability).is_err() {
            break;
        }
    }
    let locked = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED;
    set_capabilities_secure_bits(locked).map_err(errno)?;
    if may_set_groups {
        setgroups(&[])?;
    }
    let (user, group) = (Uid::from_raw(ID), Gid::from_raw(ID));
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).map_err(errno)?;
    set_no_new_privs(true).map_err(errno)
}

pub(super) fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}
