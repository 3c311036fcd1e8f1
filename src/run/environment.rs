//! The environment of a program under test.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::LazyLock;

use crate::error::Fault;
use crate::run::computer;

/// The variable that every program under test carries in its environment, and whatever it starts.
const TAG: &str = "ECHOLOG_UNDER_TEST";

pub(super) fn c_string(text: &OsStr) -> anyhow::Result<CString> {
    CString::new(text.as_bytes())
        .map_err(|_| Fault::usage(format!("a zero byte in {}", text.to_string_lossy())).into())
}

/// What this process passes on of its own environment: by name, the entry.
static OURS: LazyLock<Vec<(OsString, CString)>> = LazyLock::new(|| {
    let passed_on = std::env::vars_os()
        // Whoever runs this must not hide the buffering that a user would meet.
        .filter(|(name, _)| name != "PYTHONUNBUFFERED")
        // No variable has a zero byte in it.
        .filter_map(|(name, value)| entry(&name, &value).ok().map(|entry| (name, entry)));
    passed_on.collect()
});

fn entry(name: &OsStr, value: &OsStr) -> anyhow::Result<CString> {
    let mut entry = name.to_owned();
    entry.push("=");
    entry.push(value);
    c_string(&entry)
}

/// Whether a program on an isolated computer is given this variable: it says what a program may know of
/// the one who runs it. Anything else may be a secret.
fn is_harmless(name: &OsStr) -> bool {
    let known = ["PATH", "LANG", "LANGUAGE", "TERM", "TZ", "SHELL", "JAVA_TOOL_OPTIONS", "CLASSPATH"];
    known.iter().chain(&computer::TOOL_PLACES).any(|known| name == *known)
        || name.as_bytes().starts_with(b"LC_")
}

/// The environment of a program under test: ours, and what its spec adds; on an isolated computer, what is
/// harmless of ours, and a home directory and a user there. Ours is shared: what is copied
/// for each program and freed again costs most just after a fork, when each page of memory that is touched
/// is copied as well.
pub(super) fn environment(
    added: &[(OsString, OsString)],
    tag: &str,
    isolated: bool,
) -> anyhow::Result<Vec<Cow<'static, CStr>>> {
    // A harness may run under a harness, so there may be tags already.
    let mut tags = std::env::var_os(TAG).unwrap_or_default();
    tags.push(tag);
    // A plain terminal.
    let mut own = BTreeMap::from([(OsStr::new("TERM"), OsStr::new("dumb"))]);
    own.extend(added.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())));
    own.insert(OsStr::new(TAG), &tags);
    let tools = if isolated { computer::environment() } else { Vec::new() };
    for (name, value) in &tools {
        own.entry(name.as_os_str()).or_insert(value.as_os_str());
    }
    let passed_on = |name: &OsStr| !isolated || is_harmless(name);
    let ours = OURS.iter().filter(|(name, _)| passed_on(name) && !own.contains_key(name.as_os_str()));
    ours.map(|(_, entry)| Ok(Cow::Borrowed(entry.as_c_str())))
        .chain(own.iter().map(|(name, value)| Ok(Cow::Owned(entry(name, value)?))))
        .collect()
}
