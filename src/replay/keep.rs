//! Keeping everything of a failed session in a directory of its own.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::drive::Drive;
use super::fixture::Fixture;
use super::session::Outcome;
use super::verdict::Failure;
use crate::proxy::{Direction, Tape};

/// Keeps everything of a failed session in a directory of its own.
pub(super) fn keep(
    keep: &Path,
    fixture: &Fixture,
    drive: Drive,
    failure: &Failure,
    played: &Outcome,
) -> Result<()> {
    let name = format!("{}-{drive}-{}", fixture.name, failure.wire).replace([':', '/'], "-");
    let dir = keep.join(name);
    let write = |name: &str, bytes: &[u8]| {
        fs::write(dir.join(name), bytes).with_context(|| format!("cannot keep {}", dir.display()))
    };
    fs::create_dir_all(&dir).with_context(|| format!("cannot keep {}", dir.display()))?;
    write("messages.txt", &fixture.typed)?;
    write("again.txt", format!("{}\n", failure.again).as_bytes())?;
    let runs = [("server", Some(&played.server)), ("client", played.client.as_ref())];
    for (who, run) in runs.iter().filter_map(|(who, run)| Some((who, (*run)?))) {
        write(&format!("{who}.screen"), run.transcript.screen())?;
        write(&format!("{who}.stderr"), run.transcript.errors())?;
    }
    if let Some(tape) = &played.tape {
        write("tape.txt", tape_lines(tape).as_bytes())?;
    }
    Ok(())
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
