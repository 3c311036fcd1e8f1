//! Waiting until the server is ready: until it has printed the line that says so, or listens and is idle.

use std::time::Duration;

use super::feed::type_answers;
use super::idle::idle;
use crate::run::clock::Clock;
use crate::run::command::{Ready, Spec, Values};
use crate::run::program::Program;
use crate::run::sockets::Sockets;

/// Whether the server became ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It did, this long after the start of the session.
    Ready(Duration),
    /// It ended first. No client was started.
    Died,
    /// It ran on until time was up without listening. No client was started.
    NeverListened,
}

/// How long a server that listens must be idle before its banner counts as complete. Part of that time
/// the kernel's own threads need to deliver what the server has written.
const IDLE: Duration = Duration::from_millis(5);
/// How long the banner of a server is waited for that is never idle.
const BANNER: Duration = Duration::from_secs(1);

/// Types the server's answers and waits until it is ready.
pub(super) fn await_ready(
    server: &Program,
    spec: &Spec,
    values: &Values,
    port: u16,
    until: Duration,
    clock: &Clock,
) -> anyhow::Result<Readiness> {
    if type_answers(server, spec, values, until).is_err() {
        return Ok(if server.ending().is_some() { Readiness::Died } else { Readiness::NeverListened });
    }
    let sockets = Sockets::open()?;
    // Its end, if it has come before it was ready.
    let died = || server.ending().map(|_| Readiness::Died);
    let mut line = 0;
    let ready = match &spec.ready {
        Ready::Line(begin) => clock.wait(until, || {
            let died = died();
            let seen = server.view(|seen| {
                let new = &seen.screen()[line..];
                let whole = new.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n"));
                let mut whole = whole.inspect(|text| line += text.len());
                whole.any(|line| line.starts_with(begin.as_bytes()))
            });
            if seen { Some(Ok(Readiness::Ready(clock.now()))) } else { died.map(Ok) }
        }),
        Ready::Listening => {
            let listens = clock.watch(until, || {
                let died = died();
                match sockets.listening(port) {
                    Ok(Some(_)) => Some(Ok(Readiness::Ready(clock.now()))),
                    Ok(None) => died.map(Ok),
                    Err(error) => Some(Err(error)),
                }
            });
            await_banner(server, clock);
            listens
        }
    };
    ready.seen().unwrap_or(Ok(Readiness::NeverListened))
}

/// Waits until a server that listens has printed its banner: until it has been idle for [`IDLE`], as in
/// accept(2). A server that is never idle is waited for no longer than [`BANNER`].
fn await_banner(server: &Program, clock: &Clock) {
    let watcher = server.watcher();
    let mut since_then = None;
    let _ = clock.watch(clock.now() + BANNER, || {
        let (now, turns) = (clock.now(), idle(&watcher, false));
        match (turns, since_then) {
            (Some(turns), Some((since, before))) if turns == before => (now >= since + IDLE).then_some(()),
            _ => {
                since_then = turns.map(|turns| (now, turns));
                None
            }
        }
    });
}
