"""Lets each system call of the server and of the client fail once, with several errors, and checks how the
session ends. Prints a table, and exits 1 if a session ended in a way that no user can rely on. The calls of
the loader and of Rust's start are left alone: their failures come before the program's first line.

Needs strace (Debian's package of that name). Run by `make torture`. What a session may end as:
  sound        both programs end with status 0; the log is whole on the screen and in the saved file
  declared     a program fails with an error message, and none that ends with status 0 lacks anything
  FALSE        a program ends with status 0 although messages are missing
  SILENT       a program fails without a message
  HANG         a program does not end in time
  PANIC        a program panics or aborts
  library      a library panics: the standard library without random numbers, rustyline without close(2)
"""

import argparse
import collections
import concurrent.futures
import os
import pty
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

MESSAGES = ["first", "", "a second message", "Grüße", "last"]
SCRIPT = "".join(message + "\n" for message in MESSAGES)
SERVER, CLIENT = "server", "client"
DRIVES = ["script", "pipe", "terminal"]
ERRORS = ["EIO", "ENOMEM", "EINTR", "EPERM", "EMFILE", "EAGAIN", "ENOSPC", "EINVAL"]
# They do not return, or cannot fail in reality, and the C library and Rust rely on that.
# A failed brk(2) returns the old break and no error, which strace cannot do.
EXEMPT = {"brk", "exit", "exit_group", "futex", "rt_sigreturn", "restart_syscall", "rseq", "set_robust_list", "execve"}
PROMPT = b"enter a message to send to server: "
TIMEOUT = 20
PATIENCE = 1
# Each session has an address of its own: a client whose server is gone must not find the one of another session.
ADDRESSES = (f"127.{second}.{third}.1" for second in range(1, 250) for third in range(1, 250))
BAD = ["FALSE", "SILENT", "HANG", "PANIC"]


class Program:
    """A program under strace, or not, and what it wrote."""

    def __init__(self, command, folder, name, strace=None, **streams):
        prefix = ["strace", "-f", "-qq", "-o", os.path.join(folder, name + ".trace"), *strace] if strace else []
        self.error_path = os.path.join(folder, name + ".err")
        with open(self.error_path, "wb") as err:
            self.process = subprocess.Popen([*prefix, *command], stderr=err, start_new_session=True, **streams)

    @property
    def errors(self):
        with open(self.error_path, encoding="utf-8", errors="replace") as err:
            return err.read()

    def ends(self, deadline):
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def play(echolog, address, drive, victim, fault, folder):
    """Plays one session at `address` in which `victim` has the strace options `fault`; returns how it ended, and why."""
    out_path, saved = os.path.join(folder, "server.out"), os.path.join(folder, "log")
    script = os.path.join(folder, "script")
    with open(script, "w", encoding="utf-8") as file:
        file.write(SCRIPT + "quit\n")
    with open(out_path, "wb") as out:
        server = Program([echolog, "server", "10000-20000", "--bind", address], folder, SERVER,
                         fault if victim == SERVER else None, stdin=subprocess.DEVNULL, stdout=out)
    client = None
    try:
        port = wait_for_port(server, out_path)
        if port is None:
            if not server.ends(time.monotonic() + TIMEOUT):
                return "HANG", "the server shows no port"
            return judge_failure([server])
        command = [echolog, "client", address, port, "--save-log", saved]
        strace = fault if victim == CLIENT else None
        if drive == "terminal":
            client, screen = at_terminal(command, folder, strace)
        else:
            client, screen = with_streams(command, drive, script, folder, strace)
        if client.process.returncode is None:
            return "HANG", "the client does not end"
        return judge(server, client, read(out_path), screen, saved, out_path)
    finally:
        for program in (server, client):
            if program:
                program.kill()


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return None


def wait_for_port(server, out_path):
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        if found := re.search(r"server is using port: (\d+)\n", read(out_path)):
            return found[1]
        if server.process.poll() is not None:
            return None
        time.sleep(0.005)
    return None


def with_streams(command, drive, script, folder, strace):
    out_path = os.path.join(folder, "client.out")
    more = ["--script", script] if drive == "script" else []
    with open(script, "rb") as source, open(out_path, "wb") as out:
        stdin = subprocess.DEVNULL if drive == "script" else subprocess.PIPE
        client = Program(command + more, folder, CLIENT, strace, stdin=stdin, stdout=out)
        if drive == "pipe":
            try:
                client.process.stdin.write(source.read())
                client.process.stdin.close()
            except BrokenPipeError:
                pass
        client.ends(time.monotonic() + TIMEOUT)
    return client, read(out_path)


def at_terminal(command, folder, strace):
    """A person who types each message behind its prompt."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color"}
    client = Program(command, folder, CLIENT, strace, stdin=slave, stdout=slave, env=environment)
    os.close(slave)
    lines = [*MESSAGES, "quit"]
    shown, answered, deadline = b"", 0, time.monotonic() + TIMEOUT
    seen, since = 0, time.monotonic()
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.02)[0]:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        elif client.process.poll() is not None:
            break
        # The editor shows the prompt more than once: the next one comes after the message was sent. Where a
        # part of the screen is lost, a person types on after a while.
        sent = shown.count(b"client sending message: ")
        ready = sent == answered and shown.rfind(PROMPT) > shown.rfind(b"client sending")
        if len(shown) != seen:
            seen, since = len(shown), time.monotonic()
        if answered < len(lines) and (ready or time.monotonic() > since + PATIENCE):
            since = time.monotonic()
            os.write(master, lines[answered].encode() + b"\r")
            answered += 1
    client.ends(deadline)
    os.close(master)
    return client, shown.decode("utf-8", "replace").replace("\r\n", "\n")


def judge_failure(programs):
    for program in programs:
        if re.search(r"panicked at /(rustc|\S*/registry)/", program.errors):
            return "library", program.errors
        if "panicked at" in program.errors or program.process.returncode in (-signal.SIGABRT, 134):
            return "PANIC", program.errors
    for program in programs:
        if program.process.returncode not in (0, None) and "rror" not in program.errors:
            return "SILENT", f"status {program.process.returncode}: {program.errors}"
    return "declared", ""


def judge(server, client, server_screen, screen, saved, out_path):
    # A server whose client has sent nothing goes on listening; that is for the user to end.
    deadline = time.monotonic() + TIMEOUT
    while server.process.poll() is None:
        if client.process.returncode != 0 and "received message" not in read(out_path):
            if "listening again" in server.errors or "connected to client" not in read(out_path):
                break
        if time.monotonic() > deadline:
            return "HANG", "the server does not end"
        time.sleep(0.005)
    server_screen = read(out_path)
    if client.process.returncode == 0 and (read(saved) != SCRIPT or not screen.endswith("log:\n" + SCRIPT)):
        return "FALSE", f"the client; its screen: {screen!r}"
    # A client whose input fails quits in order and says so: then fewer messages are all there were.
    received = re.findall(r'server received message: "(.*)"\n', server_screen)
    whole = received == MESSAGES or (client.process.returncode != 0 and received == MESSAGES[: len(received)])
    if server.process.returncode == 0 and not (whole and server_screen.endswith("is quitting\n")):
        return "FALSE", f"the server; its screen: {server_screen!r}"
    if client.process.returncode == 0 and server.process.returncode == 0:
        return "sound", ""
    return judge_failure([server, client])


def calls(trace):
    """The system calls by name: the number of the first one that the program itself makes, and how many the
    thread made that made most of them (strace counts them for each thread)."""
    count, first, started = collections.Counter(), {}, False
    with open(trace, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not (found := re.match(r"(\d+) +(\w+)\(", line)):
                continue
            thread, name = found.groups()
            count[thread, name] += 1
            # The first thing that either program does.
            started = started or "rt_sigaction(SIGXFSZ" in line
            if started:
                first.setdefault(name, count[thread, name])
    most = collections.Counter()
    for (_, name), number in count.items():
        most[name] = max(most[name], number)
    return {name: range(first[name], number + 1)
            for name, number in most.items() if name in first and name not in EXEMPT}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--echolog", default="target/release/echolog", help="the program (%(default)s)")
    parser.add_argument("--limit", type=int, default=4000, help="injections at most (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1), help="at a time (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the order (%(default)s)")
    options = parser.parse_args()
    if not shutil.which("strace"):
        sys.exit("error: strace is missing\nhint: apt-get install strace")
    echolog = os.path.abspath(options.echolog)
    faults = []
    for victim in (SERVER, CLIENT):
        for drive in DRIVES:
            with tempfile.TemporaryDirectory() as folder:
                ended, why = play(echolog, next(ADDRESSES), drive, victim, ["-e", "trace=all"], folder)
                if ended != "sound":
                    sys.exit(f"error: a session without a fault is {ended}: {why}")
                for name, numbers in calls(os.path.join(folder, victim + ".trace")).items():
                    faults += [(victim, drive, name, at, error) for at in numbers for error in ERRORS]
    random.Random(options.seed).shuffle(faults)
    print(f"{len(faults)} possible injections, {min(len(faults), options.limit)} of them are made", file=sys.stderr)
    faults = zip(faults[: options.limit], ADDRESSES)

    def inject(task):
        fault, address = task
        victim, drive, name, at, error = fault
        strace = ["-e", f"trace={name}", "-e", f"inject={name}:error={error}:when={at}"]
        with tempfile.TemporaryDirectory() as folder:
            ended, why = play(echolog, address, drive, victim, strace, folder)
            # Where the message itself cannot be written, the exit status is all that is left to tell.
            trace = read(os.path.join(folder, victim + ".trace")) or ""
            if ended == "SILENT" and re.search(r'write\(2, "error: .*INJECTED', trace):
                ended = "declared"
            return fault, (ended, why)

    table, found = collections.defaultdict(collections.Counter), []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for number, (fault, (ended, why)) in enumerate(pool.map(inject, faults), 1):
            table[fault[:2]][ended] += 1
            if ended in BAD:
                found.append((fault, ended, why))
            if number % 500 == 0:
                print(f"{number} …", file=sys.stderr)
    columns = ["sound", "declared", "library", *BAD]
    print("| program | drive    | injections | " + " | ".join(columns) + " |")
    print("|---|---|---|" + "---|" * len(columns))
    total = collections.Counter()
    for (victim, drive), counts in sorted(table.items()):
        total.update(counts)
        row = " | ".join(str(counts[column]).rjust(len(column)) for column in columns)
        print(f"| {victim:7} | {drive:8} | {sum(counts.values()):10} | {row} |")
    row = " | ".join(str(total[column]).rjust(len(column)) for column in columns)
    print(f"| both    | all      | {sum(total.values()):10} | {row} |")
    for (victim, drive, name, at, error), ended, why in found:
        print(f"{ended}: {victim}, {drive}: {name} number {at} fails with {error}: {why.strip()[:500]}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
