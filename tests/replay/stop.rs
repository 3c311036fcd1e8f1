//! Ctrl-C: a replay stops at once, leaves nothing running, and reports what had been done.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Replay, Told as _, processes_with, server};
use crate::common::{self, DEADLINE, Running, file_with};

#[apply(test)]
fn ctrl_c_stops_a_replay_at_once_and_reports_what_had_been_done() {
    common::needs(&["python3"]);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let (_keep, report) = file_with("");
        let never_ends = server("ignores-signals");
        let arguments = ["fixtures/quit-at-once", "fixtures/one-message", "--wire", "direct", "--jobs", "1"];
        let programs = ["--server", &never_ends, "--timeout", "60", "--format", "tap", "--output", &report];
        let mut replay = Replay::of(&arguments).and(&programs);
        let running = Running::start(&mut replay.command);
        // The replay itself, the server, and the client: the session is being played.
        let deadline = Instant::now() + DEADLINE;
        while processes_with(&replay.mark).len() < 3 {
            assert!(Instant::now() < deadline, "no session is played");
            std::thread::yield_now();
        }
        let stopped = Instant::now();
        kill(Pid::from_raw(i32::try_from(running.id()).expect("a pid")), signal).expect("it runs");
        let ended = running.ends();
        assert!(stopped.elapsed() < Duration::from_secs(2), "{:?}\n{ended}", stopped.elapsed());
        assert_eq!(processes_with(&replay.mark), [0; 0], "{ended}");
        assert_eq!(ended.status.code(), Some(1), "{ended}");
        ended.says("6 cases: 0 passed, 6 stopped").says("error: stopped before the end");
        let report = std::fs::read_to_string(&report).expect("it was written");
        let bails_out =
            report.starts_with("Bail out! stopped, so that these were not judged: quit-at-once::script");
        assert!(bails_out && report.contains("one-message::terminal::direct\n"), "{report}");
    }
}
