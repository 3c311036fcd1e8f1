"""Measures echolog against what a user would pick instead, and prints one table.

Run by scripts/bench.sh. Every figure is a median of several runs, and the programs that are compared
take turns, so that a machine that slows down slows all of them. Nothing here sleeps: it waits for a
port to be listened on, for a line to be shown, for a process to end.
"""

import argparse
import itertools
import os
import platform
import pty
import random
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ECHOLOG = os.environ["ECHOLOG"]
PYTHON = [sys.executable, "-E"]
DEADLINE = 600
IN_MEMORY = "/dev/shm"
ROOM = 8 * 2**30


class Bench:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.rows = []
        first = os.getpid() % 10000
        self.ports = itertools.cycle([*range(10000 + first, 20000), *range(10000, 10000 + first)])
        self.reserved = []

    def row(self, what, figure, against="", ratio=""):
        self.rows.append((what, figure, against, ratio))
        print("  " + " | ".join(cell for cell in (what, figure, against, ratio) if cell), file=sys.stderr)

    def port(self):
        """A port that nobody uses, and no other benchmark or replay on this machine will: they all
        reserve theirs by this name in the kernel."""
        for port in self.ports:
            name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                name.bind(f"\0echolog-port-{port}")
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("", port))
            except OSError:
                name.close()
                continue
            self.reserved.append(name)
            if len(self.reserved) > 100:
                self.reserved.pop(0).close()
            return port
        sys.exit("error: no port from 10000 to 20000 is free")

    def file(self, name):
        return os.path.join(self.folder, name)

    def messages(self, count):
        """A script of `count` messages of 40 to 100 bytes, and then quit."""
        path = self.file(f"messages-{count}")
        if not os.path.exists(path):
            dice = random.Random(20)
            letters = "abcdefghijklmnopqrstuvwxyz      ABCDEFGHIJ0123456789.,"
            pool = "".join(dice.choices(letters, k=1 << 16))
            with open(path, "w", encoding="ascii") as script:
                for _ in range(count):
                    start = dice.randrange((1 << 16) - 100)
                    script.write(pool[start : start + dice.randint(40, 100)] + "\n")
                script.write("quit\n")
        return path

    # ------------------------------------------------------------------------------ the pair

    def session(self, server, client, stdin=None, apart=False):
        """Seconds from starting the client to the end of both programs, screens to /dev/null; with
        `apart`, each on a core of its own, where there are two."""
        cores = sorted(os.sched_getaffinity(0))
        keep = lambda core: (lambda: os.sched_setaffinity(0, {core})) if apart and len(cores) > 1 else None
        port = str(self.port())
        fill = lambda command: [word.replace("{port}", port) for word in command]
        with open(os.devnull, "w") as null:
            serving = subprocess.Popen(fill(server), stdout=null, preexec_fn=keep(cores[0]))
            try:
                until(lambda: is_listened_on(int(port)) or serving.poll() is not None)
                begun = time.perf_counter()
                with open(stdin or os.devnull, "rb") as source:
                    asking = subprocess.Popen(fill(client), stdin=source, stdout=null,
                                              preexec_fn=keep(cores[-1]))
                for process in (asking, serving):
                    ended(process)
                took = time.perf_counter() - begun
            finally:
                serving.kill()
                serving.wait()
        return took

    def echolog_session(self, script, **how):
        return self.session(
            [ECHOLOG, "server", "{port}", "--max-log", "2G"],
            [ECHOLOG, "client", "127.0.0.1", "{port}", "--script", script],
            **how,
        )

    def python_session(self, script, *options):
        return self.session(
            PYTHON + [HERE + "/peers/server.py", "{port}", *options],
            PYTHON + [HERE + "/peers/client.py", "127.0.0.1", "{port}", script, *options],
        )

    def socat_session(self, script):
        """The floor: the same bytes are carried there, kept in a file, and carried back, unread."""
        kept = self.file("kept")
        return self.session(
            ["socat", "-b", "65536", "-t", "60", "TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr",
             f"SYSTEM:cat > {kept}; cat {kept}"],
            ["socat", "-b", "65536", "-t", "60", "-", "TCP:127.0.0.1:{port}"],
            stdin=script,
        )

    def bare_session(self, script):
        """The least there is to do: the same, without a screen, and in larger pieces."""
        bare = PYTHON + [HERE + "/peers/bare.py"]
        return self.session(bare + ["server", "{port}"], bare + ["client", "127.0.0.1", "{port}", script])

    def pair(self):
        count = self.options.messages
        script = self.messages(count)
        contenders = {"echolog": lambda: self.echolog_session(script),
                      "python": lambda: self.python_session(script),
                      "bare": lambda: self.bare_session(script)}
        if shutil.which("socat"):
            contenders["socat"] = lambda: self.socat_session(script)
        times = self.in_turns(contenders)
        what = f"{count:,} messages there and back"
        ours = times["echolog"]
        self.row(what, seconds(ours), f"Python pair {seconds(times['python'])}",
                 f"{times['python'] / ours:.1f} times as fast")
        if "socat" in times:
            self.row(what, seconds(ours), f"socat, nothing read {seconds(times['socat'])}",
                     f"{ours / times['socat']:.2f} times the floor")
        self.row(what, seconds(ours), f"its bytes moved, no more {seconds(times['bare'])}",
                 f"{ours / times['bare']:.2f} times the least")
        # The usual way to write it takes too long for the full size.
        tenth = self.messages(count // 10)
        times = self.in_turns({"echolog": lambda: self.echolog_session(tenth),
                               "python": lambda: self.python_session(tenth, "--at-once")})
        self.row(f"{count // 10:,} messages there and back", seconds(times["echolog"]),
                 f"Python pair, each message at once {seconds(times['python'])}",
                 f"{times['python'] / times['echolog']:.1f} times as fast")

    def lockstep(self):
        """Exchanges a second: a message is given to the client at a pipe when the server has shown the one
        before. Against a C pair that allocates nothing and checks nothing."""
        compiler = shutil.which("cc")
        if not compiler:
            return self.row("exchanges a second at a pipe, in lockstep", "not measured: cc(1) is not here")
        program = self.file("lockstep")
        subprocess.run([compiler, "-O2", "-w", "-o", program, HERE + "/peers/lockstep.c"], check=True)

        def rate(server, client):
            port = str(self.port())
            fill = lambda command: [word.replace("{port}", port) for word in command]
            command = [program, "drive", str(self.options.lockstep), *fill(server), "--", *fill(client)]
            return int(subprocess.run(command, stdout=subprocess.PIPE, timeout=DEADLINE, check=True).stdout)

        rates = self.in_turns({
            "echolog": lambda: rate([ECHOLOG, "server", "{port}", "--bind", "127.0.0.1"],
                                    [ECHOLOG, "client", "127.0.0.1", "{port}"]),
            "C": lambda: rate([program, "server", "{port}"], [program, "client", "{port}"]),
        })
        self.row("exchanges a second at a pipe, in lockstep", f"{rates['echolog']:,.0f}",
                 f"C pair without checks {rates['C']:,.0f}",
                 f"{rates['C'] / rates['echolog']:.2f} times the least")

    def in_turns(self, contenders, runs=None):
        """The median of what each of `contenders` gives."""
        given = {name: [] for name in contenders}
        for _ in range(runs or self.options.runs):
            # What was written before, by a build or by another contender, is not to be waited for in here.
            os.sync()
            for name, run in contenders.items():
                given[name].append(run())
        return {name: statistics.median(figures) for name, figures in given.items()}

    def growth(self):
        """Time per message in sessions of several sizes: what the second half of one adds to the first.
        Starting, and what is done once (memory, the file of the log), is thereby taken off. Where the
        scheduler puts two new programs decides as much in the first milliseconds, so they are kept apart."""
        counts = [count for count in (10_000, 100_000, 1_000_000, 10_000_000) if count <= self.options.largest]
        contenders = {}
        for count in counts:
            # What takes a millisecond is measured more often than what takes seconds.
            often = max(1, 500_000 // count)
            for part in (count // 2, count):
                contenders[count, part] = lambda script=self.messages(part), often=often: statistics.median(
                    self.echolog_session(script, apart=True) for _ in range(often))
        times = self.in_turns(contenders, runs=4 * self.options.runs)
        each = {count: (times[count, count] - times[count, count // 2]) / (count - count // 2) * 1e9
                for count in counts}
        middle = statistics.median(each.values())
        for count, nanoseconds in each.items():
            self.row(f"time per message, {count:,} messages", f"{nanoseconds:.0f} ns",
                     f"median of the sizes {middle:.0f} ns", f"{nanoseconds / middle - 1:+.0%}")

    def memory(self):
        """Peak memory of both programs with a log of the given size, as time(1) sees it."""
        size = self.options.log_mib
        timer = shutil.which("time")
        if not timer:
            return self.row(f"peak memory, log of {size} MiB", "not measured: time(1) is not here")
        script = self.file("large")
        message = b"m" * 127 + b"\n"
        with open(script, "wb") as out:
            for _ in range(size):
                out.write(message * (1024 * 1024 // len(message)))
            out.write(b"quit\n")
        peaks = {name: self.file(name + ".peak") for name in ("server", "client")}
        timed = lambda name, *words: [timer, "-f", "%M", "-o", peaks[name], ECHOLOG, name, *words]
        self.session(timed("server", "{port}", "--max-log", "4G"),
                     timed("client", "127.0.0.1", "{port}", "--script", script))
        os.remove(script)
        for name, path in peaks.items():
            with open(path) as peak:
                kib = int(peak.read())
            self.row(f"peak memory of the {name}, log of {size} MiB", f"{kib / 1024:.1f} MiB")

    def typed(self):
        """From Enter at the client's terminal to the line on the server's screen."""
        ours = self.typed_latency([ECHOLOG, "server"], [ECHOLOG, "client", "127.0.0.1"])
        python = self.typed_latency(PYTHON + [HERE + "/peers/server.py"],
                                    PYTHON + [HERE + "/peers/client.py", "127.0.0.1"])
        slow = statistics.quantiles(ours, n=100)[98]
        ours, python = statistics.median(ours), statistics.median(python)
        self.row("a typed message, Enter to the server's screen", f"{ours * 1e6:.0f} µs (99 %: {slow * 1e6:.0f} µs)",
                 f"Python pair {python * 1e6:.0f} µs", f"{python / ours:.1f} times as fast")

    def typed_latency(self, server, client):
        port = str(self.port())
        with Terminal(server + [port]) as server, Terminal(client + [port], ready=port) as client:
            times = []
            for number in range(self.options.typed):
                client.read_until(b"enter a message to send to server: ")
                message = f"typed message {number}"
                begun = time.perf_counter()
                client.write(message.encode() + b"\r")
                server.read_until(b'server received message: "%s"' % message.encode())
                times.append(time.perf_counter() - begun)
            client.read_until(b"enter a message to send to server: ")
            client.write(b"quit\r")
            server.read_until(b"quitting")
            client.read_until(b"client received message log:")
        return times

    # ----------------------------------------------------------------------------- the harness

    def fixture(self, name, messages):
        """A fixture of `messages` with the goldens that a sound pair gives."""
        folder = self.file(name)
        os.makedirs(folder)
        server = ["server is at address: [SERVER_ADDRESS]", "server is using port: [PORT]",
                  "server connected to client at address: [CLIENT_ADDRESS]"]
        server += [f'server received message: "{message}"' for message in messages]
        server += ["the client has informed the server that it is quitting"]
        client = ["client has connected to the server!"]
        for message in messages:
            client += [f"enter a message to send to server: {message}", f'client sending message: "{message}"']
        client += ["enter a message to send to server: quit", "client informing server that it is quitting.",
                   "client received message log:", *messages]
        for file, lines in {"messages.txt": [*messages, "quit"], "server.golden": server,
                            "client.golden": client}.items():
            with open(os.path.join(folder, file), "w") as out:
                out.write("\n".join(lines) + "\n")
        return folder

    def drive(self):
        """Messages typed at a terminal, each when the server has shown the one before, a second."""
        count = self.options.exchanges
        fixture = self.fixture("lockstep", [f"message {number}" for number in range(count)])

        def exchanges(count, *command):
            """Exchanges a second, starting and ending included."""
            port = str(self.port())
            command = [word.replace("{port}", port).replace("{count}", str(count)) for word in command]
            begun = time.perf_counter()
            self.quietly(*command)
            return count / (time.perf_counter() - begun)

        pexpect = PYTHON + [HERE + "/peers/lockstep.py", "{port}", "{count}"]
        contenders = {"echolog": lambda: exchanges(
            count, ECHOLOG, "replay", fixture, "--drive", "terminal", "--wire", "direct", "--timeout", "120")}
        if subprocess.run(PYTHON + ["-c", "import pexpect"], stderr=subprocess.DEVNULL).returncode == 0:
            contenders["pexpect"] = lambda: exchanges(min(count, 60), *pexpect)
            contenders["pexpect, its delay turned off"] = lambda: exchanges(count, *pexpect, "no-delay")
        if shutil.which("expect"):
            tcl = ["expect", HERE + "/peers/lockstep.exp", "{port}", "{count}"]
            contenders["Tcl expect"] = lambda: exchanges(count, *tcl)
        rates = self.in_turns(contenders)
        ours = rates.pop("echolog")
        for name, rate in rates.items():
            self.row(f"{count:,} exchanges in lockstep at a terminal", f"{ours:,.0f} a second",
                     f"{name} {rate:,.0f} a second", f"{ours / rate:.1f} times as fast")

    def replay(self):
        """A short fixture many times, two at a time, against a shell loop that judges nothing."""
        count = self.options.sessions
        sample = os.path.join(os.path.dirname(HERE), "fixtures", "sample-session")
        many = self.file("many")
        for number in range(count):
            shutil.copytree(sample, os.path.join(many, f"{number:04}"))
        script = os.path.join(sample, "messages.txt")

        def run(*command):
            begun = time.perf_counter()
            self.quietly(*command)
            return time.perf_counter() - begun

        times = self.in_turns({
            "echolog": lambda: run(ECHOLOG, "replay", many, "--drive", "script", "--wire", "direct", "--jobs", "2"),
            "shell": lambda: run(HERE + "/peers/shell_loop.sh", script, str(count)),
        })
        self.row(f"{count} short sessions, two at a time", seconds(times["echolog"]),
                 f"bare shell loop {seconds(times['shell'])}", f"{times['echolog'] / times['shell']:.2f} times as long")

    @staticmethod
    def quietly(*command):
        """Runs `command`, which must succeed, and shows what it said only if it does not."""
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=DEADLINE, check=False)
        if done.returncode != 0:
            sys.exit(f"error: {' '.join(command)} ended with {done.returncode}\n{done.stdout}")

    # --------------------------------------------------------------------------- all of the program

    def startup(self):
        """From asking for a process to its end."""
        def run(*command):
            begun = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            return time.perf_counter() - begun

        times = {"echolog": [], "true": []}
        for _ in range(100):
            times["echolog"].append(run(ECHOLOG, "--version"))
            times["true"].append(run("/bin/true"))
        ours, nothing = (statistics.median(times[name]) for name in ("echolog", "true"))
        self.row("echolog --version", f"{ours * 1e3:.2f} ms", f"/bin/true {nothing * 1e3:.2f} ms",
                 f"{ours / nothing:.2f} times as long")

    def build(self):
        """A debug build from nothing, sources of the dependencies at hand."""
        with tempfile.TemporaryDirectory(prefix="echolog-bench-", dir=self.options.disk) as target:
            begun = time.perf_counter()
            subprocess.run(["cargo", "build", "--quiet", "--locked", "--target-dir", target],
                           cwd=os.path.dirname(HERE), check=True)
        self.row("clean debug build", f"{time.perf_counter() - begun:.0f} s")


class Terminal:
    """A program on a pseudo-terminal of its own, killed at the end whatever happens."""

    def __init__(self, command, ready=None):
        if ready:
            until(lambda: is_listened_on(int(ready)))
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execvp(command[0], command)
        self.seen = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.master)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)

    def write(self, text):
        os.write(self.master, text)

    def read_until(self, text):
        end = time.monotonic() + 10
        while text not in self.seen:
            if not select.select([self.master], [], [], end - time.monotonic())[0]:
                sys.exit(f"error: {text} was not shown within 10 s; seen: {self.seen[-300:]}")
            self.seen += os.read(self.master, 65536)
        self.seen = self.seen[self.seen.index(text) + len(text) :]


def is_listened_on(port):
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as sockets:
            if any(line.split()[1].endswith(wanted) and line.split()[3] == "0A" for line in list(sockets)[1:]):
                return True
    return False


def ended(process):
    """Waits for the end of `process`, which must be a success. (The time-out of `Popen.wait` looks for
    it every now and then only, up to 50 ms late.)"""
    descriptor = os.pidfd_open(process.pid)
    try:
        if not select.select([descriptor], [], [], DEADLINE)[0]:
            process.kill()
    finally:
        os.close(descriptor)
    if process.wait() != 0:
        sys.exit(f"error: {' '.join(process.args)} ended with {process.returncode}")


def until(holds):
    end = time.monotonic() + 10
    while not holds():
        if time.monotonic() > end:
            sys.exit("error: nothing listens yet after 10 s")


def seconds(time):
    return f"{time:.2f} s" if time >= 1 else f"{time * 1e3:.0f} ms"


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        names = [line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{len(os.sched_getaffinity(0))} cores of {names[0] if names else platform.machine()}, "
            f"{memory:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}, "
            + subprocess.check_output([ECHOLOG, "--version"], text=True).strip())


def keep_files_in_memory():
    """Has all programs keep their files there, if nobody said where and there is room: what a disk takes
    depends on what was written to it before. Returns whether it is so."""
    with open("/proc/meminfo") as meminfo:
        available = next(int(line.split()[1]) * 1024 for line in meminfo if line.startswith("MemAvailable"))
    fits = os.path.isdir(IN_MEMORY) and min(available, shutil.disk_usage(IN_MEMORY).free) >= ROOM
    if fits and "TMPDIR" not in os.environ:
        os.environ["TMPDIR"] = tempfile.tempdir = IN_MEMORY
    return tempfile.gettempdir() == IN_MEMORY


def main():
    parts = ["pair", "lockstep", "growth", "memory", "typed", "drive", "replay", "startup", "build"]
    parser = argparse.ArgumentParser(prog="scripts/bench.sh", description=__doc__.split("\n")[0])
    parser.add_argument("--messages", type=int, default=5_000_000, help="of the large session (%(default)s)")
    parser.add_argument("--largest", type=int, default=10_000_000,
                        help="session that the time per message is taken of (%(default)s)")
    parser.add_argument("--log-mib", type=int, default=1024, help="log that memory is taken with (%(default)s)")
    parser.add_argument("--typed", type=int, default=1000, help="messages typed (%(default)s)")
    parser.add_argument("--lockstep", type=int, default=50_000, help="exchanges at a pipe (%(default)s)")
    parser.add_argument("--exchanges", type=int, default=2000, help="at a terminal, in lockstep (%(default)s)")
    parser.add_argument("--sessions", type=int, default=300, help="that are replayed (%(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="of everything that is timed (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these of: {', '.join(parts)}")
    options = parser.parse_args()
    if options.quick:
        options.messages, options.largest, options.log_mib, options.typed = 200_000, 100_000, 64, 100
        options.exchanges, options.sessions, options.lockstep = 200, 40, 5000
    unknown = set(options.parts) - set(parts)
    if unknown:
        parser.error(f"there is no part {unknown.pop()}; there are {', '.join(parts)}")
    options.disk = tempfile.gettempdir()
    files = "memory" if keep_files_in_memory() else tempfile.gettempdir()
    with tempfile.TemporaryDirectory(prefix="echolog-bench-") as folder:
        bench = Bench(options, folder)
        for part in options.parts or parts:
            print(f"{part} …", file=sys.stderr)
            getattr(bench, part)()
    print(f"{machine()}; medians of {options.runs} runs and more, loopback, files in {files}, "
          "screens to /dev/null\n")
    widths = [max(len(row[column]) for row in bench.rows) for column in range(4)]
    head = ("what", "echolog", "against", "ratio")
    widths = [max(width, len(name)) for width, name in zip(widths, head)]
    for row in [head, tuple("-" * width for width in widths), *bench.rows]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")


if __name__ == "__main__":
    main()
