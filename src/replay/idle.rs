//! Whether the programs of a session are idle, for the proxy that holds back what they send.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::proxy::Idle;
use crate::run::program::Watcher;

/// The two programs of a session, as the proxy's thread watches them. The client is started after it.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub(super) client: OnceLock<Watcher>,
    pub(super) server: OnceLock<Watcher>,
    /// Whether more is going to be typed at the client when it next waits for its terminal.
    pub(super) more_to_type: AtomicBool,
}

impl Watched {
    /// Reports whether the client is idle, and the server.
    pub(super) fn reports(watched: &Arc<Watched>) -> [Idle; 2] {
        let (client, server) = (Arc::clone(watched), Arc::clone(watched));
        [
            Arc::new(move || idle(client.client.get()?, client.more_to_type.load(Ordering::SeqCst))),
            Arc::new(move || idle(server.server.get()?, false)),
        ]
    }
}

/// Whether a program is idle, as [`Idle`] reports it. A program that has ended is.
pub(super) fn idle(program: &Watcher, more_to_type: bool) -> Option<u64> {
    let Some(activity) = program.activity() else { return Some(u64::MAX) };
    let may_go_on = activity.running || !program.took_all() || (activity.at_terminal && more_to_type);
    (!may_go_on).then_some(activity.turns)
}
