//! What the programs of a session are doing, for the proxy that holds back what they send.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::proxy::{Look, Seen};
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
    /// Look at the client, and at the server.
    pub(super) fn looks(watched: &Arc<Watched>) -> [Look; 2] {
        let (client, server) = (Arc::clone(watched), Arc::clone(watched));
        [
            Arc::new(move || look(client.client.get(), client.more_to_type.load(Ordering::SeqCst))),
            Arc::new(move || look(server.server.get(), false)),
        ]
    }
}

fn look(program: Option<&Watcher>, more_to_type: bool) -> Seen {
    let Some(program) = program else { return Seen::Fed };
    let activity = program.activity();
    match &activity {
        Some(activity) if !program.took_all() || (activity.at_terminal && more_to_type) => Seen::Fed,
        _ => Seen::Left(activity),
    }
}
