//! `make demo`, as it is seen: where CI runs, without tmux, by a person, and inside a person's tmux.

use predicates::prelude::*;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{self, DEADLINE, ECHOLOG, Running, needs};

const MESSAGES: [&str; 2] = ["hello", "and again"];

/// The demo without its pauses; what it leaves behind would be in `own`.
fn demo(own: &Path) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/demo.sh"));
    command.env("ECHOLOG", ECHOLOG).env("DEMO_PACE", "0").env("TMPDIR", own).env_remove("CI");
    command.stdin(Stdio::null());
    command
}

/// Nothing is left in `own`, and nothing runs that was started from there.
#[track_caller]
fn leaves_nothing(own: &Path) {
    let left: Vec<_> = std::fs::read_dir(own).expect("it is there").filter_map(Result::ok).collect();
    assert!(left.is_empty(), "{left:?}");
    let own = own.to_str().expect("temporary paths are plain");
    let runs = std::fs::read_dir("/proc").expect("it is there").filter_map(Result::ok).any(|process| {
        std::fs::read(process.path().join("cmdline")).is_ok_and(|line| {
            memchr::memmem::find(&line, own.as_bytes()).is_some()
                && memchr::memmem::find(&line, b"tmux").is_some()
        })
    });
    assert!(!runs, "a tmux of the demo runs on");
}

#[apply(test)]
fn where_ci_runs_the_demo_plays_itself_and_shows_both_whole_screens() {
    needs(&["tmux"]);
    let own = tempfile::tempdir().expect("a directory");
    let ended = Running::start(demo(own.path()).env("CI", "true")).ends_within(Duration::from_secs(60));
    assert_eq!((ended.err.as_str(), ended.status.code()), ("", Some(0)), "{ended}");
    let (server, rest) = ended.out.split_once("--- client\n").expect("two screens");
    let (client, rest) = rest.split_once("\nTo do it yourself").expect("what to type");
    for message in MESSAGES {
        assert!(server.contains(&format!("server received message: \"{message}\"\n")), "{server}");
        assert!(client.contains(&format!("client sending message: \"{message}\"\n")), "{client}");
    }
    assert!(
        server.starts_with("--- server\n$ echolog server 10000-20000\nserver is at address: "),
        "{server}"
    );
    assert!(server.ends_with("the client has informed the server that it is quitting\n$\n"), "{server}");
    let log = format!("client received message log:\n{}\n{}\n$\n", MESSAGES[0], MESSAGES[1]);
    assert!(client.ends_with(&log), "{client}");
    assert!(rest.contains(" server 12345\n") && rest.contains(" client localhost 12345\n"), "{rest}");
    leaves_nothing(own.path());
}

/// A directory with every tool of this machine but tmux.
fn tools_but_tmux() -> tempfile::TempDir {
    let tools = tempfile::tempdir().expect("a directory");
    for directory in ["/bin", "/usr/bin"] {
        for tool in std::fs::read_dir(directory).expect("it is there").filter_map(Result::ok) {
            if tool.file_name() != "tmux" {
                let _ = symlink(tool.path(), tools.path().join(tool.file_name()));
            }
        }
    }
    tools
}

#[apply(test)]
fn without_tmux_the_demo_shows_two_columns() {
    let own = tempfile::tempdir().expect("a directory");
    let tools = tools_but_tmux();
    let ended = Running::start(demo(own.path()).env("CI", "true").env("PATH", tools.path())).ends();
    shows_two_columns(&ended);
    leaves_nothing(own.path());
}

#[apply(test)]
fn without_a_terminal_the_demo_shows_two_columns() {
    let own = tempfile::tempdir().expect("a directory");
    shows_two_columns(&Running::start(&mut demo(own.path())).ends());
    leaves_nothing(own.path());
}

/// A bash that waits for a command forgets a Ctrl-C that comes just as the command ends.
#[apply(test)]
fn the_two_columns_need_no_command_that_could_swallow_ctrl_c() {
    let own = tempfile::tempdir().expect("a directory");
    let tools = tools_but_tmux();
    let running = Running::start(demo(own.path()).env("DEMO_PACE", "0.1").env("PATH", tools.path()));
    running.shows("┼");
    for tool in std::fs::read_dir(tools.path()).expect("it is there").filter_map(Result::ok) {
        // What the end of the demo needs.
        if tool.file_name() != "cat" && tool.file_name() != "rm" {
            std::fs::remove_file(tool.path()).expect("the tool is removed");
        }
    }
    shows_two_columns(&running.ends());
    leaves_nothing(own.path());
}

/// The two columns, 100 wide, in the order of cause and effect.
#[track_caller]
fn shows_two_columns(ended: &common::Ended) {
    assert_eq!((ended.err.as_str(), ended.status.code()), ("", Some(0)), "{ended}");
    let (columns, rest) = ended.out.split_once("\nTo do it yourself").expect("what to type");
    assert!(rest.contains(" server 12345\n") && rest.contains(" client localhost 12345\n"), "{rest}");
    let mut lines = columns.lines().map(|line| line.split_once('│').unwrap_or((line, "")));
    assert_eq!(lines.next().map(|(left, right)| (left.trim_end(), right)), Some(("server", " client")));
    assert!(lines.next().is_some_and(|(left, _)| left.starts_with("──")), "{ended}");
    let shown: Vec<String> = lines
        .map(|(left, right)| match right.trim_start() {
            "" => left.trim_end().to_owned(),
            right => format!("client: {right}"),
        })
        .collect();
    let value = |label: &str| {
        let line = shown.iter().find_map(|line| line.strip_prefix(label));
        line.unwrap_or_else(|| panic!("{label}\n{ended}")).to_owned()
    };
    let (address, port) = (value("server is at address: "), value("server is using port: "));
    let mut wanted = vec![
        "$ echolog server 10000-20000".to_owned(),
        format!("server is at address: {address}"),
        format!("server is using port: {port}"),
        format!("client: $ echolog client {address} {port}"),
        "client: client has connected to the server!".to_owned(),
        format!("server connected to client at address: {address}"),
    ];
    for message in MESSAGES {
        wanted.push(format!("client: enter a message to send to server: {message}"));
        wanted.push(format!("client: client sending message: \"{message}\""));
        wanted.push(format!("server received message: \"{message}\""));
    }
    wanted.extend([
        "client: enter a message to send to server: quit".to_owned(),
        "client: client informing server that it is quitting.".to_owned(),
        "the client has informed the server that it is quitting".to_owned(),
        "client: client received message log:".to_owned(),
    ]);
    wanted.extend(MESSAGES.map(|message| format!("client: {message}")));
    assert_eq!(shown, wanted, "{ended}");
    assert!(columns.lines().all(|line| line.chars().count() <= 100), "{ended}");
}

#[apply(test)]
fn a_program_that_does_not_work_is_told_and_not_waited_for() {
    let own = tempfile::tempdir().expect("a directory");
    let ended = Running::start(demo(own.path()).env("ECHOLOG", "/bin/false")).ends();
    ended.assert().stderr(predicate::str::contains("error: the demo is stuck: the server ended\n"));
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    leaves_nothing(own.path());
}

/// A tmux that stands for a person's terminal, or for a person's own tmux.
struct Tmux {
    directory: tempfile::TempDir,
}

impl Tmux {
    fn start(command: &str) -> Self {
        let tmux = Tmux { directory: tempfile::tempdir().expect("a directory") };
        tmux.run(&["new-session", "-d", "-s", "person", "-x", "100", "-y", "30", command]);
        tmux
    }

    fn run(&self, args: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.directory.path().join("socket")).args(["-f", "/dev/null"]).args(args);
        let ended = common::run(command.env_remove("TMUX").stdin(Stdio::null()));
        assert_eq!((ended.err.as_str(), ended.status.code()), ("", Some(0)), "{ended}");
        ended.out
    }

    fn screen(&self) -> String {
        self.run(&["capture-pane", "-p", "-t", "person"])
    }

    /// Waits until `text` is on the screen.
    #[track_caller]
    fn shows(&self, text: &str) -> String {
        let end = Instant::now() + 3 * DEADLINE;
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return screen;
            }
            assert!(Instant::now() < end, "{text:?} is not shown\n{screen}");
            std::thread::yield_now();
        }
    }

    fn keys(&self, keys: &[&str]) {
        self.run(&[&["send-keys", "-t", "person"], keys].concat());
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.directory.path().join("socket")).arg("kill-server");
        let _ = command.stderr(Stdio::null()).status();
    }
}

/// A person's shell in a tmux, at its prompt.
fn persons_shell() -> Tmux {
    let tmux = Tmux::start("env PS1='person> ' TERM=screen bash --noprofile --norc");
    tmux.shows("person>");
    tmux
}

/// The command line that a person types for the demo.
fn typed(own: &Path, settings: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/demo.sh");
    format!("clear; env -u CI ECHOLOG={ECHOLOG} TMPDIR={} {settings} {script}; echo code $?", own.display())
}

#[apply(test)]
fn a_person_sees_two_panes_and_captions_and_gets_the_terminal_back_as_it_was() {
    needs(&["tmux"]);
    let own = tempfile::tempdir().expect("a directory");
    // The demo runs inside the person's own tmux, where a tmux of its own must not get in the way.
    let tmux = persons_shell();
    let settings = tmux.run(&["show-options", "-g"]);
    let terminal = "stty -g > before";
    tmux.keys(&["-l", &format!("cd {} && {terminal}", tmux.directory.path().display())]);
    tmux.keys(&["Enter"]);
    tmux.keys(&["-l", &typed(own.path(), "DEMO_PACE=0")]);
    tmux.keys(&["Enter"]);
    let screen = tmux.shows("That was all of it. Press q.");
    for text in ["server received message:", "│", "client received message log:", " server ", " client "] {
        assert!(screen.contains(text), "{text}\n{screen}");
    }
    // Only leaving is possible; what is typed does not reach the panes.
    tmux.keys(&["-l", "xyz"]);
    tmux.keys(&["q"]);
    let screen = tmux.shows("code 0");
    assert!(!screen.contains("server received message"), "the panes are gone\n{screen}");
    assert!(!screen.contains("xyz"), "{screen}");
    assert!(!screen.contains("detached"), "{screen}");
    assert!(screen.contains("To do it yourself"), "{screen}");
    tmux.keys(&["-l", "stty -g | cmp - before && echo the same terminal"]);
    tmux.keys(&["Enter"]);
    tmux.shows("\nthe same terminal");
    assert_eq!(tmux.run(&["show-options", "-g"]), settings);
    assert_eq!(tmux.run(&["list-windows", "-a"]).lines().count(), 1);
    leaves_nothing(own.path());
}

#[apply(test)]
fn a_person_can_leave_the_demo_at_any_time() {
    needs(&["tmux"]);
    for key in ["q", "C-c", "Escape"] {
        let own = tempfile::tempdir().expect("a directory");
        let tmux = persons_shell();
        tmux.keys(&["-l", &typed(own.path(), "DEMO_PACE=1")]);
        tmux.keys(&["Enter"]);
        tmux.shows("A server on the left, a client on the right.");
        tmux.keys(&[key]);
        let screen = tmux.shows("code 0");
        assert!(screen.contains("The demo was left before its end."), "{screen}");
        leaves_nothing(own.path());
    }
}

#[apply(test)]
fn ctrl_c_ends_the_two_columns_with_nothing_left_running() {
    needs(&["tmux"]);
    let own = tempfile::tempdir().expect("a directory");
    let tmux = persons_shell();
    tmux.keys(&["-l", &typed(own.path(), "DEMO_PACE=5").replace("demo.sh", "demo.sh --columns")]);
    tmux.keys(&["Enter"]);
    tmux.shows("server is using port: ");
    tmux.keys(&["C-c"]);
    tmux.shows("code 130");
    leaves_nothing(own.path());
}

#[apply(test)]
fn ctrl_c_while_the_panes_are_made_leaves_no_tmux_behind() {
    needs(&["tmux"]);
    let own = tempfile::tempdir().expect("a directory");
    let tools = tempfile::tempdir().expect("a directory");
    let pressed = tools.path().join("pressed");
    // A tmux that has begun its server, and does not end before Ctrl-C was pressed.
    let slow = format!(
        "#!/bin/sh\nPATH=${{PATH#*:}}\ntmux \"$@\" || exit\ncase \"$*\" in *new-session*) ;; *) exit ;; esac\n\
         echo it has begun >/dev/tty\nuntil [ -e {} ]; do sleep 0.01; done\n",
        pressed.display()
    );
    let (_kept, slow) = common::file_with(slow);
    let mut install = Command::new("install");
    common::run(install.args(["-m", "755", &slow]).arg(tools.path().join("tmux"))).is(0, "", "");
    let tmux = persons_shell();
    tmux.keys(&["-l", &typed(own.path(), &format!("PATH={}:$PATH", tools.path().display()))]);
    tmux.keys(&["Enter"]);
    tmux.shows("it has begun");
    tmux.keys(&["C-c"]);
    tmux.shows("^C");
    std::fs::write(&pressed, "").expect("it is written");
    tmux.shows("code 130");
    leaves_nothing(own.path());
}

#[apply(test)]
fn a_terminal_that_tmux_does_not_know_gets_two_columns() {
    needs(&["tmux"]);
    let own = tempfile::tempdir().expect("a directory");
    let tmux = persons_shell();
    tmux.keys(&["-l", &typed(own.path(), "DEMO_PACE=0 TERM=no-such-terminal")]);
    tmux.keys(&["Enter"]);
    let screen = tmux.shows("code 0");
    assert!(screen.contains("│ client received message log:"), "{screen}");
    leaves_nothing(own.path());
}
