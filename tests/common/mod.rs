//! What tests that run programs share: programs under a deadline, what their screens said, and what
//! to do on a machine that lacks a tool.
//!
//! What holds: nothing here sleeps to wait for something; every wait has a deadline and says on
//! failing what was seen until then; and a program that a test started is gone when the test is.

#[macro_use]
pub mod harness;
pub mod network;
pub mod tools;

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::assert::Assert;
pub use harness::needs;
use predicates::prelude::*;

/// Longest wait for anything that should happen at once. Generous: it is only used up on failure.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The program under test.
pub const ECHOLOG: &str = env!("CARGO_BIN_EXE_echolog");

/// Ports for one server, which takes the first free one: others than those of any server before it, and outside of
/// what replay and check choose from. So a port that a server has closed is nobody else's while its test goes on.
fn own_ports() -> String {
    let first = first_own_port();
    format!("{first}-{}", first + 2)
}

/// The first of three ports that no other server of the tests was given.
pub fn first_own_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id().wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % 3000;
    u16::try_from(20_001 + number * 3).expect("the last of them is 29,000")
}

/// A port to name on a command line: another one in each run of the tests, so that runs beside each
/// other do not meet. A test that uses it binds an address of its own.
pub fn own_port() -> String {
    (10000 + std::process::id() % 10000).to_string()
}

/// `echolog` with `args`, nothing on its standard input.
pub fn echolog(args: &[&str]) -> Command {
    let mut command = Command::new(ECHOLOG);
    command.args(args).stdin(Stdio::null());
    command
}

/// Lets time pass: only for a test in which time itself is what matters, such as a reader who pauses.
pub fn let_pass(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
}

/// A directory of the test's own, and in it a file with `content`; both go with the first value.
pub fn file_with(content: impl AsRef<[u8]>) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let path = directory.path().join("file");
    std::fs::write(&path, content).expect("a file for the test");
    let path = path.to_str().expect("temporary paths are plain").to_owned();
    (directory, path)
}

/// What a program has written so far, growing as it writes.
#[derive(Clone, Default)]
struct Stream(Arc<(Mutex<Written>, Condvar)>);

#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    ended: bool,
}

impl Stream {
    fn follow(source: impl Read + Send + 'static) -> Self {
        let stream = Stream::default();
        let written = stream.clone();
        thread::spawn(move || {
            let mut source = source;
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let read = source.read(&mut buffer).unwrap_or(0);
                let mut state = written.0.0.lock().expect("nobody panics with it");
                state.bytes.extend_from_slice(&buffer[..read]);
                state.ended = read == 0;
                written.0.1.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        stream
    }

    /// Waits until `found` finds something in what was written, or there will be no more of it.
    fn wait<T>(&self, deadline: Instant, mut found: impl FnMut(&Written) -> Option<T>) -> Option<T> {
        let mut state = self.0.0.lock().expect("nobody panics with it");
        loop {
            if let Some(found) = found(&state) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            if state.ended {
                return None;
            }
            state = self.0.1.wait_timeout(state, left).expect("nobody panics with it").0;
        }
    }

    /// What was written until now, for a failure to be told; it may end inside a character.
    fn so_far(&self) -> String {
        let state = self.0.0.lock().expect("nobody panics with it");
        String::from_utf8_lossy(&state.bytes).into_owned()
    }

    fn text(&self) -> String {
        let state = self.0.0.lock().expect("nobody panics with it");
        String::from_utf8(state.bytes.clone()).expect("all that is shown is UTF-8")
    }
}

/// A program that runs beside the test, and is killed when the test drops it.
pub struct Running {
    child: Child,
    input: Mutex<Option<ChildStdin>>,
    out: Stream,
    err: Stream,
    name: String,
}

impl Running {
    /// Starts `command`. Standard output and error are followed; standard input is what `command`
    /// says.
    pub fn start(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let out = Stream::follow(child.stdout.take().expect("it is piped"));
        let err = Stream::follow(child.stderr.take().expect("it is piped"));
        Running { input: Mutex::new(child.stdin.take()), child, out, err, name }
    }

    /// Waits until `text` stands somewhere in the output; says what stands there instead if it never does.
    #[track_caller]
    pub fn shows(&self, text: &str) -> &Self {
        self.wait(&self.out, DEADLINE, text);
        self
    }

    /// Waits until `text` stands somewhere in the error output.
    #[track_caller]
    pub fn complains(&self, text: &str) -> &Self {
        self.complains_within(DEADLINE, text)
    }

    /// [`complains`](Self::complains) with a time of its own.
    #[track_caller]
    pub fn complains_within(&self, time: Duration, text: &str) -> &Self {
        self.wait(&self.err, time, text);
        self
    }

    #[track_caller]
    fn wait(&self, stream: &Stream, time: Duration, text: &str) {
        // What was looked through once is not looked through again, but for a text that it may begin.
        let mut from = 0;
        let found = stream.wait(Instant::now() + time, |written| {
            let found = memchr::memmem::find(&written.bytes[from..], text.as_bytes());
            from = written.bytes.len().saturating_sub(text.len());
            found
        });
        if found.is_none() {
            let (name, out, err) = (&self.name, self.out.so_far(), self.err.so_far());
            panic!("{name} does not show {text:?} within {time:?}\n--- out\n{out}\n--- err\n{err}");
        }
    }

    /// What it has shown so far.
    pub fn shown(&self) -> String {
        self.out.text()
    }

    /// Gives it `text` on its standard input, which must have been piped.
    pub fn types(&self, text: impl AsRef<[u8]>) -> &Self {
        let mut input = self.input.lock().expect("nobody panics with it");
        let input = input.as_mut().expect("standard input is piped and open");
        input.write_all(text.as_ref()).and_then(|()| input.flush()).expect("it reads its input");
        self
    }

    /// Ends its standard input.
    pub fn input_ends(&self) -> &Self {
        self.input.lock().expect("nobody panics with it").take();
        self
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ends(self) -> Ended {
        self.ends_within(DEADLINE)
    }

    /// [`ends`](Self::ends) with a time of its own.
    #[track_caller]
    pub fn ends_within(mut self, time: Duration) -> Ended {
        self.input_ends();
        let deadline = Instant::now() + time;
        let over = |written: &Written| written.ended.then_some(());
        let ended = self.out.wait(deadline, over).and_then(|()| self.err.wait(deadline, over));
        if ended.is_none() {
            let (out, err) = (self.out.so_far(), self.err.so_far());
            panic!("{} runs on after {time:?}\n--- out\n{out}\n--- err\n{err}", self.name);
        }
        let (out, err) = (self.out.text(), self.err.text());
        let status = self.child.wait().expect("it is our child");
        Ended { name: self.name.clone(), status, out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a program ended, and all that it wrote.
pub struct Ended {
    name: String,
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// For assertions by predicates.
    pub fn assert(&self) -> Assert {
        let [stdout, stderr] = [&self.out, &self.err].map(|text| text.clone().into_bytes());
        Assert::new(Output { status: self.status, stdout, stderr })
            .append_context("program", self.name.clone())
    }

    /// It ended with this exit code, and wrote exactly this.
    #[track_caller]
    pub fn is(&self, code: i32, out: &str, err: &str) {
        self.assert().stdout(out.to_owned()).stderr(err.to_owned()).code(code);
    }

    /// It ended well, and wrote exactly this and nothing on stderr.
    #[track_caller]
    pub fn shows(&self, out: &str) {
        self.is(0, out, "");
    }

    /// It ended by this signal.
    #[track_caller]
    pub fn was_ended_by(&self, signal: nix::sys::signal::Signal) {
        assert_eq!(self.status.signal(), Some(signal as i32), "{self}");
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ended { name, status, out, err } = self;
        write!(f, "{name}: {status}\n--- out\n{out}\n--- err\n{err}")
    }
}

/// Whether a text has these words in this order; long sentences are wrapped, and their words are what counts.
pub fn words(text: &str) -> impl Predicate<str> + use<> {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let wanted = words(text);
    predicate::function(move |text: &str| words(text).contains(&wanted)).fn_name("has the words")
}

/// Runs `command` to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Ended {
    Running::start(command).ends()
}

/// An echolog server that is listening.
pub struct Server {
    pub running: Running,
    pub port: u16,
}

impl Server {
    /// Starts a server on loopback, on a port of its own, with `args` added.
    #[track_caller]
    pub fn start(args: &[&str]) -> Self {
        Server::starting(echolog(&["server", &own_ports(), "--bind", "127.0.0.1"]).args(args))
    }

    /// Starts a server by `command`, and waits for the line that says that it listens.
    #[track_caller]
    pub fn starting(command: &mut Command) -> Self {
        let running = Running::start(command);
        let port = running.out.wait(Instant::now() + DEADLINE, |written| {
            let shown = String::from_utf8_lossy(&written.bytes).into_owned();
            let (_, rest) = shown.split_once("server is using port: ")?;
            rest.split_once('\n')?.0.parse().ok()
        });
        let port = port.unwrap_or_else(|| {
            panic!("a port, and not:\n{}\n--- err\n{}", running.out.so_far(), running.err.so_far())
        });
        Server { running, port }
    }

    /// An echolog client for this server, with `args` added.
    pub fn client(&self, args: &[&str]) -> Command {
        let mut command = echolog(&["client", "127.0.0.1", &self.port.to_string()]);
        command.args(args);
        command
    }

    /// A bare connection to it.
    pub fn connect(&self) -> std::net::TcpStream {
        let stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a time-out can be set");
        stream
    }

    /// Its whole screen after a session of `messages` with a client on loopback.
    pub fn screen(&self, messages: &[&str]) -> String {
        screens::server("127.0.0.1", self.port, "127.0.0.1", messages)
    }

    #[track_caller]
    pub fn shows(&self, text: &str) -> &Self {
        self.running.shows(text);
        self
    }

    #[track_caller]
    pub fn ends(self) -> Ended {
        self.running.ends()
    }
}

/// The screens as the assignment words them, put together from what a test knows.
pub mod screens {
    /// The server's whole screen. `messages` are as they are shown.
    pub fn server(address: &str, port: u16, client: &str, messages: &[&str]) -> String {
        let received: String = messages.iter().map(|message| server_received(message)).collect();
        server_ready(address, port)
            + &server_connected(client)
            + &received
            + "the client has informed the server that it is quitting\n"
    }

    /// The server's screen before a client comes.
    pub fn server_ready(address: &str, port: u16) -> String {
        format!("server is at address: {address}\nserver is using port: {port}\n")
    }

    pub fn server_connected(client: &str) -> String {
        format!("server connected to client at address: {client}\n")
    }

    pub fn server_received(message: &str) -> String {
        format!("server received message: \"{message}\"\n")
    }

    /// The client's whole screen, when `messages` were typed and the session ended with `quit` typed.
    pub fn client(messages: &[&str]) -> String {
        client_sending(messages) + "quit\n" + &client_quitting(messages)
    }

    /// The client's screen from the connection to the prompt after `messages`.
    pub fn client_sending(messages: &[&str]) -> String {
        let mut screen = "client has connected to the server!\n".to_owned();
        for message in messages {
            screen += &format!(
                "enter a message to send to server: {message}\nclient sending message: \"{message}\"\n"
            );
        }
        screen + "enter a message to send to server: "
    }

    /// The rest of the client's screen, after what was typed at the last prompt.
    pub fn client_quitting(messages: &[&str]) -> String {
        let mut screen =
            "client informing server that it is quitting.\nclient received message log:\n".to_owned();
        for message in messages {
            screen += &format!("{message}\n");
        }
        screen
    }
}

/// A program at a terminal, with a person's hands on it.
///
/// rexpect types and reads. Echo, which it turns off before it starts a program, is turned on again
/// by the `stty` that runs first, so that the screen is a person's.
pub struct Terminal {
    session: rexpect::session::PtySession,
    transcript: String,
    name: String,
}

impl Terminal {
    /// Starts `echolog` with `args` at a terminal of 80 columns.
    pub fn start(args: &[&str]) -> Self {
        let mut command = Command::new(ECHOLOG);
        // The plain prompt: what is on the screen is then just what was written to it.
        command.args(args).env("TERM", "dumb");
        Terminal::starting(&command)
    }

    /// Starts `command` at a terminal of 80 columns.
    pub fn starting(command: &Command) -> Self {
        Terminal::starting_within(DEADLINE, command)
    }

    /// [`starting`](Self::starting), with a time of its own for every wait.
    pub fn starting_within(time: Duration, command: &Command) -> Self {
        let name = format!("{command:?}");
        let mut shell = Command::new("sh");
        shell.args(["-c", "stty echo rows 24 cols 80 && exec \"$@\"", "sh"]);
        shell.arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(key, value),
                None => shell.env_remove(key),
            };
        }
        let timeout = u64::try_from(time.as_millis()).expect("it is short");
        let session = rexpect::session::spawn_command(shell, Some(timeout)).expect("a terminal");
        Terminal { session, transcript: String::new(), name }
    }

    /// Waits until `text` appears behind what was waited for before.
    #[track_caller]
    pub fn shows(&mut self, text: &str) -> &mut Self {
        match self.session.exp_string(&as_latin_1(text)) {
            Ok(before) => {
                self.transcript += &from_latin_1(&before);
                self.transcript += text;
            }
            Err(error) => panic!("{} does not show {text:?}: {error}\n{}", self.name, self.transcript),
        }
        self
    }

    /// Types `text` and Enter.
    pub fn types(&mut self, text: &str) -> &mut Self {
        self.session.send_line(text).expect("the terminal takes it");
        self
    }

    /// Presses Ctrl and `key`.
    pub fn presses_ctrl(&mut self, key: char) -> &mut Self {
        self.session.send_control(key).expect("the terminal takes it");
        self
    }

    /// Types `text` alone.
    pub fn types_without_enter(&mut self, text: &str) -> &mut Self {
        self.session.send(text).and_then(|_| self.session.flush()).expect("the terminal takes it");
        self
    }

    /// Waits for its end; what it gives back is all that the terminal showed, its line ends made
    /// plain, and how the program ended.
    #[track_caller]
    pub fn ends(mut self) -> (String, rexpect::process::WaitStatus) {
        let rest = self.session.exp_eof();
        let rest = rest.unwrap_or_else(|error| panic!("{} runs on: {error}\n{}", self.name, self.transcript));
        let status = self.session.process().wait().expect("it is our child");
        self.transcript += &from_latin_1(&rest);
        (self.transcript.replace("\r\n", "\n"), status)
    }

    /// Waits for its end, which must be by this exit code, and all that the terminal showed must be
    /// this.
    #[track_caller]
    pub fn ends_with(self, code: i32, screen: &str) {
        let (shown, status) = self.ends();
        assert_eq!(shown, screen);
        let rexpect::process::WaitStatus::Exited(_, seen) = status else { panic!("{status:?}") };
        assert_eq!(seen, code, "{shown}");
    }
}

/// rexpect hands out bytes as characters of the same numbers.
fn from_latin_1(text: &str) -> String {
    let bytes = text.chars().map(|character| u8::try_from(u32::from(character)).expect("a byte")).collect();
    String::from_utf8(bytes).expect("all that is shown is UTF-8")
}

fn as_latin_1(text: &str) -> String {
    text.bytes().map(char::from).collect()
}
