//! A proxy on a thread of its own, which follows a [`Wire`].
//!
//! What always holds: when [`ProxyThread::finish`] returns, the thread has ended and all its sockets
//! are closed.

use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;

use super::flow::Mode;
use super::plan::{LOOK, Look, Next, Plan};
use super::pump::{Config, Proxy, Steered, Tape};
use super::wire::{Direction, Wire};
use crate::run::clock::Clock;

/// How long the proxy may take to pass on the rest when both programs have ended. It takes that long only
/// if a process that they started holds a connection open.
const SETTLE: Duration = Duration::from_secs(1);
/// How often in a row the kernel is asked whether a piece was delivered before the thread pauses between
/// two questions. Mostly, a piece is read within microseconds.
const YIELDS: u32 = 40;
/// The first and the longest of these pauses.
const PAUSES: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(2));

/// A proxy on a thread of its own.
#[derive(Debug)]
pub struct ProxyThread {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<Tape>>>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    /// Readable when there is something new below.
    wake: EventFd,
    /// Whether the thread is to end.
    over: AtomicBool,
    /// Whether it is to report that everything has gone through, and whether it has.
    settle: AtomicBool,
    settled: AtomicBool,
    /// How many bytes of the first connection have come from the client.
    #[cfg(test)]
    received: std::sync::atomic::AtomicUsize,
}

impl ProxyThread {
    /// Starts a proxy in front of the server that listens at the first of the addresses `server` that it can
    /// be reached at. `looks` look at what the client does, and the server.
    pub fn start(
        wire: Wire,
        config: &Config,
        server: Vec<SocketAddr>,
        looks: [Look; 2],
        clock: &Clock,
    ) -> Result<ProxyThread> {
        let mut proxy = Proxy::open(config, clock)?;
        proxy.aim(server);
        let steering = Steering::new(wire, looks, &mut proxy);
        let address = proxy.address()?;
        let shared = Arc::new(Shared {
            clock: clock.clone(),
            wake: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
            over: AtomicBool::new(false),
            settle: AtomicBool::new(false),
            settled: AtomicBool::new(false),
            #[cfg(test)]
            received: std::sync::atomic::AtomicUsize::new(0),
        });
        let of_thread = Arc::clone(&shared);
        let run = move || {
            let tape = pass(proxy, steering, &of_thread);
            of_thread.settled.store(true, Ordering::SeqCst);
            of_thread.clock.notify();
            tape
        };
        let thread = thread::Builder::new().name("proxy".to_owned()).spawn(run)?;
        Ok(ProxyThread { address, shared, thread: Some(thread) })
    }

    /// Where clients are to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until everything that was sent has gone through, for [`SETTLE`] at most: what a program sent
    /// before it ended may still be in flight, and only then is it known whether it was read.
    pub fn settle(&self) {
        self.shared.settle.store(true, Ordering::SeqCst);
        self.shared.wake();
        let settled = || self.shared.settled.load(Ordering::SeqCst).then_some(());
        let _ = self.shared.clock.wait(self.shared.clock.now() + SETTLE, settled);
    }

    /// Ends it, with whatever still goes through it, and gives its tape. An error is a fault of this
    /// machine.
    pub fn finish(mut self) -> Result<Tape> {
        self.end().unwrap_or_else(|| Ok(Tape::default()))
    }

    fn end(&mut self) -> Option<Result<Tape>> {
        let thread = self.thread.take()?;
        self.shared.over.store(true, Ordering::SeqCst);
        self.shared.wake();
        Some(thread.join().unwrap_or_else(|_| Err(anyhow!("the proxy's thread panicked"))))
    }
}

impl Drop for ProxyThread {
    fn drop(&mut self) {
        // A caller that does not ask for the tape reports an error of its own.
        let _ = self.end();
    }
}

impl Shared {
    fn wake(&self) {
        // It fails only where the thread is awake already.
        let _ = self.wake.write(1);
    }
}

/// The thread.
fn pass(mut proxy: Proxy, mut steering: Steering, shared: &Shared) -> Result<Tape> {
    let mut looks = 0;
    while !shared.over.load(Ordering::SeqCst) {
        let pumped = proxy.pump()?;
        let next = steering.step(&mut proxy)?;
        #[cfg(test)]
        shared.received.store(proxy.to_server.tape.len(), Ordering::SeqCst);
        if pumped || next == Wait::No {
            looks = 0;
            continue;
        }
        if shared.settle.load(Ordering::SeqCst) && proxy.is_over() {
            shared.settled.store(true, Ordering::SeqCst);
            shared.clock.notify();
        }
        looks += 1;
        let pause = match next {
            Wait::No | Wait::Event => None,
            Wait::Quiet => Some(LOOK),
            Wait::Delivery if looks <= YIELDS => {
                thread::yield_now();
                continue;
            }
            Wait::Delivery => Some((PAUSES.0 * 2_u32.pow((looks - YIELDS - 1).min(6))).min(PAUSES.1)),
        };
        let mut files = vec![PollFd::new(shared.wake.as_fd(), PollFlags::POLLIN)];
        proxy.events(&mut files);
        match ppoll(&mut files, pause.map(TimeSpec::from_duration), None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context("the proxy cannot poll"),
        }
        // Empty unless it was this that woke the thread.
        let _ = shared.wake.read();
    }
    Ok(proxy.into_tape())
}

/// For how long the thread has nothing to do, the shortest wait last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wait {
    /// Until something comes.
    Event,
    /// Until a sender is quiet.
    Quiet,
    /// Until a receiver has read.
    Delivery,
    /// Not at all.
    No,
}

/// The plans of all connections.
struct Steering {
    wire: Wire,
    looks: [Look; 2],
    plans: Vec<[Plan; 2]>,
}

impl Steering {
    fn new(wire: Wire, looks: [Look; 2], proxy: &mut Proxy) -> Self {
        let mut steering = Steering { wire, looks, plans: Vec::new() };
        let [(to_server, server_mode), (to_client, client_mode)] = steering.plan(true);
        (proxy.to_server.mode, proxy.to_client.mode) = (server_mode, client_mode);
        steering.plans.push([to_server, to_client]);
        proxy.further_modes = steering.plan(false).map(|(_, mode)| mode);
        steering
    }

    fn plan(&self, first: bool) -> [(Plan, Mode); 2] {
        Direction::BOTH
            .map(|direction| Plan::new(self.wire, direction, first, &self.looks[direction as usize]))
    }

    /// Steers every connection, and says what to wait for.
    fn step(&mut self, proxy: &mut Proxy) -> Result<Wait> {
        let mut wait = Wait::Event;
        for (number, connection) in proxy.connections().enumerate() {
            if number == self.plans.len() {
                self.plans.push(self.plan(false).map(|(plan, _)| plan));
            }
            let Steered { link, to_server, to_client, sockets } = connection;
            if link.is_calling() || !link.is_open() {
                continue;
            }
            let [server_plan, client_plan] = &mut self.plans[number];
            let flows = [
                (Direction::ToServer, server_plan, &mut *to_server),
                (Direction::ToClient, client_plan, &mut *to_client),
            ];
            let mut cut = None;
            for (direction, plan, flow) in flows {
                let next = plan.step(flow, |flow| link.is_delivered(direction, flow, sockets))?;
                wait = wait.max(match next {
                    Next::Pass => Wait::No,
                    Next::Cut(by) => {
                        cut = Some(by);
                        Wait::No
                    }
                    Next::Wait => Wait::Event,
                    Next::AwaitQuiet => Wait::Quiet,
                    Next::AwaitDelivery => Wait::Delivery,
                });
            }
            if let Some(by) = cut {
                link.cut(by, to_server, to_client);
            }
        }
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read as _, Write as _};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::time::Instant;

    use socket2::SockRef;

    use super::*;
    use crate::proxy::plan::{Random, Seen};
    use crate::proxy::wire::End;
    use crate::run::sockets::Sockets;

    /// A client and a server in this process, and a proxy between them.
    struct Peers {
        proxy: ProxyThread,
        client: TcpStream,
        server: TcpStream,
        /// Whether nothing more is on its way to the client, and to the server; both have ended.
        left: [Arc<AtomicBool>; 2],
    }

    fn peers(wire: Wire) -> Peers {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let left = [true, true].map(|left| Arc::new(AtomicBool::new(left)));
        let look = |left: Arc<AtomicBool>| -> Look {
            Arc::new(move || if left.load(Ordering::SeqCst) { Seen::Left(None) } else { Seen::Fed })
        };
        let looks = left.clone().map(look);
        let server = listener.local_addr().expect("address");
        let config = Config::local();
        let proxy = ProxyThread::start(wire, &config, vec![server], looks, &Clock::start()).expect("starts");
        let client = TcpStream::connect(proxy.address()).expect("connect");
        let (server, address) = listener.accept().expect("accept");
        assert!(config.sources.contains(&address.ip()));
        for socket in [&client, &server] {
            socket.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        }
        Peers { proxy, client, server, left }
    }

    /// Waits until the proxy has received `count` bytes from the client.
    fn await_received(proxy: &ProxyThread, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while proxy.shared.received.load(Ordering::SeqCst) < count {
            assert!(Instant::now() < deadline);
            thread::yield_now();
        }
    }

    /// Everything that can be read, as the single reads gave it, and how it ended.
    fn reads(mut socket: &TcpStream) -> (Vec<Vec<u8>>, End) {
        let (mut pieces, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        loop {
            match socket.read(&mut buffer) {
                Ok(0) => return (pieces, End::Fin),
                Ok(count) => pieces.push(buffer[..count].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return (pieces, End::Rst);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Sends `sent` from both ends at once, in random chunks, each closed after it; returns the bytes that were read.
    fn exchange(wire: Wire, sent: [&[u8]; 2], random: &mut Random) -> ([Vec<Vec<u8>>; 2], Tape) {
        let Peers { proxy, client, server, .. } = peers(wire);
        let ends = [(&client, sent[0], Random(random.next())), (&server, sent[1], Random(random.next()))];
        let (to_client, to_server) = thread::scope(|scope| {
            for (mut socket, mut bytes, mut random) in ends {
                scope.spawn(move || {
                    while !bytes.is_empty() {
                        let (chunk, rest) = bytes.split_at(random.piece().min(bytes.len()));
                        socket.write_all(chunk).expect("write");
                        bytes = rest;
                    }
                    socket.shutdown(Shutdown::Write).expect("shutdown");
                });
            }
            let readers = [scope.spawn(|| reads(&client)), scope.spawn(|| reads(&server))];
            let [client, server] = readers.map(|reader| reader.join().expect("reads"));
            assert_eq!((&client.1, &server.1), (&End::Fin, &End::Fin), "{wire}");
            (client.0, server.0)
        });
        ([to_server, to_client], proxy.finish().expect("a tape"))
    }

    #[apply(test)]
    fn every_wire_carries_all_bytes_unchanged_in_both_directions() {
        let mut random = Random(1);
        let [to_server, to_client] = [Direction::ToServer, Direction::ToClient];
        for round in 0..6 {
            let mut bytes = || -> Vec<u8> {
                let length = random.next() % [1, 10, 300, 3000, 9000, 100][round];
                (0..length).map(|_| random.next().to_le_bytes()[0]).collect()
            };
            let sent = [bytes(), bytes()];
            for wire in [
                Wire::Through,
                Wire::Drip,
                Wire::Lump,
                Wire::Shuffle(random.next()),
                Wire::Split { toward: to_server, at: random.next() % 3000 },
                Wire::Split { toward: to_client, at: random.next() % 3000 },
            ] {
                let (read, tape) = exchange(wire, [&sent[0], &sent[1]], &mut random);
                for direction in [to_server, to_client] {
                    let sent = &sent[direction as usize];
                    assert!(read[direction as usize].concat() == *sent, "{wire}");
                    assert!(tape.bytes(direction) == *sent, "{wire}");
                    let flow = match direction {
                        Direction::ToServer => &tape.connections[0].to_server,
                        Direction::ToClient => &tape.connections[0].to_client,
                    };
                    assert_eq!(flow.end, Some(End::Fin), "{wire}");
                    assert_eq!(flow.pieces().flat_map(|(_, piece)| piece).count(), sent.len(), "{wire}");
                }
            }
        }
    }

    #[apply(test)]
    fn dripping_delivers_every_byte_before_the_next() {
        let text = b"one byte at a time, whatever the reader's buffer";
        let ([to_server, to_client], _) = exchange(Wire::Drip, [text, text], &mut Random(2));
        for pieces in [to_server, to_client] {
            assert!(pieces.iter().all(|piece| piece.len() == 1));
        }
    }

    #[apply(test)]
    fn shuffling_makes_the_same_pieces_for_the_same_seed_and_others_for_another() {
        let text: Vec<u8> = (0..5000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let pieces = |seed| {
            let ([to_server, to_client], _) =
                exchange(Wire::Shuffle(seed), [&text, &text], &mut Random(seed));
            assert_ne!(to_server, to_client);
            to_server
        };
        let (first, again, other) = (pieces(7), pieces(7), pieces(8));
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert!(first.iter().any(|piece| piece.len() == 1) && first.iter().any(|piece| piece.len() > 64));
    }

    #[apply(test)]
    fn a_split_keeps_the_bytes_before_it_apart_from_the_rest() {
        for at in 1..6 {
            let Peers { proxy: _proxy, mut client, mut server, .. } =
                peers(Wire::Split { toward: Direction::ToServer, at });
            client.write_all(b"abcdef").expect("write");
            let mut buffer = [0; 16];
            let count = server.read(&mut buffer).expect("read");
            assert_eq!(count as u64, at);
            server.read_exact(&mut buffer[count..6]).expect("read");
            assert_eq!(&buffer[..6], b"abcdef");
        }
    }

    #[apply(test)]
    fn a_lump_is_held_back_until_its_sender_is_quiet_and_then_comes_in_one_piece() {
        let Peers { proxy, mut client, mut server, left } = peers(Wire::Lump);
        left[0].store(false, Ordering::SeqCst);
        for sent in 1..=10 {
            client.write_all(b"0123456789").expect("write");
            await_received(&proxy, 10 * sent);
        }
        server.set_nonblocking(true).expect("set");
        assert_eq!(server.read(&mut [0]).expect_err("nothing yet").kind(), io::ErrorKind::WouldBlock);
        server.set_nonblocking(false).expect("set");
        left[0].store(true, Ordering::SeqCst);
        assert_eq!(server.read(&mut [0; 1000]).expect("read"), 100);
    }

    #[apply(test)]
    fn a_lump_of_a_sender_that_is_never_quiet_is_sent_after_a_time() {
        let Peers { proxy: _proxy, mut client, mut server, left } = peers(Wire::Lump);
        left[0].store(false, Ordering::SeqCst);
        client.write_all(b"anyone there?").expect("write");
        assert_eq!(server.read(&mut [0; 1000]).expect("read"), 13);
    }

    #[apply(test)]
    fn a_cut_lets_exactly_the_prefix_through_and_ends_both_sides_the_same_way() {
        let text = b"a message\nquit\n";
        for toward in [Direction::ToServer, Direction::ToClient] {
            for (by, end) in [(End::Fin, End::Fin), (End::Rst, End::Rst)] {
                for at in 0..=text.len() {
                    let wire = Wire::Cut { toward, at: at as u64, by };
                    let Peers { proxy: _proxy, client, server, .. } = peers(wire);
                    let (mut from, to) = match toward {
                        Direction::ToServer => (&client, &server),
                        Direction::ToClient => (&server, &client),
                    };
                    // A wire that is cut at once may be gone before anything is written. The socket then
                    // reports the reset by failing to write.
                    let written = from.write_all(text);
                    let (pieces, seen) = reads(to);
                    assert_eq!(pieces.concat(), &text[..at], "{wire}");
                    assert_eq!(seen, end, "{wire}");
                    if written.is_ok() {
                        assert_eq!(reads(from), (Vec::new(), end), "{wire}");
                    } else {
                        assert_eq!((at, end), (0, End::Rst), "{wire}");
                    }
                }
            }
        }
    }

    #[apply(test)]
    fn a_half_close_passes_and_the_other_direction_stays_open() {
        for wire in [Wire::Through, Wire::Drip, Wire::Lump, Wire::Shuffle(1)] {
            let Peers { proxy: _proxy, mut client, mut server, .. } = peers(wire);
            client.write_all(b"question").expect("write");
            client.shutdown(Shutdown::Write).expect("shutdown");
            let (pieces, end) = reads(&server);
            assert_eq!((pieces.concat(), end), (b"question".to_vec(), End::Fin), "{wire}");
            server.write_all(b"answer").expect("write");
            drop(server);
            let (pieces, end) = reads(&client);
            assert_eq!((pieces.concat(), end), (b"answer".to_vec(), End::Fin), "{wire}");
        }
    }

    #[apply(test)]
    fn a_reset_passes_as_a_reset_after_the_bytes_before_it() {
        for wire in [Wire::Through, Wire::Drip, Wire::Lump, Wire::Shuffle(1)] {
            for toward in Direction::BOTH {
                let Peers { proxy: _proxy, client, server, .. } = peers(wire);
                let (mut from, to) = match toward {
                    Direction::ToServer => (client, server),
                    Direction::ToClient => (server, client),
                };
                from.write_all(b"last words").expect("write");
                // The reset would destroy what the proxy has not read yet.
                let sockets = Sockets::open().expect("table");
                let (proxy, here) = (from.peer_addr().expect("address"), from.local_addr().expect("address"));
                let unread = || sockets.connected(proxy, here).expect("table").expect("connected").unread;
                while unread() > 0 {
                    thread::yield_now();
                }
                SockRef::from(&from).set_linger(Some(Duration::ZERO)).expect("set");
                drop(from);
                let (pieces, end) = reads(&to);
                assert_eq!((pieces.concat(), end), (b"last words".to_vec(), End::Rst), "{wire} {toward}");
            }
        }
    }

    #[apply(test)]
    fn a_client_of_a_server_that_is_gone_is_reset_when_it_writes() {
        let Peers { proxy: _proxy, mut client, server, .. } = peers(Wire::Through);
        drop(server);
        assert_eq!(reads(&client), (Vec::new(), End::Fin));
        // The first write causes the reset, and a later one reports it.
        while client.write_all(b"hello?").is_ok() {
            thread::yield_now();
        }
    }

    #[apply(test)]
    fn a_client_that_the_server_refuses_is_reset() {
        let Peers { proxy, .. } = peers(Wire::Through);
        // The listener is gone by now.
        let client = TcpStream::connect(proxy.address()).expect("connect");
        assert_eq!(reads(&client), (Vec::new(), End::Rst));
    }

    #[apply(test)]
    fn bytes_that_the_receiver_left_unread_are_known_even_if_both_programs_ended() {
        let text = [b'x'; 300];
        for wire in [Wire::Through, Wire::Drip, Wire::Lump, Wire::Shuffle(1)] {
            for read in [false, true] {
                for _ in 0..20 {
                    let Peers { proxy, mut client, mut server, .. } = peers(wire);
                    client.write_all(b"quit\n").expect("write");
                    server.read_exact(&mut [0; 5]).expect("read");
                    let client = read.then_some(client);
                    server.write_all(&text).expect("write");
                    drop(server);
                    if let Some(client) = client {
                        assert_eq!(reads(&client).0.concat(), text);
                    }
                    proxy.settle();
                    let tape = proxy.finish().expect("a tape");
                    assert_eq!(tape.refused(Direction::ToClient), !read, "{wire}");
                    assert_eq!(tape.bytes(Direction::ToClient), text, "{wire}");
                }
            }
        }
    }

    #[apply(test)]
    fn a_proxy_thread_ends_at_once_whatever_it_is_doing() {
        for wire in [Wire::Through, Wire::Drip, Wire::Lump] {
            let Peers { proxy, mut client, left, server } = peers(wire);
            left[0].store(false, Ordering::SeqCst);
            client.write_all(&[0; 10_000]).expect("write");
            let begin = Instant::now();
            drop(proxy);
            assert!(begin.elapsed() < Duration::from_secs(1), "{wire}");
            drop(server);
        }
    }
}
