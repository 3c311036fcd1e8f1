//! A pool of worker threads for tasks that may add tasks.
//!
//! What always holds: events are delivered on the thread that called [`run`]; after the first error no
//! task is begun; when [`run`] returns, no worker is left.
//!
//! A stop (Ctrl-C) does not empty the queue: each task that is left is begun, finds out from
//! [`crate::run::clock::stopped`], and reports that it was not done.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Sender};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};

use super::clock::lock;

/// What a worker can do besides its task.
#[derive(Debug)]
pub struct Worker<'a, T, E> {
    queue: &'a Queue<T>,
    events: Sender<Result<E>>,
}

#[derive(Debug)]
struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    tasks: VecDeque<T>,
    /// How many workers have a task, to which they may add others.
    working: usize,
    /// Whether no more tasks are begun.
    failed: bool,
}

impl<T, E> Worker<'_, T, E> {
    /// Puts `tasks` at the head of the queue, in order: what was begun is finished before anything else
    /// is begun.
    pub fn add(&self, tasks: impl IntoIterator<Item = T, IntoIter: DoubleEndedIterator>) {
        let mut state = lock(&self.queue.state);
        if !state.failed {
            tasks.into_iter().rev().for_each(|task| state.tasks.push_front(task));
        }
        self.queue.changed.notify_all();
    }

    /// Delivers `event` to the thread that runs the pool.
    pub fn report(&self, event: E) {
        // Nobody listens any more after an error.
        let _ = self.events.send(Ok(event));
    }
}

impl<T> Queue<T> {
    /// The next task; `None` when there are none, and nobody is left who could add one.
    fn next(&self) -> Option<T> {
        let mut state = lock(&self.state);
        loop {
            if let Some(task) = state.tasks.pop_front() {
                state.working += 1;
                return Some(task);
            }
            if state.working == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn fail(&self) {
        let mut state = lock(&self.state);
        state.failed = true;
        state.tasks.clear();
    }
}

/// Counts a worker as working for as long as it exists, also when its task panics.
struct Working<'a, T>(&'a Queue<T>);

impl<T> Drop for Working<'_, T> {
    fn drop(&mut self) {
        lock(&self.0.state).working -= 1;
        self.0.changed.notify_all();
    }
}

/// Has `workers` threads do `tasks`, and those that they add, by `work`. Each event that they report is
/// handed to `tell`. The first error, of `work` or of `tell`, is returned when the tasks that were begun
/// have ended.
pub fn run<T: Send, E: Send>(
    workers: usize,
    tasks: impl IntoIterator<Item = T>,
    work: impl Fn(T, &Worker<T, E>) -> Result<()> + Sync,
    tell: &mut dyn FnMut(E) -> Result<()>,
) -> Result<()> {
    let state = State { tasks: tasks.into_iter().collect(), working: 0, failed: false };
    let queue = Queue { state: Mutex::new(state), changed: Condvar::new() };
    let (events, reported) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..workers.max(1) {
            let worker = Worker { queue: &queue, events: events.clone() };
            let work = &work;
            let run = move || {
                while let Some(task) = worker.queue.next() {
                    let _working = Working(worker.queue);
                    if let Err(error) = work(task, &worker) {
                        worker.queue.fail();
                        let _ = worker.events.send(Err(error));
                    }
                }
            };
            if let Err(error) = thread::Builder::new().name("worker".to_owned()).spawn_scoped(scope, run) {
                queue.fail();
                return Err(error).context("cannot start a worker thread");
            }
        }
        drop(events);
        for event in reported {
            if let Err(error) = event.and_then(&mut *tell) {
                queue.fail();
                return Err(error);
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use anyhow::bail;

    use super::*;

    #[apply(test)]
    fn every_task_and_every_added_task_is_done_once() {
        let mut done = Vec::new();
        let work = |task: u32, worker: &Worker<u32, u32>| {
            // A task below 10 adds two more.
            if task < 10 {
                worker.add([10 * task + 10, 10 * task + 11]);
            }
            worker.report(task);
            Ok(())
        };
        run(3, 0..10, work, &mut |task| {
            done.push(task);
            Ok(())
        })
        .unwrap();
        done.sort_unstable();
        let added = (1..=10).flat_map(|task| [10 * task, 10 * task + 1]);
        let mut all: Vec<u32> = (0..10).chain(added).collect();
        all.sort_unstable();
        assert_eq!(done, all);
    }

    #[apply(test)]
    fn added_tasks_come_before_those_that_wait() {
        let mut done = Vec::new();
        let work = |task: &'static str, worker: &Worker<&'static str, &'static str>| {
            if task == "first" {
                worker.add(["its part 1", "its part 2"]);
            }
            worker.report(task);
            Ok(())
        };
        run(1, ["first", "second"], work, &mut |task| {
            done.push(task);
            Ok(())
        })
        .unwrap();
        assert_eq!(done, ["first", "its part 1", "its part 2", "second"]);
    }

    #[apply(test)]
    fn tasks_run_side_by_side() {
        let all = Barrier::new(4);
        let work = |(), _: &Worker<(), ()>| {
            all.wait();
            Ok(())
        };
        run(4, [(); 4], work, &mut |()| Ok(())).unwrap();
    }

    #[apply(test)]
    fn no_task_is_begun_after_an_error() {
        let begun = AtomicUsize::new(0);
        let work = |task: usize, worker: &Worker<usize, ()>| {
            begun.fetch_add(1, Ordering::SeqCst);
            if task == 2 {
                bail!("task {task} failed");
            }
            worker.add([]);
            Ok(())
        };
        let error = run(1, 0..100, work, &mut |()| Ok(())).unwrap_err();
        assert_eq!((error.to_string().as_str(), begun.into_inner()), ("task 2 failed", 3));
    }

    #[apply(test)]
    fn an_error_of_the_listener_ends_the_pool() {
        let work = |task: usize, worker: &Worker<usize, usize>| {
            worker.report(task);
            // An endless supply of tasks.
            worker.add([task + 1]);
            Ok(())
        };
        let error = run(2, [0], work, &mut |task| if task < 5 { Ok(()) } else { bail!("full") }).unwrap_err();
        assert_eq!(error.to_string(), "full");
    }
}
