//! The one rule that tells when programs wait and nothing more is going to happen by itself.
//!
//! What always holds: no length of time decides by itself. Programs are quiet when none of them ran between
//! looks, nothing moved, and none of them is about to wake: so a busy machine makes a wait longer, and does
//! not change how it ends. Time counts only for what cannot be looked at: what the kernel's own threads
//! bring, and a program that sleeps or computes.
//!
//! Check takes a [`Quiet`] that looks long, before it judges that something will not come. Replay takes a
//! [`brief`](Quiet::brief) one where a mistake costs only a piece of a test: to hold back what is being sent.
//! [`AtTerminal`] needs neither: a program that reads its terminal waits for it.

use std::time::Duration;

use super::processes::Activity;

/// For how long, and at how many looks, nothing must have moved. A program that is blocked needs none of
/// it; this is for what the kernel's threads may be bringing.
const STILL: (Duration, u32) = (Duration::from_millis(40), 12);
/// The same for a brief look: what was written is on its way to its reader within that time, as a rule.
const BRIEFLY_STILL: (Duration, u32) = (Duration::from_millis(2), 1);
/// How long a program that waits for its terminal may have other threads at work before it counts as
/// waiting all the same: some have one that never rests.
const RESTLESS: Duration = Duration::from_millis(150);
/// A program that wakes by itself again and again must have done so this often with no effect, and for this
/// long; or less often where it sleeps for longer.
const WAKES: (u32, Duration) = (3, Duration::from_millis(500));
/// How often a program must have woken that sleeps for longer than the time of [`WAKES`].
const LONG_WAKES: u32 = 2;
/// How long a program that sleeps is waited for, when it does not wake.
const SLEEP: Duration = Duration::from_secs(10);
/// How long a program may run with no effect when it touches no new memory: it asks again and again for
/// something that is not there.
const SPIN: Duration = Duration::from_millis(200);
/// How long any program may run with no effect.
const COMPUTE: Duration = Duration::from_secs(2);
/// How much of the time between two looks counts: where this process is not let run, time goes by in which
/// nothing was looked at.
const LOOK: Duration = Duration::from_millis(5);

/// What a look at programs came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Something may still happen.
    Active,
    /// All of them wait for something from outside, or have ended.
    Quiet,
    /// The same, but the program with this number keeps running without any effect.
    Spinning(usize),
}

/// Looks at the same programs again and again, until they are quiet.
#[derive(Debug)]
pub struct Quiet {
    /// What `still` must reach.
    needed: (Duration, u32),
    last: Option<Duration>,
    /// Time and looks since something moved or a program ran that is not known to wake by itself.
    still: (Duration, u32),
    programs: Vec<Program>,
}

/// What is remembered of one program since something moved.
#[derive(Clone, Copy, Debug, Default)]
struct Program {
    turns: u64,
    /// How long it had run when something moved, and when it last touched new memory.
    spent: [Duration; 2],
    faults: u64,
    napped: bool,
    served: bool,
    wakes: u32,
    /// How long it has napped, in one piece or many; and how long any thread of it has.
    asleep: Duration,
    waking: Duration,
}

impl Program {
    fn new(activity: &Activity) -> Program {
        let spent = [activity.spent; 2];
        Program {
            turns: activity.turns,
            spent,
            faults: activity.faults,
            napped: activity.naps,
            served: activity.serves,
            ..Program::default()
        }
    }

    fn wakes_for_nothing(&self) -> bool {
        let long = self.waking >= WAKES.1 * LONG_WAKES && self.wakes >= LONG_WAKES;
        long || (self.wakes >= WAKES.0 && self.waking >= WAKES.1)
    }

    fn spins(&self, activity: &Activity) -> bool {
        let since = |at: usize| activity.spent.saturating_sub(self.spent[at]);
        since(0) >= COMPUTE || (since(0) >= SPIN && since(1) >= SPIN)
    }
}

impl Default for Quiet {
    fn default() -> Self {
        Quiet { needed: STILL, last: None, still: (Duration::ZERO, 0), programs: Vec::new() }
    }
}

impl Quiet {
    /// Looks for a moment only.
    pub fn brief() -> Self {
        Quiet { needed: BRIEFLY_STILL, ..Quiet::default() }
    }

    /// Whether the program with this number was seen to wake by itself again and again without effect.
    pub fn wakes_for_nothing(&self, program: usize) -> bool {
        self.programs.get(program).is_some_and(Program::wakes_for_nothing)
    }

    /// Looks at `now`, a time by any clock that does not go back, at what `programs` are doing: always the
    /// same ones, `None` for one that has ended. `moved` tells whether anything happened since the last look
    /// that could be seen from outside: bytes printed, sent or passed on, or an end.
    pub fn look(&mut self, now: Duration, moved: bool, programs: &[Option<Activity>]) -> State {
        let passed = now.saturating_sub(self.last.unwrap_or(now)).min(LOOK);
        if moved || self.last.is_none() {
            self.still = (Duration::ZERO, 0);
            self.programs = programs.iter().flatten().map(Program::new).collect();
        } else {
            self.still = (self.still.0 + passed, self.still.1 + 1);
        }
        self.last = Some(now);
        if self.programs.len() != programs.iter().flatten().count() {
            self.programs = programs.iter().flatten().map(Program::new).collect();
            self.still = (Duration::ZERO, 0);
        }
        let (mut waits, mut spinning) = (true, None);
        let live = programs.iter().enumerate().filter_map(|(at, activity)| Some((at, activity.as_ref()?)));
        for ((at, activity), program) in live.zip(&mut self.programs) {
            let ran = activity.turns != program.turns;
            program.turns = activity.turns;
            if activity.running && activity.faults != program.faults {
                program.faults = activity.faults;
                program.spent[1] = activity.spent;
            }
            if activity.naps || program.napped {
                program.asleep += passed;
            }
            let wakes = (program.napped && activity.naps) || (program.served && activity.serves);
            if wakes && !activity.running {
                program.waking += passed;
                program.wakes += u32::from(ran);
            }
            program.served = activity.serves || (program.served && activity.running);
            // Awake in between, it still is one that naps.
            program.napped = activity.naps || (program.napped && activity.running);
            let spins = program.spins(activity);
            if spins {
                spinning = Some(at);
            } else if (ran || activity.running) && !program.wakes_for_nothing() {
                self.still = (Duration::ZERO, 0);
            }
            waits &= spins
                || (!activity.running || program.wakes_for_nothing())
                    && (!program.napped || program.wakes_for_nothing() || program.asleep >= SLEEP);
        }
        match spinning {
            _ if !waits || self.still.0 < self.needed.0 || self.still.1 < self.needed.1 => State::Active,
            Some(program) => State::Spinning(program),
            None => State::Quiet,
        }
    }
}

/// Looks at one program again and again, until it waits for its terminal.
#[derive(Debug, Default)]
pub struct AtTerminal {
    since: Option<Duration>,
}

impl AtTerminal {
    /// Whether it does so at `now`, a time by any clock that does not go back. `took_all` tells whether all
    /// that was typed is with it.
    pub fn look(&mut self, now: Duration, took_all: bool, activity: &Activity) -> bool {
        if !activity.at_terminal || !took_all {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        !activity.running || now.saturating_sub(since) > RESTLESS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCKED: Activity = Activity {
        running: false,
        at_terminal: false,
        unread: false,
        turns_at_terminal: 0,
        turns: 7,
        naps: false,
        serves: false,
        spent: Duration::from_millis(30),
        faults: 0,
    };

    /// After how many milliseconds one program is found to be quiet, when `activity` tells what it does at
    /// each of them.
    fn quiet_after(activity: impl Fn(u64) -> Activity) -> Option<(u64, State)> {
        let mut quiet = Quiet::default();
        (0..20_000).find_map(|at| {
            let state = quiet.look(Duration::from_millis(at), false, &[Some(activity(at))]);
            (state != State::Active).then_some((at, state))
        })
    }

    #[apply(test)]
    fn a_blocked_program_is_quiet_as_soon_as_nothing_moves() {
        assert_eq!(quiet_after(|_| BLOCKED), Some((40, State::Quiet)));
    }

    #[apply(test)]
    fn a_program_that_could_run_is_waited_for_however_long_it_is_not_let_run() {
        assert_eq!(quiet_after(|_| Activity { running: true, ..BLOCKED }), None);
    }

    #[apply(test)]
    fn a_program_that_just_ran_is_looked_at_again() {
        let (at, _) = quiet_after(|at| Activity { turns: at.min(500), ..BLOCKED }).expect("it is quiet");
        assert_eq!(at, 540);
    }

    #[apply(test)]
    fn a_sleep_is_waited_out_and_what_it_does_then_counts() {
        let sleeps = |at: u64| Activity { naps: at < 3_000, turns: at / 3_000, ..BLOCKED };
        let (at, _) = quiet_after(sleeps).expect("it is quiet");
        assert!((3_000..3_100).contains(&at), "{at}");
    }

    #[apply(test)]
    fn a_sleep_that_does_not_end_is_given_up() {
        let (at, state) = quiet_after(|_| Activity { naps: true, ..BLOCKED }).expect("it is quiet");
        assert!((10_000..10_100).contains(&at) && state == State::Quiet, "{at}");
    }

    #[apply(test)]
    fn a_program_that_wakes_again_and_again_for_nothing_is_quiet() {
        for (period, most) in [(2, 600), (100, 600), (1_000, 2_100), (1_900, 4_000)] {
            let wakes = |at: u64| Activity { naps: true, turns: at / period, ..BLOCKED };
            let (at, state) = quiet_after(wakes).expect("it is quiet");
            assert!(at >= 500 && at <= most && state == State::Quiet, "{period}: {at}");
        }
    }

    #[apply(test)]
    fn a_thread_that_serves_a_language_does_not_keep_a_program_from_being_quiet() {
        let serves = |at: u64| Activity { serves: true, turns: at / 20, ..BLOCKED };
        let (at, state) = quiet_after(serves).expect("it is quiet");
        assert!((500..700).contains(&at) && state == State::Quiet, "{at}");
    }

    #[apply(test)]
    fn a_program_that_asks_again_and_again_is_spinning_soon_and_one_that_computes_is_not() {
        let runs = |at: u64, faults: u64| Activity {
            running: true,
            spent: Duration::from_millis(at),
            faults,
            ..BLOCKED
        };
        let (at, state) = quiet_after(|at| runs(at, 5)).expect("it is quiet");
        assert!(state == State::Spinning(0) && (200..300).contains(&at), "{at}");
        let (at, state) = quiet_after(|at| runs(at, at)).expect("it is quiet");
        assert!(state == State::Spinning(0) && at >= 2_000, "{at}");
    }

    #[apply(test)]
    fn a_brief_look_needs_two_and_a_program_that_sleeps_is_no_more_quiet_for_it() {
        let mut quiet = Quiet::brief();
        let mut at = |at, activity| quiet.look(Duration::from_millis(at), false, &[Some(activity)]);
        assert_eq!([0, 1, 2].map(|time| at(time, BLOCKED)), [State::Active, State::Active, State::Quiet]);
        assert_eq!(at(3, Activity { turns: 8, ..BLOCKED }), State::Active);
        assert_eq!(at(10, Activity { turns: 8, naps: true, ..BLOCKED }), State::Active);
    }

    #[apply(test)]
    fn a_program_waits_for_its_terminal_once_it_took_all_and_its_other_threads_do_not_keep_it_from_that() {
        let reads = Activity { at_terminal: true, ..BLOCKED };
        let mut terminal = AtTerminal::default();
        let mut at = |at, took_all, activity| terminal.look(Duration::from_millis(at), took_all, &activity);
        assert!(!at(0, true, BLOCKED) && !at(1, false, reads) && at(2, true, reads));
        let restless = Activity { running: true, ..reads };
        assert!(!at(100, true, restless) && at(153, true, restless));
        assert!(!at(200, false, restless) && !at(300, true, restless));
    }

    #[apply(test)]
    fn nobody_is_quiet_while_something_moves_and_the_ended_are() {
        let mut quiet = Quiet::default();
        for at in 0..500 {
            assert_eq!(quiet.look(Duration::from_millis(at), true, &[Some(BLOCKED), None]), State::Active);
        }
        let later = (500..600).map(|at| quiet.look(Duration::from_millis(at), false, &[Some(BLOCKED), None]));
        assert_eq!(later.last(), Some(State::Quiet));
    }
}
