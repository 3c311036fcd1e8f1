//! What programs find on an isolated computer, and what they cannot do there.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::*;
use crate::common::harness::{cannot_run, needs};
use crate::run::clock::{Clock, Waited};
use crate::run::command::{Ready, Spec, Template, Values};
use crate::run::limits::Limits;
use crate::run::outcome::{Ending, Run};
use crate::run::program::Program;
use crate::run::streams::Streams;
use crate::run::transcript::Transcript;

const SOON: Duration = Duration::from_secs(20);

/// Ends the test as ignored where this machine gives no namespaces.
fn computers(files: &Files) -> Computers {
    Computers::isolated(files).unwrap_or_else(|why| cannot_run(&format!("no isolated computers: {why}")))
}

fn start(computer: &Arc<Computer>, script: &str) -> Program {
    let spec = Spec {
        command: Template::command(&format!("sh -c {}", shlex::try_quote(script).expect("no NUL")))
            .expect("a command"),
        answers: Vec::new(),
        dir: None,
        env: Vec::new(),
        ready: Ready::Listening,
        computer: Some(Arc::clone(computer)),
    };
    Program::start(&spec, &Values::default(), Streams::TERMINAL, &Limits::default(), &Clock::start())
        .expect("starts")
}

fn play(computer: &Arc<Computer>, script: &str) -> Run {
    let program = start(computer, script);
    assert!(program.wait_end(SOON).seen().is_some(), "{:?}", program.view(Transcript::clone));
    program.finish()
}

fn screen(run: &Run) -> String {
    String::from_utf8_lossy(run.transcript.screen()).into_owned()
}

#[apply(test)]
fn a_program_sees_its_own_computer_only() {
    let computers = computers(&Files::default());
    let run = play(
        &computers.server,
        "cd; pwd; hostname; id -u; id -un; echo $HOME $USER; set -- /proc/[0-9]*; echo $#; ls -1A /tmp /home; \
         test -t 0 && echo tty; stty size; kill -9 -1 2>/dev/null; exit 3",
    );
    // What the environment names as a tool's place may be in /tmp, and is shown wherever it is.
    let first = |path: &std::path::PathBuf| {
        let name = path.strip_prefix("/tmp").ok()?.iter().next()?;
        Some(format!("{}\n", name.to_string_lossy()))
    };
    let tools: std::collections::BTreeSet<String> = exposure::TOOLS.iter().filter_map(first).collect();
    let tools = String::from_iter(tools);
    let expected = format!(
        "/home/student\nserver\n1000\nstudent\n/home/student student\n2\n/home:\nstudent\n\n/tmp:\n{tools}tty\n24 80\n"
    );
    assert_eq!(screen(&run), expected);
    assert_eq!(run.ending, Ending::Exited(3));
    assert_eq!(run.survivors, []);
    let run = play(&computers.client, "hostname; kill -SEGV $$");
    assert_eq!(screen(&run), "client\n");
    assert_eq!(run.ending, Ending::Signalled(Signal::SIGSEGV));
}

#[apply(test)]
fn nothing_that_a_program_starts_outlives_it() {
    let computers = computers(&Files::default());
    let daemon = "setsid env -i sh -c '(trap \"\" TERM HUP INT; sleep 1000; :) & :' </dev/null >/dev/null 2>&1 & wait; \
                  until grep -qx sleep /proc/[0-9]*/comm 2>/dev/null; do :; done; echo done";
    let run = play(&computers.server, daemon);
    assert_eq!(screen(&run), "done\n");
    let names: Vec<&str> = run.survivors.iter().map(|survivor| survivor.command.as_str()).collect();
    assert!(names.contains(&"sleep 1000"), "{names:?}");
    for survivor in &run.survivors {
        assert!(!std::path::Path::new(&format!("/proc/{}", survivor.pid)).exists(), "{survivor:?}");
    }
    let program = start(&computers.server, &format!("{daemon}; sleep 1000"));
    let done = |seen: &Transcript| seen.screen().ends_with(b"done\n").then_some(());
    assert_eq!(program.wait_for(SOON, done), Waited::Seen(Some(())));
    let all: Vec<i32> = program.others().into_iter().chain([program.pid()]).collect();
    assert!(all.len() > 2, "{all:?}");
    drop(program);
    for pid in all {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{pid}");
    }
}

#[apply(test)]
fn what_a_program_has_started_is_counted_also_when_it_has_ended() {
    let computers = computers(&Files::default());
    let swarm = |count: u64| {
        let script = format!("i=0; while [ $i -lt {count} ]; do (:); i=$((i + 1)); done");
        let program = start(&computers.server, &script);
        assert!(program.wait_end(SOON).seen().is_some());
        program.swarm()
    };
    let limit = Limits::default().processes.expect("a limit");
    assert_eq!(swarm(limit), Some((limit + 1, limit)));
    assert_eq!(swarm(limit / 2), None);
}

#[apply(test)]
fn only_working_directories_and_memory_can_be_written_to() {
    let scratch = tempfile::Builder::new().prefix("echolog-").tempdir().expect("a directory");
    let make = |name: &str| {
        let path = scratch.path().join(name);
        std::fs::create_dir(&path).expect("made");
        path
    };
    let (work, tool, hidden) = (make("work"), make("tool"), make("hidden"));
    for path in [&tool, &hidden] {
        std::fs::write(path.join("note"), "text\n").expect("written");
    }
    let files = Files { writable: vec![work.clone()], readable: vec![tool.clone()], ..Files::default() };
    let computers = computers(&files);
    let show = std::path::Path::display;
    let run = play(
        &computers.client,
        &format!(
            "cd {}; echo result > file; cat {}/note; echo x > {1}/new; ls {}; for d in / /etc /usr /usr/bin; do touch $d/echolog-x; done; \
             cat /etc/shadow; for d in /tmp /dev/shm ~; do touch $d/x && echo $d; done; ls /proc/1/fd; cat /proc/1/environ; \
             dd if=/dev/zero of=/tmp/big bs=1M count=150 2>&1 | grep -o 'No space'; cat /proc/mounts | grep -c '/etc ro'; mknod x b 7 0; unshare -Ur mount -o remount,rw /usr; exit 0",
            show(&work),
            show(&tool),
            show(&hidden)
        ),
    );
    let screen = screen(&run);
    assert_eq!(std::fs::read_to_string(work.join("file")).expect("it was written"), "result\n");
    assert!(!std::path::Path::new("/usr/bin/echolog-x").exists() && !tool.join("new").exists());
    for refused in [
        "text\n",
        "tool/new: Read-only file system",
        "hidden': No such file",
        "/usr/bin/echolog-x': Read-only file system",
        "/etc/shadow: Permission denied",
        "\n/tmp\n",
        "\n/dev/shm\n",
        "\n/home/student\n",
        "/proc/1/fd': Permission denied",
        "No space",
        "/proc/1/environ: Permission denied",
        "mknod: x: Operation not permitted",
    ] {
        assert!(screen.contains(refused), "{refused}: {screen}");
    }
    assert!(screen.contains("unshare") || screen.contains("mount"), "{screen}");
    assert_eq!(run.survivors, []);
}

#[apply(test)]
fn a_computer_has_its_address_and_reaches_no_other_network() {
    needs(&["python3"]);
    let computers = computers(&Files::default());
    let script = "python3 -c \"
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((\\\"8.8.8.8\\\", 80)); print(s.getsockname()[0])
print(socket.gethostbyname(socket.gethostname()), socket.gethostbyname(\\\"client\\\"), socket.gethostbyname(\\\"localhost\\\"))
start = time.monotonic()
for place in (\\\"1.2.3.4\\\", 80), (\\\"192.168.1.4\\\", 9), (\\\"example.com\\\", 80), (\\\"::1\\\", 9), (\\\"2001:db8::1\\\", 9):
    try: socket.create_connection(place); print(place)
    except OSError as error: print(type(error).__name__)
try: socket.socket().bind((\\\"10.0.0.1\\\", 0)); print(1)
except OSError as error: print(error.strerror)
print(time.monotonic() - start < 1)
\"";
    let run = play(&computers.server, script);
    assert_eq!(
        screen(&run),
        "192.168.1.3\n192.168.1.3 192.168.1.4 127.0.0.1\nOSError\nConnectionRefusedError\n\
         gaierror\nConnectionRefusedError\nOSError\nCannot assign requested address\nTrue\n"
    );
}

#[apply(test)]
fn this_process_opens_sockets_on_both_computers() {
    needs(&["python3"]);
    let computers = computers(&Files::default());
    // The client's computer: what listens there is the server to it, at every address it may use.
    let mut listeners = Vec::new();
    let at = |address: &str| SocketAddr::new(address.parse::<IpAddr>().expect("an address"), 12345);
    for address in ["192.168.1.3", "127.0.0.1", "::1"] {
        let address = at(address);
        let socket = computers.client.socket(Domain::for_address(address)).expect("a socket");
        socket.bind(&address.into()).expect("bound");
        socket.listen(1).expect("listens");
        listeners.push(socket);
    }
    let connect = |host: &str| {
        format!(
            "python3 -c 'import socket; print(socket.create_connection((\"{host}\", 12345)).getsockname()[0])'"
        )
    };
    for (host, own) in [
        ("server", "192.168.1.4"),
        ("192.168.1.3", "192.168.1.4"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
    ] {
        assert_eq!(screen(&play(&computers.client, &connect(host))), format!("{own}\n"), "{host}");
    }
    // The server's: it sees the client come from the client's computer.
    let program = start(
        &computers.server,
        "python3 -c 'import socket
s = socket.create_server((\"0.0.0.0\", 12345)); c, a = s.accept(); print(a[0]); c.sendall(b\"hello\")'",
    );
    let sockets = computers.server.sockets().expect("a table");
    let listens = || sockets.listening(12345).expect("read");
    assert_eq!(program.clock().watch(SOON, listens), Waited::Seen(at("0.0.0.0")));
    assert_eq!(program.listens_on().expect("read"), [12345].into());
    // The kernel lists the three in any order.
    let listens = computers.client.sockets().expect("a table").listening(12345).expect("read");
    assert!(["192.168.1.3", "127.0.0.1"].map(at).map(Some).contains(&listens), "{listens:?}");
    let socket = computers.server.socket(Domain::IPV4).expect("a socket");
    socket.bind(&SocketAddr::new(CLIENT.into(), 0).into()).expect("bound");
    socket.connect(&SocketAddr::new(SERVER.into(), 12345).into()).expect("connected");
    let mut text = String::new();
    (&socket).read_to_string(&mut text).expect("read");
    assert_eq!(text, "hello");
    assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Exited(0)));
    assert_eq!(screen(&program.finish()), "192.168.1.4\n");
}

#[apply(test)]
fn a_fork_bomb_is_bounded_and_ends_with_its_program() {
    let computers = computers(&Files::default());
    // A shell ends when it can start no more; what it has started stays.
    let program = start(&computers.client, "sleep 1000 & (while :; do sleep 1000 & done) 2>/dev/null; wait");
    let full = || (program.others().len() > 200).then_some(());
    assert_eq!(program.clock().watch(SOON, full), Waited::Seen(()));
    let all = program.others();
    assert!(all.len() <= 1024, "{}", all.len());
    program.time_up();
    let ending = program.finish().ending;
    assert!(matches!(ending, Ending::Hung(_) | Ending::Exited(_)), "{ending:?}");
    for pid in all {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{pid}");
    }
}

#[apply(test)]
fn a_secret_of_the_environment_is_not_passed_on() {
    let computers = computers(&Files::default());
    let names = screen(&play(&computers.client, "env | cut -d= -f1 | sort"));
    let allowed = ["ECHOLOG_UNDER_TEST", "HOME", "LOGNAME", "PATH", "PWD", "TERM", "USER"];
    assert!(allowed.iter().all(|name| names.lines().any(|line| line == *name)), "{names}");
    // cargo sets this for the test itself.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some() && !names.contains("CARGO"), "{names}");
}

#[apply(test)]
fn the_address_is_on_an_interface_that_is_not_the_loopback_one() {
    let computers = computers(&Files::default());
    let run = play(&computers.server, "grep -o '^ *eth0:' /proc/net/dev; cut -f1 /proc/net/route | sort -u");
    if screen(&run) == "Iface\nlo\n" {
        let why = "the kernel has no interfaces that lead nowhere";
        let _ = std::io::stderr().write_all(format!("SKIPPED: {why}\n").as_bytes());
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
        return;
    }
    assert_eq!(screen(&run).trim_start(), "eth0:\nIface\neth0\n");
}

#[apply(test)]
fn where_a_program_listens_is_known_though_it_ended_at_once() {
    let computers = computers(&Files::default());
    needs(&["python3"]);
    let script =
        "python3 -c 'import os, socket; s = socket.socket(); s.bind((\"\", 4711)); s.listen(); os._exit(3)'";
    let program = start(&computers.server, script);
    assert!(program.wait_end(SOON).seen().is_some(), "{:?}", program.view(Transcript::clone));
    assert_eq!(program.listened(), [SocketAddr::from(([0, 0, 0, 0], 4711))]);
    let run = program.finish();
    assert_eq!(run.ending, Ending::Exited(3));
    let script =
        "python3 -c 'import socket; s = socket.socket(); s.bind((\"\", 4711)); s.accept()' 2>&1 | tail -1";
    let program = start(&computers.server, script);
    assert!(program.wait_end(SOON).seen().is_some(), "{:?}", program.view(Transcript::clone));
    assert_eq!(program.listened(), []);
    assert_eq!(screen(&program.finish()), "OSError: [Errno 22] Invalid argument\n");
}
