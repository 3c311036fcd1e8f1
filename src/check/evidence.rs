//! What a program did, as evidence: its screen, its end, and what follows from them for any requirement.

use std::collections::HashSet;

use super::facts::{self, Words};
use super::id::Id;
use super::limits::{self, Limit};
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
    /// The limit that it reached.
    pub limit: Option<Limit>,
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
        let limit = limits::reached(tested, &screen);
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
        self.limit.as_ref().map_or_else(String::new, |limit| format!("; {}", limit.words))
    }

    fn swarms(&self) -> bool {
        self.limit.as_ref().is_some_and(|limit| limit.is_of_processes)
    }

    /// What decides by itself, whatever the requirement: a crash or a flood.
    pub fn trouble(&self) -> Option<Ruling> {
        let role = self.role.word();
        match &self.ending {
            Some(Ending::Flooded) => Some(self.flooded()),
            Some(_) if self.swarms() => Some(self.flooded()),
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
        let does = if self.swarms() {
            "starts processes or threads without end"
        } else {
            "prints or sends without end"
        };
        let ruling = ruling(Outcome::Flooded, format!("the {} {does}; {}", self.role.word(), self.shows()));
        match &self.limit {
            Some(limit) if limit.is_of_processes => ruling.advise(
                "Look for the loop that does not end, and wait for each process that the program starts: one that has \
                 ended counts until then.",
            ),
            Some(_) => ruling.advise("Look for the loop that does not end."),
            None => ruling,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::Signal;

    fn client(screen: &str, ending: Option<Ending>) -> Seen {
        Seen { screen: screen.into(), ending, ..Seen::nothing(Role::Client) }
    }

    fn ended(screen: &str, status: i32) -> Seen {
        client(screen, Some(Ending::Exited(status)))
    }

    fn at_limit(seen: Seen) -> Seen {
        let limit = Limit { words: "it reached its limit of 3 s".to_string(), is_of_processes: false };
        Seen { limit: Some(limit), ..seen }
    }

    #[apply(test)]
    fn a_requirement_that_could_not_be_judged_names_the_one_that_is_not_met() {
        let ruling = not_run(Id::C3);
        assert_eq!(ruling.outcome, Outcome::NotRun);
        assert_eq!(ruling.needs, Some(Id::C3));
        assert!(!ruling.passes() && pass("").passes());
    }

    #[apply(test)]
    fn what_a_program_shows_ends_with_how_it_ended_and_with_its_limit() {
        let shown = [
            (client("", None), "the client printed nothing"),
            (client("hello\n", None), "the client's screen ends: hello"),
            (ended("hello\n", 3), "the client's screen ends: hello (it ended with status 3)"),
            (ended("", 3), "the client printed nothing (it ended with status 3)"),
            (
                client("hello\n", Some(Ending::Signalled(Signal::SIGSEGV))),
                "the client's screen ends: hello (it was ended by SIGSEGV)",
            ),
            (
                at_limit(ended("hello\n", 3)),
                "the client's screen ends: hello (it ended with status 3); it reached its limit of 3 s",
            ),
        ];
        for (seen, wanted) in shown {
            assert_eq!(seen.shows(), wanted);
        }
        assert_eq!(client("hello", None).since(2), b"llo");
        assert_eq!(client("hello", None).since(6), b"");
    }

    #[apply(test)]
    fn a_crash_or_a_flood_decides_whatever_the_requirement() {
        let outcome = |seen: &Seen| seen.trouble().map(|ruling| ruling.outcome);
        let by_signal = |signal| client("", Some(Ending::Signalled(signal)));
        assert_eq!(outcome(&client("", Some(Ending::Flooded))), Some(Outcome::Flooded));
        assert_eq!(outcome(&by_signal(Signal::SIGABRT)), Some(Outcome::Crashed));
        for status in 0..=255 {
            let is_a_shells = [132, 134, 135, 136, 139, 141].contains(&status);
            assert_eq!(outcome(&ended("", status)), is_a_shells.then_some(Outcome::Crashed), "{status}");
        }
        assert_eq!(outcome(&client("", Some(Ending::Hung(Signal::SIGTERM)))), None);
        assert_eq!(outcome(&client("", None)), None);
        let uncaught =
            "Traceback (most recent call last):\n  File \"client.py\", line 3, in <module>\nOSError: no\n";
        let ruling = ended(uncaught, 1).trouble().expect("a crash");
        assert_eq!(ruling.happened, "the client did not catch an error: OSError: no");
        assert!(ended("", 139).trouble().expect("a crash").happened.ends_with("status 139, as of signal 11"));
        let advice = |seen: Seen| seen.trouble().expect("a crash").advice.expect("advice");
        assert!(advice(by_signal(Signal::SIGKILL)).contains("debugger"));
        assert!(advice(at_limit(by_signal(Signal::SIGKILL))).contains("a loop"));
    }

    #[apply(test)]
    fn a_flood_of_processes_is_told_from_one_of_output() {
        let happened = |seen: Seen| seen.flooded().happened;
        let killed = client("", Some(Ending::Flooded));
        let swarm = |seen: Seen| {
            let words = "it ran 384 processes".to_string();
            Seen { limit: Some(Limit { words, is_of_processes: true }), ..seen }
        };
        assert!(happened(killed.clone()).starts_with("the client prints or sends without end; "));
        assert!(happened(at_limit(killed.clone())).starts_with("the client prints or sends without end; "));
        assert!(happened(swarm(killed.clone())).starts_with("the client starts processes or threads"));
        assert_eq!(killed.flooded().advice, None);
        let advice = |seen: Seen| seen.flooded().advice.expect("advice");
        assert!(advice(swarm(killed.clone())).contains("wait for each process"));
        assert!(!advice(at_limit(killed)).contains("process"));
        // One that was refused a process may end in whatever way.
        let trouble = |seen: Seen| seen.trouble().map(|ruling| ruling.outcome);
        assert_eq!(trouble(swarm(ended("", 0))), Some(Outcome::Flooded));
        assert_eq!(
            trouble(swarm(client("", Some(Ending::Signalled(Signal::SIGABRT))))),
            Some(Outcome::Flooded)
        );
        assert_eq!(trouble(swarm(client("", None))), None);
        assert_eq!(trouble(ended("", 0)), None);
    }

    #[apply(test)]
    fn a_program_that_had_to_end_is_judged_by_its_own_end_and_by_no_other_programs_doings() {
        let judged = |seen: &Seen, waited| seen.status(waited).map_err(|ruling| ruling.outcome);
        let runs = client("", None);
        assert_eq!(judged(&ended("", 3), Waited::Busy(Role::Client)), Ok(3));
        assert_eq!(judged(&ended("", 139), Waited::Met), Err(Outcome::Crashed));
        assert_eq!(judged(&runs, Waited::Flooded(Role::Client)), Err(Outcome::Flooded));
        assert_eq!(judged(&runs, Waited::Flooded(Role::Server)), Err(Outcome::Hung));
        let happened = |waited| runs.status(waited).expect_err("it runs").happened;
        assert!(happened(Waited::Busy(Role::Client)).contains("keeps a processor busy"));
        assert!(!happened(Waited::Busy(Role::Server)).contains("keeps a processor busy"));
        assert!(!happened(Waited::Quiet).contains("keeps a processor busy"));
    }

    #[apply(test)]
    fn a_program_that_never_did_it_failed_if_it_has_ended_and_hangs_if_not() {
        let judged = |seen: &Seen, waited| seen.never(waited, "connects");
        assert_eq!(judged(&ended("bye", 0), Waited::Quiet).outcome, Outcome::Fail);
        assert_eq!(judged(&ended("", 139), Waited::Quiet).outcome, Outcome::Crashed);
        let runs = client("", None);
        assert_eq!(judged(&runs, Waited::Flooded(Role::Client)).outcome, Outcome::Flooded);
        assert_eq!(judged(&runs, Waited::Flooded(Role::Server)).outcome, Outcome::Hung);
        assert_eq!(judged(&runs, Waited::Quiet).outcome, Outcome::Hung);
        // Answers are proposed where there are none yet.
        assert!(judged(&runs, Waited::Quiet).advice.expect("advice").contains("client-answers"));
        assert_eq!(judged(&Seen { is_answered: true, ..runs }, Waited::Quiet).advice, None);
    }

    #[apply(test)]
    fn an_error_is_words_of_its_own_and_a_status_where_one_is_wanted() {
        let usual = HashSet::from(["welcome".to_string()]);
        let judged = |seen: &Seen, waited, with_status| seen.error(waited, &usual, with_status).outcome;
        let (words, none) = ("welcome\nno server there\n", "welcome\n");
        let quiet = Waited::Quiet;
        assert_eq!(judged(&ended(words, 1), quiet, true), Outcome::Pass);
        assert_eq!(judged(&ended(words, 0), quiet, true), Outcome::Fail);
        assert_eq!(judged(&ended(words, 0), quiet, false), Outcome::Pass);
        assert_eq!(judged(&ended(none, 1), quiet, true), Outcome::Fail);
        let traced = ended(include_str!("../../tests/uncaught/caught-node.txt"), 1);
        assert!(traced.error(quiet, &usual, true).happened.contains("a stack trace instead of a sentence"));
        assert_eq!(judged(&ended(words, 134), quiet, true), Outcome::Crashed);
        // It still runs.
        let (asks, silent) = (client(words, None), client(none, None));
        let (busy, floods) = (Waited::Busy(Role::Client), Waited::Flooded(Role::Client));
        assert_eq!(judged(&asks, quiet, true), Outcome::Pass);
        assert_eq!(judged(&asks, busy, true), Outcome::Pass);
        assert_eq!(judged(&asks, floods, true), Outcome::Flooded);
        assert_eq!(judged(&asks, Waited::Flooded(Role::Server), true), Outcome::Hung);
        assert_eq!(judged(&silent, quiet, true), Outcome::Hung);
        assert_eq!(judged(&silent, busy, true), Outcome::Hung);
        assert_eq!(judged(&silent, quiet, false), Outcome::Fail);
    }

    #[apply(test)]
    fn what_is_quoted_shows_every_byte_and_counts_those_left_out() {
        assert_eq!(printed(b" \n"), "it printed nothing");
        assert_eq!(printed(b"one\ntwo"), "it printed: one | two");
        assert_eq!(quoted(b"a\x00\"\n"), r#""a\x00\"\n""#);
        assert_eq!(quoted(&[b'a'; EXCERPT]), format!("\"{}\"", "a".repeat(EXCERPT)));
        let longer = quoted(&[b'a'; EXCERPT + 2]);
        assert!(longer.ends_with("a\" (and 2 bytes more)"), "{longer}");
        let message = [Words::of(b"hello")];
        assert_eq!(own_words(b"got: hello", &message), HashSet::from(["got".to_string()]));
    }
}
