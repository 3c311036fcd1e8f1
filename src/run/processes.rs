//! What the kernel tells of processes (proc(5)), so that nothing has to be guessed from pauses.
//!
//! Nothing here changes anything. Linux only.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::libc;
use nix::unistd::{Pid, getsid};

/// What the processes at one terminal are doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// A thread of them runs, or could at once.
    pub running: bool,
    /// A thread of them waits for its terminal, and has done what it does with the line that was typed
    /// last: it is in read(2) on it, or in poll(2), select(2) or `epoll_wait(2)` with it among the files
    /// waited for, and it has run since that line was typed.
    pub at_terminal: bool,
    /// How often their threads were put on a processor so far: when two looks give the same number,
    /// none ran in between.
    pub turns: u64,
    /// A thread of them sleeps for a time of its own choice, or at most for that time.
    pub naps: bool,
    /// How long their threads were on a processor so far.
    pub spent: Duration,
}

/// The processes of a session in the sense of setsid(2), remembered from look to look.
#[derive(Debug)]
pub struct Session {
    leader: i32,
    members: BTreeSet<i32>,
    last_pid: i32,
    /// The threads that waited for the terminal at the last look.
    waiting: Vec<PathBuf>,
    /// Their turns when a line was typed. The line is on its way to them until they have had another.
    typed_at: Option<u64>,
}

impl Session {
    /// The session that the process `leader` leads.
    pub fn of(leader: i32) -> Session {
        Session {
            leader,
            members: BTreeSet::from([leader]),
            last_pid: leader,
            waiting: Vec::new(),
            typed_at: None,
        }
    }

    /// What its processes are doing.
    pub fn activity(&mut self) -> Activity {
        // Where no process was made anywhere since the last look, the session has no new member.
        let last_pid = last_pid();
        if last_pid != self.last_pid {
            self.members = younger(self.leader, |pid| session(pid) == Some(self.leader));
            self.members.insert(self.leader);
            self.last_pid = last_pid;
        }
        let mut activity = Activity::default();
        let mut turns_waiting = 0;
        self.waiting.clear();
        for &pid in &self.members {
            look_at(pid, &mut activity, |thread, turns| {
                self.waiting.push(thread.to_owned());
                turns_waiting += turns;
            });
        }
        activity.at_terminal = !self.waiting.is_empty();
        if activity.at_terminal && self.typed_at == Some(turns_waiting) {
            (activity.at_terminal, activity.running) = (false, true);
        } else {
            self.typed_at = None;
        }
        activity
    }

    /// To be called right before a line is typed: a terminal shows a line before it hands it over, so
    /// that neither its echo nor a thread that waits for the terminal tells that the line has come to it.
    pub fn will_be_typed_at(&mut self) {
        let turns = || self.waiting.iter().filter_map(|thread| Some(turns(thread)?.0)).sum();
        self.typed_at = (!self.waiting.is_empty()).then(turns);
    }
}

/// Adds what the threads of `pid` are doing to `activity`, except whether they wait for the terminal:
/// those that do are given to `waits`, with their turns.
fn look_at(pid: i32, activity: &mut Activity, mut waits: impl FnMut(&Path, u64)) {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return };
    for thread in threads.flatten() {
        let thread = thread.path();
        let Some((turns, spent)) = turns(&thread) else { continue };
        activity.spent += spent;
        activity.turns += turns;
        let call = fs::read_to_string(thread.join("syscall"));
        if self::turns(&thread).is_none_or(|(now, _)| now != turns) {
            // It ran while we looked.
            activity.running = true;
            continue;
        }
        match call {
            Ok(call) if call.starts_with("running") => {
                // A process that has ended and was not waited for yet is not running.
                if stat(pid).is_some_and(|stat| !stat.ended) {
                    activity.running = true;
                }
            }
            Ok(call) => {
                if waits_for_terminal(pid, &call).unwrap_or(false) {
                    waits(&thread, turns);
                }
                activity.naps |= naps(&call).unwrap_or(false);
            }
            // Where the kernel does not tell the call, a thread that sleeps may be waiting for anything.
            Err(_) => match stat(pid) {
                Some(stat) if stat.ended => {}
                Some(stat) if stat.sleeps => waits(&thread, turns),
                Some(_) => activity.running = true,
                None => {}
            },
        }
    }
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

/// Whether the system call that a thread of `pid` is in waits for a terminal; `call` is the text of
/// `/proc/PID/task/TID/syscall`: number, six arguments, stack pointer, program counter.
fn waits_for_terminal(pid: i32, call: &str) -> Option<bool> {
    let mut fields = call.split_ascii_whitespace();
    let number: libc::c_long = fields.next()?.parse().ok()?;
    let argument: Vec<u64> =
        fields.filter_map(|field| u64::from_str_radix(field.strip_prefix("0x")?, 16).ok()).collect();
    let first = *argument.first()?;
    if [libc::SYS_read, libc::SYS_readv].contains(&number) {
        return Some(is_terminal(pid, first));
    }
    if [libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2].contains(&number) || number == EPOLL_WAIT {
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{first}")).ok()?;
        let files = info.lines().filter_map(|line| line.strip_prefix("tfd:"));
        return Some(
            files
                .filter_map(|line| line.split_ascii_whitespace().next()?.parse().ok())
                .any(|file| is_terminal(pid, file)),
        );
    }
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    if number == libc::SYS_ppoll || number == POLL {
        // struct pollfd: int fd; short events; short revents.
        let count = usize::try_from(*argument.get(1)?).ok()?.min(1024);
        let mut files = vec![0; count * 8];
        memory.read_exact_at(&mut files, first).ok()?;
        return Some(files.chunks_exact(8).any(|file| {
            let number = i32::from_ne_bytes([file[0], file[1], file[2], file[3]]);
            let events = i16::from_ne_bytes([file[4], file[5]]);
            events & libc::POLLIN != 0 && u64::try_from(number).is_ok_and(|number| is_terminal(pid, number))
        }));
    }
    if number == libc::SYS_pselect6 || number == SELECT {
        // fd_set: an array of longs, one bit a file.
        let count = first.min(1024);
        let mut set = [0; 128];
        let length = usize::try_from(count.div_ceil(64) * 8).ok()?;
        memory.read_exact_at(&mut set[..length], *argument.get(1)?).ok()?;
        return Some((0..count).any(|file| {
            let (byte, bit) = (usize::try_from(file / 8).unwrap_or(0), file % 8);
            set[byte] >> bit & 1 == 1 && is_terminal(pid, file)
        }));
    }
    Some(false)
}

/// Whether the system call that a thread is in, in the same form, ends by itself after a time. A thread
/// that waits for another one is not asked: those that serve a language's own ends wake all the time.
fn naps(call: &str) -> Option<bool> {
    let mut fields = call.split_ascii_whitespace();
    let number: libc::c_long = fields.next()?.parse().ok()?;
    let argument: Vec<u64> =
        fields.filter_map(|field| u64::from_str_radix(field.strip_prefix("0x")?, 16).ok()).collect();
    // A C int of milliseconds, negative for no end; or a pointer to a time, null for none.
    let milliseconds = |at: usize| Some(argument.get(at)? & 0x8000_0000 == 0);
    let time = |at: usize| Some(*argument.get(at)? != 0);
    if number == libc::SYS_ppoll || number == libc::SYS_rt_sigtimedwait {
        time(2)
    } else if number == libc::SYS_pselect6 || number == SELECT {
        time(4)
    } else if number == libc::SYS_epoll_pwait2 {
        time(3)
    } else if number == POLL {
        milliseconds(2)
    } else if number == libc::SYS_epoll_pwait || number == EPOLL_WAIT {
        milliseconds(3)
    } else {
        Some([libc::SYS_nanosleep, libc::SYS_clock_nanosleep, libc::SYS_connect].contains(&number))
    }
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

fn is_terminal(pid: i32, file: u64) -> bool {
    fs::read_link(format!("/proc/{pid}/fd/{file}"))
        .is_ok_and(|path| path.starts_with("/dev/pts") || path.as_os_str() == "/dev/tty")
}

/// A line of `/proc/PID/stat`, as far as it is needed here.
struct Stat {
    sleeps: bool,
    ended: bool,
    /// It is on its way into another program: that has no environment yet, and the old one's is gone.
    between_programs: bool,
}

/// `PF_KTHREAD` of linux/sched.h: a thread of the kernel has no environment either, and never will.
const KERNEL_THREAD: u64 = 0x0020_0000;

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; what follows it does not hold a parenthesis.
    let after = text.iter().rposition(|&byte| byte == b')')? + 1;
    let text = str::from_utf8(&text[after..]).ok()?;
    let mut fields = text.split_ascii_whitespace();
    let state = fields.next()?;
    let flags: u64 = fields.nth(5)?.parse().ok()?;
    let environment_end: u64 = fields.nth(41)?.parse().ok()?;
    let ended = matches!(state, "Z" | "X" | "x");
    let between_programs = environment_end == 0 && !ended && flags & KERNEL_THREAD == 0;
    Some(Stat { sleeps: state == "S", ended, between_programs })
}

/// The number of the process (or thread) that was made last.
fn last_pid() -> i32 {
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
        Some(session) if session == leader => stat(pid).is_some_and(|stat| !stat.ended),
        Some(_) => carries(pid, tag),
        None => false,
    })
}

/// How long a process may take from one program into the next (execve(2)), even on a busy machine.
const BETWEEN_PROGRAMS: Duration = Duration::from_millis(500);

fn carries(pid: i32, tag: &str) -> bool {
    let until = Instant::now() + BETWEEN_PROGRAMS;
    loop {
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
        if memchr::memmem::find(&environment, tag.as_bytes()).is_some() {
            return true;
        }
        // Seen in between, a process that carries the tag would be taken for one that does not.
        let in_between = environment.is_empty() && stat(pid).is_some_and(|stat| stat.between_programs);
        if !in_between || Instant::now() > until {
            return false;
        }
        std::thread::yield_now();
    }
}

/// The command line of `pid`, as far as it can be read.
pub fn command_line(pid: i32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = words.split(|&byte| byte == 0).filter(|word| !word.is_empty()).collect();
    words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
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

    #[test]
    fn a_call_that_ends_by_itself_is_told_from_one_that_does_not() {
        let call = |number: libc::c_long, arguments: &str| naps(&format!("{number} {arguments} 0x7ff 0x7ff"));
        assert_eq!(call(libc::SYS_ppoll, "0x1 0x1 0x0 0x0 0x0 0x0"), Some(false));
        assert_eq!(call(libc::SYS_ppoll, "0x1 0x1 0x7fff 0x0 0x0 0x0"), Some(true));
        assert_eq!(call(libc::SYS_epoll_pwait, "0x3 0x1 0x10 0xffffffff 0x0 0x8"), Some(false));
        assert_eq!(call(libc::SYS_epoll_pwait, "0x3 0x1 0x10 0x64 0x0 0x8"), Some(true));
        assert_eq!(call(libc::SYS_clock_nanosleep, "0x0 0x0 0x7ff 0x0 0x0 0x0"), Some(true));
        assert_eq!(call(libc::SYS_read, "0x0 0x1 0x10 0x0 0x0 0x8"), Some(false));
        assert_eq!(naps("running"), None);
    }
}
