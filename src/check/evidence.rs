//! What a program did, as evidence: its screen, its end, and what follows from them for any requirement.

use std::collections::HashSet;

use super::facts::{self, Words};
use super::id::Id;
use super::limits;
use super::session::Waited;
use super::tested::Tested;
use super::traces;
use crate::results::{Event, Outcome, Role};
use crate::run::outcome::Ending;

/// How much of a screen an excerpt shows, in characters.
pub const EXCERPT: usize = 200;

/// A verdict with its evidence. What was expected, and what to advise, stand in the table of requirements
/// unless `advice` says something better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The verdict.
    pub outcome: Outcome,
    /// What was done; what the table says where it is empty.
    pub done: String,
    /// What happened.
    pub happened: String,
    /// Advice that fits better than the one in the table.
    pub advice: Option<String>,
    /// The session, where it is known.
    pub session: Vec<Event>,
    /// The requirement that is not met, where that is why this one was not judged.
    pub needs: Option<Id>,
}

/// A ruling of any outcome.
pub fn ruling(outcome: Outcome, happened: impl Into<String>) -> Ruling {
    Ruling {
        outcome,
        done: String::new(),
        happened: happened.into(),
        advice: None,
        session: Vec::new(),
        needs: None,
    }
}

/// The requirement is met.
pub fn pass(happened: impl Into<String>) -> Ruling {
    ruling(Outcome::Pass, happened)
}

/// It is not.
pub fn fail(happened: impl Into<String>) -> Ruling {
    ruling(Outcome::Fail, happened)
}

/// The requirement `needs` is not met, so that this one cannot be judged.
pub fn not_run(needs: Id) -> Ruling {
    Ruling { needs: Some(needs), ..ruling(Outcome::NotRun, String::new()) }
}

impl Ruling {
    /// Whether the requirement is met.
    pub fn passes(&self) -> bool {
        self.outcome == Outcome::Pass
    }

    /// The same, saying what was done.
    #[must_use]
    pub fn after(mut self, done: impl Into<String>) -> Ruling {
        self.done = done.into();
        self
    }

    /// The same with other advice than the table's.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Ruling {
        self.advice = Some(advice.into());
        self
    }
}

/// What one program had done at some moment of a session.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which program.
    pub role: Role,
    /// All that it had printed.
    pub screen: Vec<u8>,
    /// How it had ended, if it had.
    pub ending: Option<Ending>,
    /// Whether answers were typed at it.
    pub is_answered: bool,
    /// The limit that it reached, or that its output is about, in words.
    pub limit: Option<String>,
}

impl Seen {
    /// A program that has printed nothing and still runs.
    pub fn nothing(role: Role) -> Seen {
        Seen { role, screen: Vec::new(), ending: None, is_answered: false, limit: None }
    }

    /// What it has done by now.
    pub fn of(tested: &Tested) -> Seen {
        // Its end first: what it printed before it is on the screen then.
        let ending = tested.ending();
        let screen = tested.screen();
        let reached = tested.program.reached().map(|reached| reached.to_string());
        let limit = reached.or_else(|| limits::told(&screen, tested.program.limits(), tested.is_isolated()));
        Seen { role: tested.role, ending, screen, is_answered: tested.is_answered, limit }
    }

    /// What it had printed after the first `mark` bytes.
    pub fn since(&self, mark: usize) -> &[u8] {
        self.screen.get(mark..).unwrap_or_default()
    }

    /// Its screen's end and its own, in a sentence.
    pub fn shows(&self) -> String {
        let ended = match &self.ending {
            Some(Ending::Exited(status)) => format!(" (it ended with status {status})"),
            Some(Ending::Signalled(signal)) => format!(" (it was ended by {signal})"),
            _ => String::new(),
        };
        let tail = facts::tail(&self.screen, EXCERPT);
        let role = self.role.word();
        let limit = self.at_a_limit();
        if tail.is_empty() {
            format!("the {role} printed nothing{ended}{limit}")
        } else {
            format!("the {role}'s screen ends: {tail}{ended}{limit}")
        }
    }

    /// The limit that it reached, as the end of a sentence.
    fn at_a_limit(&self) -> String {
        self.limit.as_ref().map_or_else(String::new, |limit| format!("; {limit}"))
    }

    /// What decides by itself, whatever the requirement: a crash or a flood.
    pub fn trouble(&self) -> Option<Ruling> {
        let role = self.role.word();
        match &self.ending {
            Some(Ending::Flooded) => Some(self.flooded()),
            Some(Ending::Signalled(signal)) => Some(
                ruling(
                    Outcome::Crashed,
                    format!("the {role} was ended by {signal}{}; {}", self.at_a_limit(), printed(&self.screen)),
                )
                .advise(if self.limit.is_some() {
                    "Look for a loop that does not end, or for something that grows without end."
                } else {
                    "A signal such as SIGSEGV or SIGPIPE ended the program: find the line with a debugger, and check \
                     what every call returns."
                }),
            ),
            // What a shell makes of a child that was ended by SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV or
            // SIGPIPE.
            Some(Ending::Exited(status @ (132 | 134..=136 | 139 | 141))) => Some(ruling(
                Outcome::Crashed,
                format!("the {role} ended with status {status}, as of signal {}{}", status - 128, self.at_a_limit()),
            )),
            Some(Ending::Exited(_)) => self.uncaught(),
            _ => None,
        }
    }

    fn uncaught(&self) -> Option<Ruling> {
        let line = traces::stack_trace(&self.screen)?;
        let role = self.role.word();
        Some(
            ruling(
                Outcome::Crashed,
                format!("the {role} did not catch an error: {line}{}", self.at_a_limit()),
            )
            .advise(format!("Catch this error in the {role} where it happens, print it in words, and end.")),
        )
    }

    /// The ruling on a program that printed or sent without end.
    pub fn flooded(&self) -> Ruling {
        let does = if self.ending == Some(Ending::Flooded) && self.limit.is_some() {
            "starts processes or threads without end"
        } else {
            "prints or sends without end"
        };
        let ruling = ruling(Outcome::Flooded, format!("the {} {does}; {}", self.role.word(), self.shows()));
        if self.limit.is_some() {
            return ruling.advise("Look for the loop that does not end.");
        }
        ruling
    }

    /// Its exit status; or a ruling on a program that had to end and did not, or crashed.
    pub fn status(&self, waited: Waited) -> Result<i32, Ruling> {
        if let Some(ruling) = self.trouble() {
            return Err(ruling);
        }
        match (&self.ending, waited) {
            (Some(Ending::Exited(status)), _) => Ok(*status),
            (_, Waited::Flooded(role)) if role == self.role => Err(self.flooded()),
            (_, Waited::Busy(role)) if role == self.role => Err(ruling(
                Outcome::Hung,
                format!("the {} does not end and keeps a processor busy; {}", self.role.word(), self.shows()),
            )),
            _ => {
                Err(ruling(Outcome::Hung, format!("the {} does not end; {}", self.role.word(), self.shows())))
            }
        }
    }

    /// The ruling on a program that did not do what it had to before anything else.
    pub fn never(&self, waited: Waited, what: &str) -> Ruling {
        if let Some(ruling) = self.trouble() {
            return ruling;
        }
        let happened = format!("it never {what}; {}", self.shows());
        match &self.ending {
            Some(Ending::Exited(_)) => fail(happened),
            _ if waited == Waited::Flooded(self.role) => self.flooded(),
            _ if self.is_answered => ruling(Outcome::Hung, happened),
            _ => ruling(Outcome::Hung, happened).advise(format!(
                "If the {0} asks for something first, list what to type in echolog.toml: {0}-answers = [\"…\"].",
                self.role.word()
            )),
        }
    }

    /// The ruling on a program that has to print an error: in words that it does not print when all goes
    /// well (`usual`), and, if `with_status`, with a status that is not 0.
    pub fn error(&self, waited: Waited, usual: &HashSet<String>, with_status: bool) -> Ruling {
        let shown = printed(&self.screen);
        let role = self.role.word();
        if let Some(ruling) = self.trouble().or_else(|| self.uncaught()) {
            return ruling;
        }
        let words = Words::of(&self.screen);
        let in_words = words.own_words(&[]).into_iter().any(|word| !usual.contains(word));
        match &self.ending {
            Some(Ending::Exited(0)) if with_status => fail(format!(
                "the {role} ended with status 0; {shown}"
            ))
            .advise(format!("End the {role} with a status that is not 0, such as exit(1), after an error.")),
            Some(Ending::Exited(status)) if in_words && traces::is_traced(&self.screen) => fail(format!(
                "the {role} printed a stack trace instead of a sentence (status {status}); {shown}"
            )),
            Some(Ending::Exited(status)) if in_words => {
                pass(format!("the {role} ended with status {status}; {shown}"))
            }
            Some(Ending::Exited(status)) => {
                fail(format!("the {role} ended with status {status} and does not say why; {shown}"))
            }
            // It asks again.
            _ if in_words && waited == Waited::Quiet => pass(format!("the {role} asks again; {shown}")),
            _ if in_words && matches!(waited, Waited::Busy(_)) => {
                pass(format!("the {role} says so and goes on; {shown}"))
            }
            _ if waited == Waited::Flooded(self.role) => self.flooded(),
            _ if !with_status => fail(format!("the {role} goes on as if nothing were wrong; {shown}")),
            _ => ruling(Outcome::Hung, format!("the {role} neither ends nor prints an error; {shown}")),
        }
    }
}

/// What `screen` shows, in a sentence.
pub fn printed(screen: &[u8]) -> String {
    let tail = facts::tail(screen, EXCERPT);
    if tail.is_empty() { "it printed nothing".to_string() } else { format!("it printed: {tail}") }
}

/// The exact bytes, quoted.
pub fn quoted(bytes: &[u8]) -> String {
    let shown: String = bytes
        .iter()
        .take(EXCERPT)
        .flat_map(|&byte| std::ascii::escape_default(byte))
        .map(char::from)
        .collect();
    let more = if bytes.len() > EXCERPT {
        format!(" (and {} bytes more)", bytes.len() - EXCERPT)
    } else {
        String::new()
    };
    format!("\"{shown}\"{more}")
}

/// The words that a program prints of its own: those on `screen` that are in none of `messages`.
pub fn own_words(screen: &[u8], messages: &[Words]) -> HashSet<String> {
    Words::of(screen).own_words(messages).into_iter().map(str::to_string).collect()
}
