//! Keeping sessions on disk: everything of a failed one, and recordings of both screens.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::cast::asciicast;
use super::drive::Drive;
use super::fixture::Fixture;
use super::session::Outcome;
use super::verdict::Failure;
use crate::proxy::{Direction, Tape, Wire};
use crate::results::Role;
use crate::run::program::Run;

/// Keeps everything of a failed session in a directory of its own in `keep`.
pub(super) fn keep(
    keep: &Path,
    fixture: &Fixture,
    drive: Drive,
    failure: &Failure,
    played: &Outcome,
) -> Result<()> {
    let dir = Dir::make(keep, fixture, drive, failure.wire)?;
    dir.write("messages.txt", &fixture.typed)?;
    dir.write("again.txt", format!("{}\n", failure.again).as_bytes())?;
    for (role, run) in programs(played) {
        dir.write(&format!("{role}.screen"), run.transcript.screen())?;
        dir.write(&format!("{role}.stderr"), run.transcript.errors())?;
    }
    if let Some(tape) = &played.tape {
        dir.write("tape.txt", tape_lines(tape).as_bytes())?;
    }
    dir.write_casts(played)
}

/// Writes a recording of both screens of a session into a directory of its own in `record`.
pub(super) fn record(
    record: &Path,
    fixture: &Fixture,
    drive: Drive,
    wire: Wire,
    played: &Outcome,
) -> Result<()> {
    Dir::make(record, fixture, drive, wire)?.write_casts(played)
}

/// The directory of one session.
struct Dir {
    path: PathBuf,
    /// The session's name.
    name: String,
}

impl Dir {
    fn make(parent: &Path, fixture: &Fixture, drive: Drive, wire: Wire) -> Result<Dir> {
        let name = format!("{}::{drive}::{wire}", fixture.name);
        // The name of a directory: a fixture may be named by its path.
        let path = parent.join(name.replace("::", "-").replace([':', '/'], "-"));
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Dir { path, name })
    }

    fn write(&self, file: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(file);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }

    fn write_casts(&self, played: &Outcome) -> Result<()> {
        for (role, run) in programs(played) {
            let cast = asciicast(&format!("{}: {role}", self.name), &run.transcript, run.ended);
            self.write(&format!("{role}.cast"), cast.as_bytes())?;
        }
        Ok(())
    }
}

/// The programs of a session that were started, with their names.
fn programs(played: &Outcome) -> impl Iterator<Item = (&'static str, &Run)> {
    let client = played.client.as_ref().map(|client| (Role::Client.word(), client));
    std::iter::once((Role::Server.word(), &played.server)).chain(client)
}

/// A tape as text: time, connection, direction, and what came.
fn tape_lines(tape: &Tape) -> String {
    let mut lines = Vec::new();
    for (number, connection) in tape.connections.iter().enumerate() {
        lines.push((connection.at, format!("{:10.6} {number} connected\n", connection.at.as_secs_f64())));
        for (direction, flow) in
            [(Direction::ToServer, &connection.to_server), (Direction::ToClient, &connection.to_client)]
        {
            let mut line = |at: Duration, received: String| {
                lines.push((at, format!("{:10.6} {number} {direction} {received}\n", at.as_secs_f64())));
            };
            for (at, piece) in flow.pieces() {
                line(at, format!("\"{}\"", piece.escape_ascii()));
            }
            if let Some((at, end)) = flow.ended.zip(flow.end) {
                line(at, end.to_string().to_uppercase());
            }
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    lines.into_iter().map(|(_, line)| line).collect()
}
