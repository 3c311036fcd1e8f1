//! What a program under test finds, does and leaves behind.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::*;
use crate::common::harness::needs;
use crate::common::tools::copy_program;
use crate::run::clock::Waited;
use crate::run::command::{Ready, Spec, Template, Values};
use crate::run::transcript::Transcript;

const SOON: Duration = Duration::from_secs(20);

fn spec(command: &str) -> Spec {
    Spec {
        command: Template::command(command).expect("a command"),
        answers: Vec::new(),
        dir: None,
        env: Vec::new(),
        ready: Ready::Listening,
        computer: None,
    }
}

fn shell(script: &str) -> Spec {
    spec(&format!("sh -c {}", shlex::try_quote(script).expect("no NUL")))
}

fn start(spec: &Spec, streams: Streams, limits: &Limits) -> Program {
    Program::start(spec, &Values::default(), streams, limits, &Clock::start()).expect("starts")
}

fn at_terminal(spec: &Spec) -> Program {
    start(spec, Streams::TERMINAL, &Limits::default())
}

fn shows(program: &Program, text: &str) -> bool {
    let find = |seen: &Transcript| memchr::memmem::find(seen.screen(), text.as_bytes()).map(drop);
    matches!(program.wait_for(SOON, find), Waited::Seen(Some(())))
}

fn lives(pid: i32) -> bool {
    // One that has ended and waits for its (new) parent to notice has no memory any more.
    std::fs::read_to_string(format!("/proc/{pid}/statm")).is_ok_and(|text| !text.starts_with("0 "))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[apply(test)]
fn a_program_at_a_terminal_shows_what_is_typed_and_what_it_writes_to_the_byte() {
    let program = at_terminal(&shell("printf 'name? '; read x; printf 'hi %s\\r\\n' \"$x\"; exit 3"));
    assert_eq!(program.wait_at_terminal(SOON), Waited::Seen(true));
    program.type_bytes("Zoë\n".as_bytes());
    assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Exited(3)));
    let run = program.finish();
    assert_eq!(text(run.transcript.screen()), "name? Zoë\nhi Zoë\r\n");
    assert_eq!(text(run.transcript.typed()), "Zoë\n");
    assert_eq!(run.ending, Ending::Exited(3));
    assert_eq!(run.survivors, []);
    assert!(run.started < run.ended);
}

#[apply(test)]
fn streams_are_kept_apart_where_they_are_pipes() {
    let streams = Streams { input: Input::Pipe, output: Output::Pipe, errors: Errors::Apart };
    let program =
        start(&shell("cat; echo oops >&2; test -t 0 || test -t 1 || exit 4"), streams, &Limits::default());
    let long = vec![b'x'; 1 << 20];
    program.type_bytes(&long);
    program.end_input();
    assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Exited(4)));
    let run = program.finish();
    assert!(run.transcript.screen() == long);
    assert_eq!(text(run.transcript.errors()), "oops\n");
}

#[apply(test)]
fn the_end_of_input_is_typed_at_a_terminal() {
    let program = at_terminal(&spec("cat"));
    program.type_bytes(b"one\n");
    program.end_input();
    assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Exited(0)));
    assert_eq!(text(program.finish().transcript.screen()), "one\none\n");
}

#[apply(test)]
fn a_line_that_was_read_is_waited_for_no_longer_however_seldom_its_reader_ran() {
    let program = at_terminal(&spec("cat"));
    assert_eq!(program.wait_at_terminal(SOON), Waited::Seen(true));
    // As if it had been on a processor when a line was typed, and had read it before it gave that up.
    lock(&program.session).will_be_typed_at(program.keyboard().expect("a terminal"));
    assert_eq!(program.wait_at_terminal(SOON), Waited::Seen(true));
}

#[apply(test)]
fn a_line_that_nobody_has_read_is_seen() {
    let program = at_terminal(&shell("sleep 1000 & read line; wait"));
    program.type_bytes(b"one\n");
    let is_read = || (!program.activity().unread).then_some(());
    assert_eq!(program.clock().watch(SOON, is_read), Waited::Seen(()));
    program.type_bytes(b"two\n");
    for _ in 0..3 {
        assert!(program.activity().unread);
    }
}

#[apply(test)]
fn a_program_finds_a_plain_world_whatever_the_harness_was_started_in() {
    let program = at_terminal(&shell(
        "echo $TERM-$PYTHONUNBUFFERED; stty size; ls /proc/self/fd | wc -l; tail -1 /dev/null; \
         grep -E 'Sig(Blk|Ign)' /proc/self/status | cut -c 18-; ulimit -c; ulimit -Sn",
    ));
    assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Exited(0)));
    let screen = text(program.finish().transcript.screen());
    // ls has its own directory open, besides the three.
    // Of the signals, those up to 28 have names; the C library keeps others to itself.
    let (files, _) = crate::run::image::FILES.expect("the limit on open files");
    assert_eq!(screen, format!("dumb-\n24 80\n4\n0000000\n0000000\n0\n{files}\n"));
}

#[apply(test)]
fn a_command_that_is_missing_or_cannot_be_executed_is_a_usage_fault() {
    let dir = tempfile::tempdir().expect("a directory");
    let place = |name: &str, text: &str, mode| {
        use std::os::unix::fs::PermissionsExt;
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        path.display().to_string()
    };
    let plain = place("plain", "#!/bin/sh\n", 0o644);
    let orphan = place("orphan", "#!/no/such/interpreter\n", 0o755);
    for command in ["no-such-command-at-all", "./no/such/file", "/", &plain, &orphan] {
        let error = Program::start(
            &spec(command),
            &Values::default(),
            Streams::TERMINAL,
            &Limits::default(),
            &Clock::start(),
        )
        .expect_err(command);
        assert_eq!(crate::error::exit(&error), crate::error::Exit::Usage, "{error:#}");
    }
}

#[apply(test)]
fn a_relative_command_is_seen_from_the_directory_it_runs_in() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(dir.path().join("sub")).expect("made");
    copy_program("/bin/cat", dir.path().join("sub/mine"));
    std::fs::write(dir.path().join("note"), "found\n").expect("written");
    let program = at_terminal(&Spec { dir: Some(dir.path().to_owned()), ..spec("./sub/mine note") });
    assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Exited(0)));
    assert_eq!(text(program.finish().transcript.screen()), "found\n");
}

#[apply(test)]
fn a_program_that_floods_is_killed_and_what_it_showed_is_bounded() {
    let limits = Limits { output: 100_000, ..Limits::default() };
    let program = start(&spec("yes"), Streams::TERMINAL, &limits);
    assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Flooded));
    let pid = program.pid();
    let run = program.finish();
    assert_eq!(run.ending, Ending::Flooded);
    assert!((100_000..300_000).contains(&run.transcript.screen().len()));
    assert!(!lives(pid));
}

#[apply(test)]
fn what_was_half_written_when_time_was_up_is_kept() {
    let program = at_terminal(&shell("printf half; sleep 1000"));
    assert!(shows(&program, "half"));
    assert_eq!(program.wait_end(program.clock.now()), Waited::TimeUp);
    program.time_up();
    let run = program.finish();
    assert_eq!(
        (text(run.transcript.screen()), run.ending),
        ("half".to_owned(), Ending::Hung(Signal::SIGTERM))
    );
}

#[apply(test)]
fn the_signal_that_ended_a_hung_program_is_told() {
    for (traps, signal) in [("TERM", Signal::SIGHUP), ("TERM HUP", Signal::SIGKILL)] {
        let program = at_terminal(&shell(&format!("trap '' {traps}; echo up; while :; do sleep 1000; done")));
        assert!(shows(&program, "up"));
        let pid = program.pid();
        program.time_up();
        assert_eq!(program.finish().ending, Ending::Hung(signal));
        assert!(!lives(pid));
    }
    let program = at_terminal(&shell("kill -STOP $$"));
    program.time_up();
    assert_eq!(program.finish().ending, Ending::Hung(Signal::SIGTERM));
}

#[apply(test)]
fn a_signal_of_its_own_is_told_from_ours() {
    let program = at_terminal(&shell("kill -SEGV $$"));
    assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Signalled(Signal::SIGSEGV)));
    assert_eq!(program.finish().ending, Ending::Signalled(Signal::SIGSEGV));
}

#[apply(test)]
fn a_grandchild_in_a_session_of_its_own_is_found_and_killed() {
    for streams in [Streams::TERMINAL, Streams { errors: Errors::Apart, ..Streams::TERMINAL }] {
        let program = start(
            &shell("(setsid sh -c 'trap \"\" TERM HUP; echo pid $$.; sleep 1000; :' &) ; sleep 0.2"),
            streams,
            &Limits::default(),
        );
        assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Exited(0)));
        let run = program.finish();
        let screen = text(run.transcript.screen());
        let pid: i32 = screen["pid ".len()..screen.find('.').expect("a pid")].parse().expect("a number");
        assert!(!lives(pid));
        assert!(run.survivors.iter().any(|survivor| survivor.pid == pid), "{:?}", run.survivors);
        assert!(run.survivors.iter().any(|survivor| survivor.command == "sleep 1000"), "{:?}", run.survivors);
    }
}

#[apply(test)]
fn a_helper_that_ends_soon_after_its_parent_is_no_survivor() {
    let program = at_terminal(&shell("(sleep 0.1 &) ; echo done"));
    assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Exited(0)));
    assert_eq!(program.finish().survivors, []);
}

#[apply(test)]
fn a_program_that_is_dropped_is_gone_with_all_it_started() {
    let program = at_terminal(&shell("setsid sleep 1000 & echo pid $!.; wait"));
    assert!(shows(&program, "."));
    let screen = program.view(|seen| text(seen.screen()));
    let pid: i32 = screen["pid ".len()..screen.find('.').expect("a pid")].parse().expect("a number");
    assert!(lives(pid));
    let leader = program.pid();
    drop(program);
    assert!(!lives(pid) && !lives(leader));
}

#[apply(test)]
fn limits_bound_memory_and_processor_time() {
    needs(&["python3"]);
    let limits =
        Limits { address_space: Some(200 << 20), cpu: Some(Duration::from_millis(500)), ..Limits::default() };
    let greedy = start(&spec("python3 -c 'x = bytearray(1 << 30)'"), Streams::TERMINAL, &limits);
    assert_eq!(greedy.wait_end(SOON), Waited::Seen(Ending::Exited(1)));
    assert!(text(greedy.finish().transcript.screen()).contains("MemoryError"));
    let busy = start(&shell("while :; do :; done"), Streams::TERMINAL, &limits);
    assert_eq!(busy.wait_end(SOON), Waited::Seen(Ending::Signalled(Signal::SIGXCPU)));
}

#[apply(test)]
fn a_program_that_waits_for_its_terminal_is_told_from_one_that_waits_for_something_else() {
    needs(&["python3"]);
    let wait =
        |how: &str| format!("python3 -c 'import os,sys,select,socket\na,b = socket.socketpair()\n{how}'");
    for how in [
        "sys.stdin.readline()",
        "input()",
        "select.select([0, a], [], [])",
        "p = select.poll(); p.register(0, 1); p.register(a, 1); p.poll()",
        "p = select.epoll(); p.register(0, 1); p.poll()",
    ] {
        let program = at_terminal(&spec(&wait(how)));
        assert_eq!(program.wait_at_terminal(SOON), Waited::Seen(true), "{how}");
    }
    for how in [
        "print(1); a.recv(1)",
        "print(1); select.select([a], [], [])",
        "print(1); a.settimeout(99); a.recv(1)",
    ] {
        let program = at_terminal(&spec(&wait(how)));
        assert!(shows(&program, "1"));
        let mut turns = None;
        let rests = program.clock.watch(SOON, || {
            let seen = program.watcher().activity().expect("it runs");
            let before = turns.replace(seen.turns);
            (!seen.running && before == Some(seen.turns)).then_some(seen)
        });
        assert!(!rests.seen().expect("it rests").at_terminal, "{how}");
    }
}

#[apply(test)]
fn a_program_behind_a_shell_is_seen_waiting_too() {
    needs(&["python3"]);
    let program = at_terminal(&shell("python3 -c 'input()'; exit $?"));
    assert_eq!(program.wait_at_terminal(SOON), Waited::Seen(true));
}
