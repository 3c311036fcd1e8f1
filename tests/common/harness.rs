//! The harness of all tests: it runs them with libtest-mimic, and lists at the end those that this machine cannot
//! run, with the reason.
//!
//! What holds: a test that did not run is ignored and never counted as passed; where CI runs (CI=true), a
//! missing tool is a failure; a failed test reports where it panicked; nothing else is printed while tests run.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::num::NonZero;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex};
use std::thread;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::tools;

/// A test function, registered by `#[apply(test)]` or `#[apply(waiting_test)]`.
pub struct Function {
    pub name: &'static str,
    pub run: fn(),
    pub waits: bool,
}

inventory::collect!(Function);

/// Registers a function as a test of this program: `#[apply(test)]` in place of `#[test]`, which a program with
/// a harness of its own would drop without a word.
macro_rules! test {
    ($($function:tt)*) => { registered! { waits: false, $($function)* } };
}

/// Registers a test that takes ten seconds or more, and needs hardly any processor time.
macro_rules! waiting_test {
    ($($function:tt)*) => { registered! { waits: true, $($function)* } };
}

macro_rules! registered {
    (waits: $waits:literal, $(#[$attribute:meta])* fn $name:ident() $body:block) => {
        $(#[$attribute])*
        fn $name() $body

        inventory::submit! {
            $crate::common::harness::Function {
                name: concat!(module_path!(), "::", stringify!($name)),
                run: $name,
                waits: $waits,
            }
        }
    };
}

/// Ends a test that needs something that this machine lacks: programs by name, and `root` for the superuser.
pub fn needs(names: &[&str]) {
    if let Some(reason) = tools::missing(names) {
        // Unwinds without a call of the panic hook.
        panic::resume_unwind(Box::new(CannotRun(reason)));
    }
}

/// Ends a test that cannot run on this machine, for this reason. Panics where CI runs.
pub fn cannot_run(reason: &str) -> ! {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}");
    panic::resume_unwind(Box::new(CannotRun(reason.to_owned())));
}

/// What [`needs`] unwinds with.
struct CannotRun(String);

/// A test: it passes, fails (also by a panic), or returns why it cannot run here.
pub struct Test {
    name: String,
    run: Box<dyn FnOnce() -> Result<Completion, Failed> + Send>,
    /// Whether it waits for most of its time, and so runs beside the others from the start.
    waits: bool,
}

impl Test {
    pub fn new(
        name: impl Into<String>,
        run: impl FnOnce() -> Result<Completion, Failed> + Send + 'static,
    ) -> Self {
        Test { name: name.into(), run: Box::new(run), waits: false }
    }
}

impl From<&'static Function> for Test {
    fn from(function: &'static Function) -> Self {
        let name = function.name.split_once("::").map_or(function.name, |(_program, name)| name);
        let run = || {
            (function.run)();
            Ok(Completion::Completed)
        };
        Test { waits: function.waits, ..Test::new(name, run) }
    }
}

/// All registered tests of this program.
pub fn registered() -> Vec<Test> {
    inventory::iter::<Function>.into_iter().map(Test::from).collect()
}

/// Runs `tests`, three for each processor at a time, since most wait for more than half of their time; lists the
/// ignored ones at the end, and exits.
pub fn run(tests: Vec<Test>) -> ! {
    let mut arguments = Arguments::from_args();
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    arguments.test_threads.get_or_insert(processors * 3);
    // A person who asks for certain tests wants their names; a run of all of them is one character a test.
    arguments.quiet |= arguments.filter.is_none() && arguments.format.is_none();
    report_panics_with_tests();
    use_default_signals();
    let ignored = Ignored::default();
    let trials = spread(tests).into_iter().map(|test| trial(test, &arguments, &ignored)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if arguments.format.is_none() {
        list(&ignored);
    }
    conclusion.exit();
}

/// Orders `tests` so that those of each area (the first part of a name) are spread evenly over the whole run: some
/// areas compute and some wait, and so they do it beside each other. Tests that wait for long come last.
fn spread(tests: Vec<Test>) -> Vec<Test> {
    let mut areas: BTreeMap<String, Vec<Test>> = BTreeMap::new();
    for test in tests {
        let area = test.name.split("::").next().unwrap_or_default().to_owned();
        areas.entry(area).or_default().push(test);
    }
    let mut placed = Vec::new();
    for mut tests in areas.into_values() {
        tests.sort_by(|one, other| one.name.cmp(&other.name));
        let count = tests.len();
        placed.extend(tests.into_iter().enumerate().map(|(nth, test)| (nth * 10_000 / count, test)));
    }
    placed.sort_by_key(|(place, test)| (test.waits, *place));
    placed.into_iter().map(|(_, test)| test).collect()
}

/// Programs under test find what they would find at a terminal: a shell ignores interrupts for what it runs in
/// the background, `nohup` hang-ups, and what is started from there inherits that.
fn use_default_signals() {
    let usual = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP] {
        #[expect(unsafe_code, reason = "sigaction(2) is unsafe for the handlers it can install")]
        // SAFETY: the default action is no handler.
        unsafe { sigaction(signal, &usual) }.expect("these signals can be set");
    }
}

/// The names of ignored tests by reason.
type Ignored = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

fn list(ignored: &Ignored) {
    for (reason, names) in &mut *ignored.lock().expect("all tests have ended") {
        names.sort();
        println!("ignored, {reason}:\n    {}\n", names.join("\n    "));
    }
}

fn trial(test: Test, arguments: &Arguments, ignored: &Ignored) -> Trial {
    let Test { name, run, waits } = test;
    let (listed, ignored) = (name.clone(), ignored.clone());
    let run = move || {
        let result = result(run);
        if let Ok(Completion::Ignored { reason: Some(reason) }) = &result {
            let mut ignored = ignored.lock().expect("nothing panics while it is locked");
            ignored.entry(reason.clone()).or_default().push(listed);
        }
        result
    };
    let asked = !arguments.list && !arguments.is_filtered_out(&Trial::test(&name, || Ok(())));
    if waits && asked {
        let running = thread::spawn(run);
        Trial::ignorable_test(name, || running.join().expect("its panics are caught"))
    } else {
        Trial::ignorable_test(name, run)
    }
}

fn result(run: impl FnOnce() -> Result<Completion, Failed>) -> Result<Completion, Failed> {
    IS_TEST.set(true);
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| match payload.downcast() {
        Ok(cannot_run) => {
            let CannotRun(reason) = *cannot_run;
            Ok(Completion::ignored_with(reason))
        }
        Err(_) => Err(PANIC.take().unwrap_or_else(|| "panicked without a message".into()).into()),
    })
}

thread_local! {
    /// Whether this thread runs tests.
    static IS_TEST: Cell<bool> = const { Cell::new(false) };
    /// Where and why this thread panicked last.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps what a test panics with for the list of failures, instead of printing it in between.
fn report_panics_with_tests() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !IS_TEST.get() {
            return print(info);
        }
        let trace = Backtrace::capture();
        let trace = (trace.status() == BacktraceStatus::Captured).then(|| format!("\n{trace}"));
        PANIC.set(Some(format!("{info}{}", trace.unwrap_or_default())));
    }));
}
