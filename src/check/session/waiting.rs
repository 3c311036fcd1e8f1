//! The waiting in a session: for the thing itself, or until the programs are quiet.
//!
//! What always holds: no guessed time ends a wait, and what came before a wait cannot change how it ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;

use super::{Session, Waited, stopped};
use crate::check::tested::Tested;
use crate::proxy::{Direction, Mode};
use crate::results::Role;
use crate::run::clock;
use crate::run::outcome::Ending;
use crate::run::processes::Activity;
use crate::run::quiet::{Quiet, State};

/// How long the kernel may take to bring what has been written already. It always does; on a machine
/// that is busy enough, not soon.
const BROUGHT: Duration = Duration::from_secs(60);
/// After how much time without a result a wait is given up, in units of the limit for a session.
const AT_MOST: u32 = 6;
/// For how long, and at how many looks, a client must not have run before it has sent all that it sends for
/// one line, or before it waits for the next.
const RESTED: (Duration, u32) = (Duration::from_millis(1), 3);

/// What can be seen of a session from outside at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    /// For server and client.
    shown: [usize; 2],
    ended: [bool; 2],
    sent: [usize; 2],
    passed: [usize; 2],
}

impl Look {
    /// The program that has printed or sent more than `flood` bytes since `before`.
    fn flood(&self, before: &Look, flood: usize, ignored: Option<Role>) -> Option<Role> {
        let grown = |now: usize, before: usize| now > before.saturating_add(flood);
        [Role::Server, Role::Client].into_iter().filter(|&role| Some(role) != ignored).find(|&role| {
            let at = role as usize;
            grown(self.shown[at], before.shown[at]) || grown(self.sent[at], before.sent[at])
        })
    }
}

impl Session<'_> {
    /// Waits for the end of both programs, and for all that they had to print.
    pub fn both_end(&mut self) -> Result<Waited> {
        let waited = self.wait(|session| session.programs().all(Tested::has_ended))?;
        if waited == Waited::Met { self.last_words() } else { Ok(waited) }
    }

    /// Waits for the end of one program, and for all that it had to print.
    pub fn ends(&mut self, role: Role) -> Result<Waited> {
        let waited = self.wait(|session| session.of(role).has_ended())?;
        if waited == Waited::Met { self.last_words() } else { Ok(waited) }
    }

    /// Waits until all that the programs which have ended had to print was read, and all that they have sent, with
    /// the ends of their connections: the kernel may bring those after it has told of the end of the process.
    pub fn last_words(&mut self) -> Result<Waited> {
        let until = self.clock.now() + BROUGHT;
        let mut sent = Vec::new();
        for tested in self.programs().filter(|tested| tested.has_ended()) {
            if tested.program.wait_for(until, |_| None::<()>) == clock::Waited::Stopped {
                return Err(stopped());
            }
            sent.push(match tested.role {
                Role::Server => Direction::ToClient,
                Role::Client => Direction::ToServer,
            });
        }
        let clock = self.clock.clone();
        let read = clock.watch(until, || {
            // In this order: what comes in between is read then. The other program may send for ever.
            let coming: Result<Vec<bool>> =
                sent.iter().map(|&direction| self.proxy.is_coming(direction)).collect();
            match coming.and_then(|coming| self.proxy.pump().map(|_| coming.contains(&true))) {
                Ok(true) => None,
                Ok(false) => Some(Ok(Waited::Met)),
                Err(error) => Some(Err(error)),
            }
        });
        match read {
            clock::Waited::Seen(read) => read,
            clock::Waited::Stopped => Err(stopped()),
            clock::Waited::TimeUp => Ok(Waited::Met),
        }
    }

    /// Waits for `met`, or until the programs are quiet.
    pub fn wait(&mut self, mut met: impl FnMut(&Session) -> bool) -> Result<Waited> {
        let until = self.clock.now() + self.setup.limits().time * AT_MOST;
        let begun = self.look();
        loop {
            let waited = self.wait_once(until, &begun, &mut met)?;
            if !matches!(waited, Waited::Quiet | Waited::Busy(_)) {
                return Ok(waited);
            }
            // What was printed before may still be on its way here, through the same threads of the kernel
            // behind which the marks come.
            let before = self.look();
            let turns = self.turns();
            let Some(marks) = self.catch_up()? else { continue };
            if met(self) {
                return Ok(Waited::Met);
            }
            let mut expected = before;
            for (shown, mark) in expected.shown.iter_mut().zip(marks) {
                *shown += mark;
            }
            let rests =
                |session: &Session| session.rest_since(&turns) && !session.programs().any(Tested::is_ending);
            // In this order: an end that is noted in between is seen by the look.
            let same = (waited != Waited::Quiet || rests(self)) && self.look() == expected;
            let answered = same && (self.pass_on_end() || self.answer_one());
            if (same && !answered) || self.clock.now() >= until {
                return Ok(waited);
            }
        }
    }

    /// Passes on an end that was kept back: a server may be waiting for it.
    fn pass_on_end(&mut self) -> bool {
        let flow = &mut self.proxy.to_server;
        let is_kept = flow.keep_end && flow.end.is_some();
        flow.keep_end &= !is_kept;
        is_kept
    }

    /// Types the next answer at a program that has one left.
    fn answer_one(&mut self) -> bool {
        [&mut self.server, &mut self.client].into_iter().flatten().any(Tested::answer)
    }

    fn turns(&self) -> Vec<Option<u64>> {
        self.programs().map(|tested| tested.activity().map(|activity| activity.turns)).collect()
    }

    /// Whether no program has run since it had had `turns`, nor is about to, but for those that wake by
    /// themselves.
    fn rest_since(&self, turns: &[Option<u64>]) -> bool {
        self.programs().zip(turns).all(|(tested, turns)| {
            let wakes = self.restless.contains(&tested.role);
            tested.activity().is_none_or(|activity| {
                wakes || activity.naps || (!activity.running && Some(activity.turns) == *turns)
            })
        })
    }

    /// Waits until everything that the programs have written to their terminals was read. How many bytes of
    /// what was read are the marks that tell so; `None` when a terminal takes no mark now: it is full, or its
    /// program is just writing to it. Then nothing is known, and another look is due.
    fn catch_up(&mut self) -> Result<Option<[usize; 2]>> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let mut marks = [0, 0];
        for tested in self.programs() {
            // A terminal takes it for the title of a window without a window to it.
            let mark = format!("\x1b]echolog {}\x07", NUMBER.fetch_add(1, Ordering::Relaxed));
            let shown = tested.shown();
            // The output of one that has ended was read to its end.
            if tested.has_ended() {
                continue;
            }
            if !tested.program.mark_screen(mark.as_bytes())? {
                return Ok(None);
            }
            let come = |screen: &[u8]| memchr::memmem::find(screen, mark.as_bytes()).is_some();
            let seen = tested.program.wait_for(self.clock.now() + BROUGHT, |transcript| {
                transcript.screen().get(shown..).is_some_and(come).then_some(())
            });
            match seen {
                clock::Waited::Stopped => return Err(stopped()),
                clock::Waited::Seen(Some(())) => marks[tested.role as usize] = mark.len(),
                // It has closed its terminal, or ended.
                clock::Waited::Seen(None) | clock::Waited::TimeUp => {}
            }
        }
        Ok(Some(marks))
    }

    fn wait_once(
        &mut self,
        until: Duration,
        begun: &Look,
        met: &mut impl FnMut(&Session) -> bool,
    ) -> Result<Waited> {
        let clock = self.clock.clone();
        let (flood, roles) = (self.flood, self.roles());
        let (mut last, mut quiet, mut looked) = (self.look(), Quiet::default(), clock.now());
        let waited = clock.watch(until, || {
            // A program whose output could not be read is this machine's fault.
            if let Some(error) = self.programs().find_map(|tested| tested.program.check_sound().err()) {
                return Some(Err(error));
            }
            match self.proxy.pump().and_then(|pumped| Ok(pumped || self.proxy.is_sending()?)) {
                Ok(is_on_its_way) => self.is_on_its_way = is_on_its_way,
                Err(error) => return Some(Err(error)),
            }
            if met(self) {
                return Some(Ok(Waited::Met));
            }
            let look = self.look();
            if let Some(role) = look.flood(begun, flood, self.ignored).or_else(|| self.flooded()) {
                return Some(Ok(Waited::Flooded(role)));
            }
            let activities: Vec<_> = self.programs().map(Tested::activity).collect();
            let passed = clock.now().saturating_sub(looked);
            looked += passed;
            for (role, _) in roles.iter().zip(&activities).filter(|(_, activity)| sleeps(activity.as_ref())) {
                self.asleep[*role as usize] += passed;
            }
            let answered = match self.answer_when_asked(&activities) {
                Ok(answered) => answered,
                Err(error) => return Some(Err(error)),
            };
            let moved = self.is_on_its_way || look != last || self.proxy.is_busy() || answered;
            last = look;
            match quiet.look(clock.now(), moved, &activities) {
                State::Active => None,
                State::Quiet => Some(Ok(Waited::Quiet)),
                State::Spinning(at) => Some(Ok(Waited::Busy(roles[at]))),
            }
        });
        let restless = roles.iter().enumerate().filter(|(at, _)| quiet.wakes_for_nothing(*at));
        self.restless = restless.map(|(_, role)| *role).collect();
        match waited {
            clock::Waited::Seen(waited) => waited,
            clock::Waited::Stopped => Err(stopped()),
            clock::Waited::TimeUp => Ok(Waited::Quiet),
        }
    }

    /// For how long the program with this role has slept in waits, and computed.
    pub fn effort(&self, role: Role) -> Duration {
        let spent = self.of(role).activity().map_or(Duration::ZERO, |activity| activity.spent);
        self.asleep[role as usize] + spent
    }

    fn flooded(&self) -> Option<Role> {
        let floods =
            |tested: &&Tested| tested.ending() == Some(Ending::Flooded) && Some(tested.role) != self.ignored;
        self.programs().find(floods).map(|tested| tested.role)
    }

    /// From here on a flood of the program with this role does not end a wait: it is known, and the other
    /// one is to be judged.
    pub fn ignore_flood_of(&mut self, role: Role) {
        self.ignored = Some(role);
        let flow = match role {
            Role::Server => &mut self.proxy.to_client,
            Role::Client => &mut self.proxy.to_server,
        };
        flow.mode = Mode::Held;
    }

    /// How many bytes the client has sent on connections other than its first.
    pub fn sent_elsewhere(&self) -> usize {
        self.proxy.further().map(|connection| connection.to_server.tape.len()).sum()
    }

    /// Types the next answer at a program that waits for its terminal.
    fn answer_when_asked(&mut self, activities: &[Option<Activity>]) -> Result<bool> {
        let asks = |(tested, activity): (&Tested, &Option<Activity>)| {
            let waits = activity.is_some_and(|activity| activity.at_terminal && !activity.running);
            (waits && !tested.answers.is_empty()).then_some(tested.role)
        };
        let Some(role) = self.programs().zip(activities).find_map(asks) else { return Ok(false) };
        // The question comes before the answer.
        if self.catch_up()?.is_none() {
            return Ok(false);
        }
        let tested = match role {
            Role::Server => &mut self.server,
            Role::Client => &mut self.client,
        };
        Ok(tested.as_mut().is_some_and(Tested::answer))
    }

    /// Waits until the client waits for its keyboard, with everything read that it has printed until then,
    /// or has ended, or all is quiet.
    pub fn settle(&mut self) -> Result<Waited> {
        loop {
            let mut rest = Rest::default();
            let waited = self.wait(|session| {
                let client = session.client();
                client.has_ended() || (client.answers.is_empty() && rest.is_at_terminal(session))
            })?;
            if waited != Waited::Met {
                return Ok(waited);
            }
            // It may have rested for a moment only, on its way to the question.
            let waits = |session: &Session| {
                session.client().activity().map(|activity| (activity.at_terminal, activity.turns_at_terminal))
            };
            let before = waits(self);
            let is_read = self.catch_up()?.is_some();
            if self.client().has_ended() || (is_read && waits(self) == before) {
                return Ok(waited);
            }
        }
    }

    /// Waits until the client has nothing more to send for now.
    pub fn all_sent(&mut self) -> Result<Waited> {
        let mut rest = Rest::default();
        self.wait(|session| session.client().has_ended() || rest.rests(session))
    }

    fn look(&self) -> Look {
        let mut look = Look::default();
        for tested in self.programs() {
            let at = tested.role as usize;
            look.shown[at] = tested.shown();
            look.ended[at] = tested.has_ended();
        }
        let flows = [(Role::Server, &self.proxy.to_client), (Role::Client, &self.proxy.to_server)];
        for (role, flow) in flows {
            look.sent[role as usize] = flow.tape.len();
            look.passed[role as usize] = flow.passed;
        }
        look
    }
}

fn sleeps(activity: Option<&Activity>) -> bool {
    activity.is_some_and(|activity| activity.naps && !activity.running)
}

/// Looks at the client until it rests.
#[derive(Default)]
struct Rest {
    since: Option<Duration>,
    turns: u64,
    looks: u32,
    sent: usize,
}

impl Rest {
    fn rests(&mut self, session: &Session) -> bool {
        let now = session.clock.now();
        let Some(activity) = session.client().activity() else { return true };
        let sent = session.proxy.to_server.tape.len();
        let moves =
            activity.running || activity.turns != self.turns || sent != self.sent || session.is_on_its_way;
        (self.turns, self.sent) = (activity.turns, sent);
        if moves || self.since.is_none() {
            (self.since, self.looks) = (Some(now), 0);
            return false;
        }
        self.looks += 1;
        self.looks >= RESTED.1 && self.since.is_some_and(|since| now >= since + RESTED.0)
    }

    fn is_at_terminal(&mut self, session: &Session) -> bool {
        let at_terminal = session.client().activity().is_none_or(|activity| activity.at_terminal);
        self.rests(session) && at_terminal
    }
}
