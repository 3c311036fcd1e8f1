//! Waiting until the server is ready: until it has printed the line that says so, or listens and is quiet.

use std::time::Duration;

use anyhow::Context as _;

use super::feed::type_answers;
use crate::run::clock::Clock;
use crate::run::command::{Ready, Spec, Values};
use crate::run::program::Program;
use crate::run::quiet::{Quiet, State};
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

/// How long the banner of a server is waited for that is never quiet.
const BANNER: Duration = Duration::from_secs(1);

/// Types the server's answers and waits until it is ready.
pub(super) fn await_ready(
    server: &Program,
    spec: &Spec,
    values: &Values,
    sockets: &Sockets,
    until: Duration,
    clock: &Clock,
) -> anyhow::Result<Readiness> {
    if type_answers(server, spec, values, until).is_err() {
        return Ok(if server.ending().is_some() { Readiness::Died } else { Readiness::NeverListened });
    }
    let port = values.port.context("a session has a port")?;
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

/// Waits until a server that listens has printed its banner: until it is quiet, as in accept(2). A server
/// that is never quiet is waited for no longer than [`BANNER`].
fn await_banner(server: &Program, clock: &Clock) {
    let watcher = server.watcher();
    let (mut quiet, mut shown) = (Quiet::default(), 0);
    let _ = clock.watch(clock.now() + BANNER, || {
        let screen = server.view(|seen| seen.screen().len());
        let moved = std::mem::replace(&mut shown, screen) != screen || !watcher.took_all();
        (quiet.look(clock.now(), moved, &[watcher.activity()]) != State::Active).then_some(())
    });
}
