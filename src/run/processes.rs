//! What the kernel tells of processes (proc(5)), so that nothing has to be guessed from pauses.
//!
//! Nothing here changes anything. Linux only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::libc;
use nix::unistd::{Pid, getsid};

use super::terminal;

/// What the processes at one terminal are doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Activity {
    /// A thread of them runs, or could at once.
    pub running: bool,
    /// A thread of them waits for its terminal, and has done what it does with the line that was typed
    /// last: it is in read(2) on it, or in poll(2), select(2) or `epoll_wait(2)` with it among the files
    /// waited for, and it has run since that line was typed.
    pub at_terminal: bool,
    /// A line was typed, and not all of it was read when this look began.
    pub unread: bool,
    /// How often the threads that wait for the terminal were put on a processor so far.
    pub turns_at_terminal: u64,
    /// How often their threads were put on a processor so far: when two looks give the same number,
    /// none ran in between.
    pub turns: u64,
    /// A thread of them will wake by itself before long, and may then do something: it sleeps, or waits
    /// with a timeout while something that it does not wait for may be there for it.
    pub naps: bool,
    /// A thread of them waits for another one with a timeout, as threads do that serve a language's own ends:
    /// when it wakes, that means nothing by itself.
    pub serves: bool,
    /// How long their threads were on a processor so far.
    pub spent: Duration,
    /// How many page faults they have had so far; counted only while one of them is running.
    pub faults: u64,
}

/// The longest sleep that is waited out. A program that sleeps for longer does not react in time, whatever
/// it would do then.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);
/// The longest timeout after which a program that waits for a file is expected to look at others. A longer
/// one is there for the case that the other side does not answer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(2);

/// The processes of a session in the sense of setsid(2), remembered from look to look.
#[derive(Debug)]
pub struct Session {
    leader: i32,
    members: BTreeSet<i32>,
    /// Those that have ended and were not waited for: how often and for how long they were on a processor. There may
    /// be hundreds, and nothing about them changes any more.
    ended: BTreeMap<i32, (u64, Duration)>,
    last_pid: i32,
    /// The threads that waited for the terminal at the last look.
    waiting: Vec<PathBuf>,
    /// Their turns when a line was typed, and this side of the terminal. The line is on its way to them until it was
    /// read. One that was on a processor just then needs no further turn for that.
    typed_at: Option<(u64, File)>,
    /// Whether anything was ever typed at them.
    has_keyboard: bool,
}

impl Session {
    /// The session that the process `leader` leads.
    pub fn of(leader: i32) -> Session {
        Session {
            leader,
            members: BTreeSet::from([leader]),
            ended: BTreeMap::new(),
            last_pid: leader,
            waiting: Vec::new(),
            typed_at: None,
            has_keyboard: false,
        }
    }

    /// What its processes are doing.
    pub fn activity(&mut self) -> Activity {
        // Where no process was made anywhere since the last look, the session has no new member.
        let last_pid = last_pid();
        if last_pid != self.last_pid {
            let is_member = |pid: i32| session(pid) == Some(self.leader);
            self.members.retain(|&pid| pid == self.leader || is_member(pid));
            self.ended.retain(|pid, _| is_member(*pid));
            let is_known = |pid: i32| self.members.contains(&pid) || self.ended.contains_key(&pid);
            let new = younger(self.leader, |pid| is_member(pid) && !is_known(pid));
            self.members.extend(new);
            self.last_pid = last_pid;
        }
        // Before the look: what reads a line in between is seen to run, or to wait again.
        if self.typed_at.as_ref().is_some_and(|(_, keyboard)| !terminal::has_unread(keyboard)) {
            self.typed_at = None;
        }
        let mut activity = Activity { unread: self.typed_at.is_some(), ..Activity::default() };
        let mut turns_waiting = 0;
        self.waiting.clear();
        for (turns, spent) in self.ended.values() {
            activity.turns += turns;
            activity.spent += *spent;
        }
        self.members.retain(|&pid| {
            let before = (activity.turns, activity.spent);
            let has_ended = look_at(pid, self.has_keyboard, &mut activity, |thread, turns| {
                self.waiting.push(thread.to_owned());
                turns_waiting += turns;
            });
            if has_ended && pid != self.leader {
                self.ended.insert(pid, (activity.turns - before.0, activity.spent.saturating_sub(before.1)));
            }
            pid == self.leader || !has_ended
        });
        activity.at_terminal = !self.waiting.is_empty();
        activity.turns_at_terminal = turns_waiting;
        if activity.at_terminal && self.typed_at.as_ref().is_some_and(|(turns, _)| *turns == turns_waiting) {
            (activity.at_terminal, activity.running) = (false, true);
        }
        activity
    }

    /// Whether its leader has ended, or a thread of its processes is just ending or held by the kernel, whatever its
    /// last system call was: what a process has open is closed at its end, and that may wait for threads of the
    /// kernel. As of the last look at what they are doing; too much work for each such look.
    pub fn is_ending(&self) -> bool {
        let is_ending = |thread: PathBuf| {
            Stat::of(&thread).is_some_and(|stat| !stat.has_ended() && (stat.ends || stat.state == b'D'))
        };
        has_ended(self.leader) || self.members.iter().any(|&pid| threads(pid).any(is_ending))
    }

    /// To be called right before a line is typed: a terminal shows a line before it hands it over, so
    /// that neither its echo nor a thread that waits for the terminal tells that the line has come to it.
    pub fn will_be_typed_at(&mut self, keyboard: File) {
        let turns = self.waiting.iter().filter_map(|thread| Some(turns(thread)?.0)).sum();
        self.typed_at = Some((turns, keyboard));
        self.has_keyboard = true;
    }
}

/// Adds what the threads of `pid` are doing to `activity`, except whether they wait for the terminal:
/// those that do are given to `waits`, with their turns. Whether it has ended, and was not waited for yet.
fn look_at(pid: i32, has_keyboard: bool, activity: &mut Activity, mut waits: impl FnMut(&Path, u64)) -> bool {
    let (mut count, mut pauses, mut runs) = (0, Vec::new(), false);
    let mut ended = 0;
    for thread in threads(pid) {
        let Some((turns, spent)) = turns(&thread) else { continue };
        count += 1;
        activity.spent += spent;
        activity.turns += turns;
        let call = fs::read_to_string(thread.join("syscall"));
        let has_ended = || Stat::of(&thread).is_none_or(|stat| stat.has_ended());
        if self::turns(&thread).is_none_or(|(now, _)| now != turns) {
            // It ran while we looked.
            runs = true;
            continue;
        }
        match call {
            Ok(call) if call.starts_with("running") => {
                // One that has ended and was not waited for yet is not running. The others may be, though it is
                // the main thread: of a process that ends, each ends by itself.
                let has_ended = has_ended();
                runs |= !has_ended;
                ended += u32::from(has_ended);
            }
            Ok(call) => {
                let Some(call) = Call::parse(&call) else { continue };
                if call.is_none() && has_ended() {
                    ended += 1;
                    continue;
                }
                if call.waits_for_this_process() || (!call.waits_for_others() && is_held(&thread)) {
                    // It goes on as soon as this machine lets it: when a page of it was read, for example.
                    runs = true;
                    continue;
                }
                let files = call.files(&thread);
                let at_terminal = files.iter().flatten().any(|&file| is_terminal(&thread, file));
                if at_terminal {
                    waits(&thread, turns);
                }
                activity.serves |= call.waits_for_thread_with_timeout();
                if let Some(time) = call.timeout(&thread) {
                    let files = files.unwrap_or_default();
                    let hears_socket = files.iter().any(|&file| is_socket(&thread, file));
                    pauses.push(Pause { time, at_terminal, hears_socket, is_sleep: files.is_empty() });
                }
            }
            // Where the kernel does not tell the call, a thread that sleeps may be waiting for anything.
            Err(_) => match Stat::of(&thread) {
                Some(stat) if stat.has_ended() => ended += 1,
                Some(stat) if stat.state == b'S' => waits(&thread, turns),
                Some(_) => runs = true,
                None => {}
            },
        }
    }
    let naps = |pause: &Pause| {
        if pause.is_sleep {
            return pause.time <= LONGEST_SLEEP;
        }
        // Other threads may pass something on to one that looks for it only when its time is up.
        let hears_all = count == 1 && (pause.at_terminal || !has_keyboard) && pause.hears_socket;
        pause.time <= LONGEST_TIMEOUT && !hears_all
    };
    activity.naps |= pauses.iter().any(naps);
    if runs {
        activity.running = true;
        activity.faults += Stat::of_process(pid).map_or(0, |stat| stat.faults);
    }
    // One that was made while we looked is not among them.
    count > 0 && ended == count && self::has_ended(pid)
}

/// A wait that ends by itself after `time`.
struct Pause {
    time: Duration,
    /// Whether it waits for the terminal, among other files.
    at_terminal: bool,
    /// Whether it waits for a socket, among other files.
    hears_socket: bool,
    /// Whether it waits for no file at all.
    is_sleep: bool,
}

/// The threads of `pid`, each with its directory below `/proc`. What a process has is looked up through one of them:
/// where the main thread has ended and others go on, proc(5) shows no files, memory or environment by the process.
fn threads(pid: i32) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    entries.flatten().map(|entry| entry.path())
}

/// The files that `pid` has open, each a link below `/proc`.
pub(super) fn open_files(pid: i32) -> Vec<PathBuf> {
    let files = |thread: PathBuf| {
        let entries = fs::read_dir(thread.join("fd")).into_iter().flatten();
        entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>()
    };
    threads(pid).map(files).find(|files| !files.is_empty()).unwrap_or_default()
}

/// What the file `name` of proc(5) tells of `pid`; nothing where there is no such process.
fn told(pid: i32, name: &str) -> Option<Vec<u8>> {
    let mut texts = threads(pid).filter_map(|thread| fs::read(thread.join(name)).ok());
    let first = texts.next()?;
    Some(if first.is_empty() { texts.find(|text| !text.is_empty()).unwrap_or(first) } else { first })
}

/// How often a thread was put on a processor, and for how long altogether.
fn turns(thread: &Path) -> Option<(u64, Duration)> {
    // Time spent, time waited for it (both in nanoseconds), turns.
    let text = fs::read_to_string(thread.join("schedstat")).ok();
    let mut numbers =
        text.iter().flat_map(|text| text.split_ascii_whitespace()).map(|n| n.parse().unwrap_or(0));
    let spent = Duration::from_nanos(numbers.next().unwrap_or(0));
    match numbers.nth(1) {
        Some(turns) if turns > 0 => Some((turns, spent)),
        // Not every kernel counts them there; how often it gave the processor up says the same.
        _ => {
            let status = fs::read_to_string(thread.join("status")).ok()?;
            let switches = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
            Some((switches.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum(), spent))
        }
    }
}

/// The system call that a thread is in: the text of `/proc/PID/task/TID/syscall`, which has its number, six
/// arguments, the stack pointer and the program counter (proc(5)).
struct Call {
    number: libc::c_long,
    arguments: Vec<u64>,
}

impl Call {
    fn parse(text: &str) -> Option<Call> {
        let mut fields = text.split_ascii_whitespace();
        let number = fields.next()?.parse().ok()?;
        let hex = |field: &str| u64::from_str_radix(field.strip_prefix("0x")?, 16).ok();
        Some(Call { number, arguments: fields.filter_map(hex).collect() })
    }

    /// Whether it is none: the thread does something else in the kernel, or has ended.
    fn is_none(&self) -> bool {
        self.number == -1
    }

    fn is(&self, numbers: &[libc::c_long]) -> bool {
        numbers.contains(&self.number)
    }

    fn argument(&self, at: usize) -> Option<u64> {
        self.arguments.get(at).copied()
    }

    /// The files that it waits to read from: in read(2), poll(2), select(2), `epoll_wait(2)` and their
    /// like. `None` for any other call.
    fn files(&self, thread: &Path) -> Option<Vec<u64>> {
        let first = self.argument(0)?;
        if self.is(&[libc::SYS_read, libc::SYS_readv]) {
            return Some(vec![first]);
        }
        if self.is(&[libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2, EPOLL_WAIT]) {
            let info = fs::read_to_string(thread.join(format!("fdinfo/{first}"))).ok()?;
            let files = info.lines().filter_map(|line| line.strip_prefix("tfd:"));
            return Some(
                files.filter_map(|line| line.split_ascii_whitespace().next()?.parse().ok()).collect(),
            );
        }
        if self.is(&[libc::SYS_ppoll, POLL]) {
            // struct pollfd: int fd; short events; short revents.
            let count = usize::try_from(self.argument(1)?).ok()?.min(1024);
            let mut files = vec![0; count * 8];
            memory(thread)?.read_exact_at(&mut files, first).ok()?;
            let file = |file: &[u8]| {
                let number = i32::from_ne_bytes([file[0], file[1], file[2], file[3]]);
                let events = i16::from_ne_bytes([file[4], file[5]]);
                u64::try_from(number).ok().filter(|_| events & libc::POLLIN != 0)
            };
            return Some(files.chunks_exact(8).filter_map(file).collect());
        }
        if self.is(&[libc::SYS_pselect6, SELECT]) {
            // fd_set: an array of longs, one bit a file.
            let count = first.min(1024);
            let place = self.argument(1)?;
            if place == 0 {
                return Some(Vec::new());
            }
            let mut set = [0; 128];
            let length = usize::try_from(count.div_ceil(64) * 8).ok()?;
            memory(thread)?.read_exact_at(&mut set[..length], place).ok()?;
            let is_set = |file: &u64| {
                let (byte, bit) = (usize::try_from(file / 8).unwrap_or(0), file % 8);
                set[byte] >> bit & 1 == 1
            };
            return Some((0..count).filter(is_set).collect());
        }
        None
    }

    /// Whether it waits for others whenever it waits: for this machine it does not.
    fn waits_for_others(&self) -> bool {
        self.is(&[
            libc::SYS_futex,
            libc::SYS_accept,
            libc::SYS_accept4,
            libc::SYS_recvfrom,
            libc::SYS_recvmsg,
        ]) || self.is(&[libc::SYS_ppoll, POLL, libc::SYS_pselect6, SELECT])
            || self.is(&[libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2, EPOLL_WAIT])
            || self.is(&[libc::SYS_nanosleep, libc::SYS_clock_nanosleep, libc::SYS_wait4, libc::SYS_waitid])
    }

    /// Whether it waits until this process has noted it (see [`super::listening`]).
    fn waits_for_this_process(&self) -> bool {
        self.is(&[libc::SYS_listen])
    }

    /// Whether it waits for another thread, and not for ever (futex(2)).
    fn waits_for_thread_with_timeout(&self) -> bool {
        let is_wait = self.argument(1).is_some_and(|operation| {
            // FUTEX_WAIT and FUTEX_WAIT_BITSET, private or not, by any clock.
            matches!(operation & 0x7f, 0 | 9)
        });
        self.number == libc::SYS_futex && is_wait && self.argument(3).is_some_and(|time| time != 0)
    }

    /// After how long it ends by itself. `None` where it does not, and for a thread that waits for another
    /// one: those that serve a language's own ends wake all the time.
    fn timeout(&self, thread: &Path) -> Option<Duration> {
        // A C int of milliseconds, negative for no end.
        let milliseconds = |at: usize| {
            let time = u32::try_from(self.argument(at)? & 0xffff_ffff).ok()?.cast_signed();
            u64::try_from(time).ok().map(Duration::from_millis)
        };
        // A pointer to a time, null for no end.
        let time = |at: usize, unit: u64| {
            let place = self.argument(at).filter(|&place| place != 0)?;
            let mut field = [0; 16];
            memory(thread)?.read_exact_at(&mut field, place).ok()?;
            let part = |at: usize| {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(&field[at..at + 8]);
                u64::from_ne_bytes(bytes)
            };
            Some(Duration::from_secs(part(0)) + Duration::from_nanos(part(8).saturating_mul(unit)))
        };
        match self.number {
            libc::SYS_ppoll | libc::SYS_rt_sigtimedwait => time(2, 1),
            libc::SYS_epoll_pwait2 => time(3, 1),
            libc::SYS_pselect6 => time(4, 1),
            libc::SYS_nanosleep => time(0, 1),
            libc::SYS_clock_nanosleep => {
                let until = time(2, 1)?;
                // TIMER_ABSTIME
                if self.argument(1)? & 1 == 0 {
                    return Some(until);
                }
                let clock = i32::try_from(self.argument(0)?).ok()?;
                let now = nix::time::clock_gettime(nix::time::ClockId::from_raw(clock)).ok()?;
                Some(until.saturating_sub(Duration::from(now)))
            }
            // It ends when the other side answers, or when TCP gives up.
            libc::SYS_connect => Some(LONGEST_SLEEP),
            number if number == SELECT => time(4, 1000),
            number if number == POLL => milliseconds(2),
            number if number == libc::SYS_epoll_pwait || number == EPOLL_WAIT => milliseconds(3),
            _ => None,
        }
    }
}

fn memory(thread: &Path) -> Option<File> {
    File::open(thread.join("mem")).ok()
}

// Calls that newer architectures do without.
#[cfg(target_arch = "x86_64")]
const POLL: libc::c_long = libc::SYS_poll;
#[cfg(target_arch = "x86_64")]
const SELECT: libc::c_long = libc::SYS_select;
#[cfg(target_arch = "x86_64")]
const EPOLL_WAIT: libc::c_long = libc::SYS_epoll_wait;
#[cfg(not(target_arch = "x86_64"))]
const POLL: libc::c_long = libc::SYS_ppoll;
#[cfg(not(target_arch = "x86_64"))]
const SELECT: libc::c_long = libc::SYS_pselect6;
#[cfg(not(target_arch = "x86_64"))]
const EPOLL_WAIT: libc::c_long = libc::SYS_epoll_pwait;

fn is_socket(thread: &Path, file: u64) -> bool {
    fs::read_link(thread.join(format!("fd/{file}")))
        .is_ok_and(|path| path.as_os_str().as_encoded_bytes().starts_with(b"socket:"))
}

fn is_terminal(thread: &Path, file: u64) -> bool {
    fs::read_link(thread.join(format!("fd/{file}")))
        .is_ok_and(|path| path.starts_with("/dev/pts") || path.as_os_str() == "/dev/tty")
}

/// Whether the kernel holds a thread in an uninterruptible sleep: while it reads from a disk, for example.
fn is_held(thread: &Path) -> bool {
    Stat::of(thread).is_some_and(|stat| stat.state == b'D')
}

/// A line of `/proc/PID/stat`, or of a thread's, as far as it is needed here.
struct Stat {
    /// The letter of proc(5); for a process that of its main thread.
    state: u8,
    /// How many threads the process has; one that has ended is counted until it was waited for.
    threads: u64,
    /// It is on its way to its end, or there.
    ends: bool,
    /// It is on its way into another program: that has no environment yet, and the old one's is gone.
    between_programs: bool,
    /// Page faults: its own, or those of all threads of a process.
    faults: u64,
}

/// `PF_KTHREAD` of linux/sched.h: a thread of the kernel has no environment either, and never will.
const KERNEL_THREAD: u64 = 0x0020_0000;
/// `PF_EXITING` of linux/sched.h.
const EXITING: u64 = 0x0000_0004;

impl Stat {
    fn of_process(pid: i32) -> Option<Stat> {
        Stat::of(Path::new(&format!("/proc/{pid}")))
    }

    /// Of the process or thread with this directory below `/proc`.
    fn of(place: &Path) -> Option<Stat> {
        let text = fs::read(place.join("stat")).ok()?;
        // The name, in parentheses, may hold anything; what follows it does not hold a parenthesis.
        let after = text.iter().rposition(|&byte| byte == b')')? + 1;
        let text = str::from_utf8(&text[after..]).ok()?;
        let mut fields = text.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let flags: u64 = fields.nth(5)?.parse().ok()?;
        let minor: u64 = fields.next()?.parse().ok()?;
        let major: u64 = fields.nth(1)?.parse().ok()?;
        let threads: u64 = fields.nth(7)?.parse().ok()?;
        let environment_end: u64 = fields.nth(30)?.parse().ok()?;
        let ends = flags & EXITING != 0;
        let stat = Stat { state, threads, ends, between_programs: false, faults: minor + major };
        let between_programs = environment_end == 0 && !stat.has_ended() && flags & KERNEL_THREAD == 0;
        Some(Stat { between_programs, ..stat })
    }

    /// Whether the thread has ended; of a process, its main thread.
    fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// The number of the process (or thread) that was made last in the PID namespace of this process (proc(5)).
pub(super) fn last_pid() -> i32 {
    fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split_ascii_whitespace().last()?.parse().ok())
        .unwrap_or(-1)
}

/// The most numbers that are tried one by one.
const NEARBY: i32 = 1000;

/// The processes made after `pid` that are among those `wanted`.
fn younger(pid: i32, wanted: impl Fn(i32) -> bool) -> BTreeSet<i32> {
    let wanted = |&pid: &i32| wanted(pid) && is_process(pid);
    let mut found = BTreeSet::new();
    let mut tried = pid;
    // What was made while we looked may have been made by one that has ended meanwhile.
    loop {
        let last = last_pid();
        if last == tried {
            return found;
        }
        if !(tried..pid.saturating_add(NEARBY)).contains(&last) {
            found.extend(listed_after(pid, last).filter(wanted));
            return found;
        }
        // A fraction of the work of a listing, which has everything that runs on the machine.
        found.extend((tried + 1..=last).filter(wanted));
        tried = last;
    }
}

/// The processes with a higher number than `pid`, or all others where the numbers, of which `last` was
/// given last, have started again from the beginning.
fn listed_after(pid: i32, last: i32) -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(move |&other| other != pid && (other > pid || last < pid))
}

/// Whether `pid` is a process, and not another thread of one: those have numbers of the same kind, and
/// are found in `/proc` though it does not list them (proc(5)).
fn is_process(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok()) == Some(pid)
}

/// The session that `pid` belongs to; none where there is no such process.
fn session(pid: i32) -> Option<i32> {
    getsid(Some(Pid::from_raw(pid))).ok().map(Pid::as_raw)
}

/// The processes other than `leader` that carry `tag` in the environment they were started with, or
/// belong to the session that `leader` leads, and have not ended.
pub fn relatives(leader: i32, tag: &str) -> BTreeSet<i32> {
    let ours = getsid(None).ok().map(Pid::as_raw);
    younger(leader, |pid| match session(pid) {
        // Nobody comes into a session but by being started there (setsid(2)).
        session if session == ours => false,
        Some(session) if session == leader => !has_ended(pid),
        Some(_) => carries(pid, tag),
        None => false,
    })
}

/// Whether `pid` has ended, with all of its threads; it may not have been waited for yet.
pub fn has_ended(pid: i32) -> bool {
    Stat::of_process(pid).is_none_or(|stat| stat.has_ended() && stat.threads <= 1)
}

/// How long a process may take from one program into the next (execve(2)), even on a busy machine.
const BETWEEN_PROGRAMS: Duration = Duration::from_millis(500);

fn carries(pid: i32, tag: &str) -> bool {
    let until = Instant::now() + BETWEEN_PROGRAMS;
    loop {
        let Some(environment) = told(pid, "environ") else { return false };
        if memchr::memmem::find(&environment, tag.as_bytes()).is_some() {
            return true;
        }
        // Seen in between, a process that carries the tag would be taken for one that does not.
        let in_between =
            environment.is_empty() && Stat::of_process(pid).is_some_and(|stat| stat.between_programs);
        if !in_between || Instant::now() > until {
            return false;
        }
        std::thread::yield_now();
    }
}

/// The command line of `pid`, as far as it can be read.
pub fn command_line(pid: i32) -> String {
    let words = told(pid, "cmdline").unwrap_or_default();
    let words: Vec<_> = words.split(|&byte| byte == 0).filter(|word| !word.is_empty()).collect();
    words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;

    use super::*;

    #[apply(test)]
    fn a_younger_process_is_found_and_no_thread_is_taken_for_one() {
        let own = std::process::id().cast_signed();
        std::thread::scope(|scope| {
            let (tell, told) = std::sync::mpsc::channel();
            let (end, ended) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                tell.send(nix::unistd::gettid().as_raw()).expect("it is awaited");
                let _ = ended.recv();
            });
            let thread = told.recv().expect("it tells");
            let mut child = std::process::Command::new("cat");
            let mut child = child.stdin(std::process::Stdio::piped()).spawn().expect("cat");
            let pid = child.id().cast_signed();
            // From here on numbers may have started again, and anything be younger.
            if own < thread && thread < pid {
                let found = younger(own, |pid| session(pid) == session(own));
                assert!(found.contains(&pid), "{found:?} has no {pid}");
                assert!(!found.contains(&own) && !found.contains(&thread), "{found:?} has {own} or {thread}");
                assert!(session(thread) == session(own) && !is_process(thread) && is_process(pid));
            }
            drop(child.stdin.take());
            child.wait().expect("cat ends");
            drop(end);
        });
    }

    #[apply(test)]
    fn a_process_that_the_kernel_holds_is_not_taken_for_one_that_waits() {
        crate::common::harness::needs(&["python3"]);
        let dir = tempfile::tempdir().expect("a directory");
        nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("made");
        // Its child waits for the other end of the pipe before it executes anything, and it for its child: that
        // is an uninterruptible sleep (vfork(2)).
        let code = "import os; os.posix_spawn('/bin/true', ['true'], {}, file_actions=\
                    [(os.POSIX_SPAWN_OPEN, 0, 'pipe', os.O_RDONLY, 0)])";
        let mut child = std::process::Command::new("python3")
            .args(["-c", code])
            .current_dir(dir.path())
            .process_group(0)
            .spawn()
            .expect("python3");
        let pid = child.id().cast_signed();
        let deadline = Instant::now() + Duration::from_secs(20);
        let thread = PathBuf::from(format!("/proc/{pid}/task/{pid}"));
        // On its way there it may be held for as long as a page of it is read.
        let is_there = || {
            let call = fs::read_to_string(thread.join("syscall")).unwrap_or_default();
            is_held(&thread)
                && Call::parse(&call).is_some_and(|call| call.is(&[libc::SYS_clone, libc::SYS_clone3]))
        };
        while !is_there() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        let held = is_there();
        let activity = Session::of(pid).activity();
        nix::sys::signal::killpg(Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("there");
        child.wait().expect("it ends");
        assert!(held, "it was not held");
        assert!(activity.running, "{activity:?}");
    }

    #[apply(test)]
    fn a_process_that_has_ended_and_was_not_waited_for_is_ending_and_one_that_sleeps_is_not() {
        let mut child = std::process::Command::new("cat");
        let mut child = child.stdin(std::process::Stdio::piped()).spawn().expect("cat");
        let pid = child.id().cast_signed();
        let mut session = Session::of(pid);
        let within = |session: &mut Session, met: &dyn Fn(&mut Session) -> bool| {
            let deadline = Instant::now() + Duration::from_secs(20);
            while !met(session) && Instant::now() < deadline {
                std::thread::yield_now();
            }
            met(session)
        };
        let waits = within(&mut session, &|session| !session.activity().running && !session.is_ending());
        drop(child.stdin.take());
        let ends = within(&mut session, &|session| session.is_ending() && has_ended(pid));
        child.wait().expect("cat ends");
        assert!(waits && ends, "{waits} {ends}");
    }

    #[apply(test)]
    fn a_member_that_has_ended_and_was_not_waited_for_is_looked_at_once_and_its_turns_go_on_counting() {
        crate::common::harness::needs(&["setsid"]);
        let mut child = std::process::Command::new("setsid");
        let mut child = child.args(["sh", "-c", "true & exec sleep 1000"]).spawn().expect("setsid");
        let pid = child.id().cast_signed();
        let mut session = Session::of(pid);
        let deadline = Instant::now() + Duration::from_secs(20);
        while (session.activity().running || session.ended.is_empty()) && Instant::now() < deadline {
            std::thread::yield_now();
        }
        let (first, second) = (session.activity(), session.activity());
        let own = turns(Path::new(&format!("/proc/{pid}"))).map(|(turns, _)| turns);
        child.kill().expect("there");
        child.wait().expect("it ends");
        assert_eq!((session.members, session.ended.len()), (BTreeSet::from([pid]), 1));
        assert_eq!(first, second);
        assert!(Some(first.turns) > own && !first.running, "{first:?} {own:?}");
    }

    #[apply(test)]
    fn a_process_whose_main_thread_has_ended_is_looked_at_by_its_others() {
        crate::common::harness::needs(&["python3"]);
        // The main thread ends (exit(2)), and the other one computes until there is something to read, which it
        // then waits for again.
        let code = "import ctypes, os, select, threading\n\
                    def work():\n\
                    \twhile not select.select([0], [], [], 0)[0]: pass\n\
                    \tos.read(0, 1); os.write(1, b'!'); os.read(0, 1)\n\
                    threading.Thread(target=work).start()\n\
                    ctypes.CDLL(None).syscall(ctypes.c_long(EXIT), 0)\n";
        let code = code.replace("EXIT", &libc::SYS_exit.to_string());
        let piped = std::process::Stdio::piped;
        let mut child = std::process::Command::new("python3");
        child.args(["-c", &code]).env("ECHOLOG_TEST_TAG", "found").stdin(piped()).stdout(piped());
        let mut child = child.spawn().expect("python3");
        let pid = child.id().cast_signed();
        let within = |met: &dyn Fn() -> bool| {
            let deadline = Instant::now() + Duration::from_secs(20);
            while !met() && Instant::now() < deadline {
                std::thread::yield_now();
            }
            met()
        };
        let mut session = Session::of(pid);
        let main_has_ended = || Stat::of_process(pid).is_some_and(|stat| stat.has_ended());
        let ended = within(&main_has_ended);
        let computes = session.activity();
        let process_has_ended = has_ended(pid);
        let tagged = carries(pid, "ECHOLOG_TEST_TAG=found");
        let (named, files) = (command_line(pid), open_files(pid));
        let mut input = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut input, b"?").expect("it reads");
        let mut output = child.stdout.take().expect("a pipe");
        std::io::Read::read_exact(&mut output, &mut [0]).expect("it answers");
        let waits = within(&|| threads(pid).any(|thread| is_reading(&thread)));
        let rests = session.activity();
        child.kill().expect("there");
        child.wait().expect("it ends");
        assert!(ended, "the main thread goes on");
        assert!(computes.running && !process_has_ended, "{computes:?}");
        assert!(tagged && named.starts_with("python3 -c") && !files.is_empty(), "{named} {files:?}");
        assert!(waits && !rests.running, "{rests:?}");
    }

    fn is_reading(thread: &Path) -> bool {
        let call = fs::read_to_string(thread.join("syscall")).unwrap_or_default();
        Call::parse(&call).and_then(|call| call.files(thread)).is_some_and(|files| files == [0])
    }

    #[apply(test)]
    fn the_timeout_of_a_system_call_is_read() {
        let own = PathBuf::from("/proc/self");
        let call = |number: libc::c_long, arguments: &str| {
            Call::parse(&format!("{number} {arguments} 0x7ff 0x7ff")).expect("a call").timeout(&own)
        };
        assert_eq!(call(libc::SYS_ppoll, "0x1 0x1 0x0 0x0 0x0 0x0"), None);
        assert_eq!(call(libc::SYS_epoll_pwait, "0x3 0x1 0x10 0xffffffff 0x0 0x8"), None);
        let milliseconds = |time| Some(Duration::from_millis(time));
        assert_eq!(call(libc::SYS_epoll_pwait, "0x3 0x1 0x10 0x64 0x0 0x8"), milliseconds(100));
        let time: [u64; 2] = [1, 500_000_000];
        let place = time.as_ptr().addr();
        assert_eq!(call(libc::SYS_ppoll, &format!("0x1 0x1 {place:#x} 0x0 0x0 0x0")), milliseconds(1500));
        assert_eq!(
            call(libc::SYS_clock_nanosleep, &format!("0x1 0x0 {place:#x} 0x0 0x0 0x0")),
            milliseconds(1500)
        );
        // An absolute time that is over already (TIMER_ABSTIME).
        assert_eq!(
            call(libc::SYS_clock_nanosleep, &format!("0x1 0x1 {place:#x} 0x0 0x0 0x0")),
            milliseconds(0)
        );
        assert_eq!(call(libc::SYS_read, "0x0 0x1 0x10 0x0 0x0 0x8"), None);
        assert!(Call::parse("running").is_none());
    }
}
