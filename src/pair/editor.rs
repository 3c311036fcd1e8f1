//! The line editor at a person's terminal: editing keys, history of this session, pasting.
//!
//! It reads in a thread of its own, so that the session can watch the connection meanwhile; a byte on a pipe
//! says that an answer has come. While no line is being read the terminal has the settings that it was found
//! with. [`Editor::give_up`] restores them while one is. Where a signal ends the program, its handler restores
//! them; it runs on that thread only, so that it never meets the terminal half changed.

use std::collections::VecDeque;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, raise, sigaction};
use nix::sys::termios::{FlushArg, LocalFlags, tcflush, tcgetattr};
use nix::unistd::{getpgrp, tcgetpgrp, write};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Event, EventHandler};

use super::keys::Keys;

/// Values of `TERM` for terminals that cannot move a cursor.
const PLAIN: [&str; 4] = ["", "dumb", "cons25", "emacs"];

/// How long the thread that reads may take until it has taken the terminal over.
const TAKING_OVER: Duration = Duration::from_secs(1);

/// Switches off what [`give_up`](Editor::give_up) may find switched on: bracketed paste.
const NO_BRACKETED_PASTE: &[u8] = b"\x1b[?2004l";

/// The settings that the terminal was found with.
static FOUND: OnceLock<libc::termios> = OnceLock::new();

/// Whether a line is being read, or is about to be.
static READING: AtomicBool = AtomicBool::new(false);

/// A line editor on standard input and output. There is one at a time.
#[derive(Debug)]
pub struct Editor {
    requests: Sender<Request>,
    answers: Receiver<rustyline::Result<String>>,
    answered: PipeReader,
    /// An answer that was fetched and not yet handed out.
    answer: Option<rustyline::Result<String>>,
    /// Those that the thread that waits blocked before there was an editor.
    signals: SigSet,
    /// Lines of a paste that are still to be handed out.
    pasted: VecDeque<String>,
}

/// A line to be read.
#[derive(Debug)]
struct Request {
    prompt: &'static str,
    remember: bool,
}

/// What came behind a prompt.
#[derive(Debug, PartialEq, Eq)]
pub enum Edited {
    /// A line that was typed; the terminal shows it.
    Typed(String),
    /// A further line of a paste, which the terminal has shown only as part of the whole.
    Pasted(String),
    /// Bytes that are not UTF-8. They are gone, and what came with them.
    NotUtf8,
    /// Ctrl-D.
    End,
    /// Ctrl-C at an empty line, or the signal.
    Interrupted,
}

/// Whether the terminal that `TERM` names can do what an editor needs.
pub fn is_possible() -> bool {
    std::env::var("TERM").is_ok_and(|term| !PLAIN.contains(&term.as_str()))
}

impl Editor {
    /// Prepares the terminal on standard input; nothing changes there until a line is read.
    pub fn new() -> io::Result<Self> {
        let found = tcgetattr(io::stdin())?;
        FOUND.get_or_init(|| found.into());
        let (answered, mut answer_here) = io::pipe()?;
        let (requests, requested) = channel::<Request>();
        let (answer, answers) = channel();
        let config = Config::builder().tab_stop(8).build();
        let mut editor =
            rustyline::Editor::<(), _>::with_history(config, MemHistory::new()).map_err(io::Error::other)?;
        let keys = Keys::default();
        editor.bind_sequence(Event::Any, EventHandler::Conditional(Box::new(keys.clone())));
        thread::Builder::new().name("editor".into()).spawn(move || {
            for Request { prompt, remember } in requested {
                keys.begin();
                let line = editor.readline(prompt).map(|line| line + &keys.take_rest());
                if let (Ok(line), true) = (&line, remember) {
                    // A line that cannot be remembered is still a line.
                    _ = editor.add_history_entry(line);
                }
                // When nobody listens any more, the session is over.
                if answer.send(line).is_err() || answer_here.write_all(b"\n").is_err() {
                    break;
                }
            }
        })?;
        // What a terminal signals is for the thread that reads it. Were Ctrl-Z taken by this one, the
        // other would be back at work on the terminal before the program stops, and so were a signal that
        // ends it; and this one has no use for an interrupt or a new size of the window while it waits.
        let mut signals = restore_before_the_end()?;
        signals.extend([Signal::SIGTSTP, Signal::SIGINT, Signal::SIGWINCH]);
        let signals = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let (answer, pasted) = (None, VecDeque::new());
        Ok(Editor { requests, answers, answered, answer, signals, pasted })
    }

    /// Shows `prompt` and begins to read a line, which history will offer again if it is to `remember`.
    pub fn prompt(&mut self, prompt: &'static str, remember: bool) {
        READING.store(true, Ordering::SeqCst);
        if self.requests.send(Request { prompt, remember }).is_err() {
            READING.store(false, Ordering::SeqCst);
        }
    }

    /// Whether lines of a paste are still to be handed out; then there is nothing to prompt for.
    pub fn has_pasted(&self) -> bool {
        !self.pasted.is_empty()
    }

    /// How many lines of a paste are still to be handed out.
    pub fn left_over(&self) -> u64 {
        self.pasted.len() as u64
    }

    /// Whether [`next`](Self::next) will answer at once.
    pub fn is_ready(&self) -> bool {
        self.has_pasted() || self.answer.is_some()
    }

    /// Fetches the answer that the [descriptor](Self::as_fd) told of.
    pub fn fetch(&mut self) -> io::Result<()> {
        self.answer = Some(self.receive()?);
        Ok(())
    }

    fn receive(&mut self) -> io::Result<rustyline::Result<String>> {
        let answer = self.answers.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
        READING.store(false, Ordering::SeqCst);
        self.answered.read_exact(&mut [0])?;
        Ok(answer)
    }

    /// The next line of a paste, or else the line that is being read.
    pub fn next(&mut self) -> io::Result<Edited> {
        if let Some(line) = self.pasted.pop_front() {
            return Ok(Edited::Pasted(line));
        }
        let answer = match self.answer.take() {
            Some(answer) => answer,
            None => self.receive()?,
        };
        match answer {
            Ok(text) => {
                // A line end at the end of a paste ends its last line and does not begin another.
                let mut lines = text.strip_suffix('\n').unwrap_or(&text).split('\n').map(str::to_owned);
                let first = lines.next().unwrap_or_default();
                self.pasted = lines.collect();
                Ok(Edited::Typed(first))
            }
            Err(ReadlineError::Eof) => Ok(Edited::End),
            Err(ReadlineError::Interrupted) => Ok(Edited::Interrupted),
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                // The rest of a paste would come as messages that nobody wrote.
                tcflush(io::stdin(), FlushArg::TCIFLUSH)?;
                Ok(Edited::NotUtf8)
            }
            Err(ReadlineError::Io(error)) => Err(error),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Ends the program as Ctrl-C does without an editor: by the signal. Comes back where whoever started
    /// this program has it ignore the signal.
    pub fn interrupt(&self) -> io::Error {
        let raised = self.signals.thread_set_mask().and_then(|()| raise(Signal::SIGINT));
        raised.err().map_or_else(|| io::ErrorKind::Interrupted.into(), io::Error::from)
    }

    /// Leaves the line that is being read, and the terminal as it was found. What was typed and not
    /// entered is gone: it was meant for a server, not for the shell.
    pub fn give_up(&self) {
        if READING.load(Ordering::SeqCst) {
            let mut answered = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
            restore_from_the_reader(|| poll(&mut answered, PollTimeout::ZERO) == Ok(0));
        }
    }
}

/// Whether the terminal on standard input is for this program to change, and not for whoever is in front.
pub fn in_foreground() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|group| group == getpgrp())
}

/// Leaves the terminal as it was found, once the thread that reads has taken it over, if it is `reading`
/// still: it may be only about to, at the beginning of a line or after a stop, and set right before that,
/// the terminal would not stay so. One that cannot be set right any more is beyond help.
fn restore_from_the_reader(mut reading: impl FnMut() -> bool) {
    let taken_over = || tcgetattr(io::stdin()).is_ok_and(|now| !now.local_flags.contains(LocalFlags::ICANON));
    let until = Instant::now() + TAKING_OVER;
    while !taken_over() && reading() && Instant::now() < until {
        thread::yield_now();
    }
    restore();
}

/// Leaves the terminal as it was found, by system calls alone.
fn restore() {
    _ = write(io::stdout(), NO_BRACKETED_PASTE);
    if let Some(found) = FOUND.get() {
        // SAFETY: it reads the settings it is given.
        #[expect(unsafe_code, reason = "nix's settings cannot be shared between threads")]
        unsafe {
            libc::tcsetattr(libc::STDIN_FILENO, libc::TCSAFLUSH, found);
        }
    }
}

/// The signals that end a program that does not handle them, and that another process may send; those that
/// the editor or the program handle otherwise aside.
const ENDING: [Signal; 12] = [
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGIO,
    Signal::SIGPWR,
    Signal::SIGSTKFLT,
    Signal::SIGXCPU,
];

/// The signals of a program that cannot go on. They come to the thread that caused them.
const FATAL: [Signal; 5] = [Signal::SIGABRT, Signal::SIGILL, Signal::SIGFPE, Signal::SIGTRAP, Signal::SIGSYS];

/// Has the terminal restored, if a line is being read, before a signal ends this program. Returns those of
/// [`ENDING`] that will.
fn restore_before_the_end() -> io::Result<SigSet> {
    let restores = SigAction::new(SigHandler::Handler(restore_and_end), SaFlags::SA_RESETHAND, SigSet::all());
    let mut ending = SigSet::empty();
    for signal in ENDING.into_iter().chain(FATAL) {
        // SAFETY: the handler does only what signal-safety(7) allows.
        #[expect(unsafe_code, reason = "what a signal does is changed")]
        unsafe {
            let before = sigaction(signal, &restores)?;
            // One that whoever started this program has it ignore stays so (nohup(1)).
            if matches!(before.handler(), SigHandler::SigIgn) {
                sigaction(signal, &before)?;
            } else if ENDING.contains(&signal) {
                ending.add(signal);
            }
        }
    }
    Ok(ending)
}

/// The handler: it makes system calls and loads what was stored before it was installed, no more.
extern "C" fn restore_and_end(signal: libc::c_int) {
    if READING.load(Ordering::SeqCst) && in_foreground() {
        restore();
    }
    // The default action is back, and happens when this returns: until then the signal is blocked.
    _ = Signal::try_from(signal).and_then(raise);
}

impl Drop for Editor {
    fn drop(&mut self) {
        // Where the other thread is gone, nobody would take them.
        _ = self.signals.thread_set_mask();
    }
}

impl AsFd for Editor {
    /// Readable while there is an answer.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.answered.as_fd()
    }
}
