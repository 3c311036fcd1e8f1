//! Submissions that attack whoever judges them: what the report says of each, and that nothing of it is left
//! afterwards: no process, no namespace that a process keeps, no file.

use std::fs;
use std::iter;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::{Checked, Dir, PROFILE, sound};
use crate::common::{self, ECHOLOG, harness};

/// Why this machine cannot isolate programs, if it cannot.
static NOT_ISOLATED: LazyLock<Option<String>> = LazyLock::new(|| {
    let checked = Checked::with(&["--isolation=required", "--only", "S1"]);
    (checked.code() != Some(0)).then(|| checked.err.clone())
});

/// Ends the test as ignored on a machine that cannot isolate programs.
pub fn needs_isolation() {
    if let Some(reason) = NOT_ISOLATED.as_deref() {
        harness::cannot_run(reason);
    }
}

/// A submission that attacks, and a place for temporary files of its own.
struct Attack {
    dir: Dir,
    temporary: Dir,
}

impl Attack {
    /// A sound pair whose server begins with `code`.
    fn by_server(code: &str) -> Self {
        Attack::by(&format!("{code}\n{}", sound("server.py")), &sound("client.py"), PROFILE)
    }

    fn by(server: &str, client: &str, profile: &str) -> Self {
        common::needs(&["python3"]);
        needs_isolation();
        let dir = Dir::with(&[("server.py", server), ("client.py", client), ("echolog.toml", profile)]);
        // Programs run as another user, who must come to their working directory.
        Attack { dir, temporary: Dir::with(&[]) }
    }

    /// Judges the rows `only`. Nothing is left afterwards.
    #[track_caller]
    fn checked(&self, only: &str, args: &[&str]) -> Checked {
        let mut command = Command::new(ECHOLOG);
        command.args(["check", "--isolation=required", "--only", only, self.dir.path()]).args(args);
        let checked = Checked::run(command.env("TMPDIR", self.temporary.path()).env("SECRET", SECRET));
        let left: Vec<PathBuf> = entries(Path::new(self.temporary.path())).collect();
        assert!(left.is_empty(), "{left:?} is left: {checked}");
        for process in entries(Path::new("/proc")) {
            let text = |file: &str| fs::read(process.join(file)).unwrap_or_default();
            for file in ["cmdline", "environ", "mountinfo"] {
                // Its working directory is mounted on each of its computers.
                let is_of_it = contains(&text(file), self.temporary.path());
                assert!(!is_of_it, "{} is left: {}", process.display(), shown(&text("cmdline")));
            }
        }
        checked
    }
}

/// What is in the environment of whoever judges.
const SECRET: &str = "the-secret-of-the-grader";

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn contains(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', " ")
}

#[apply(test)]
fn a_fork_bomb_is_ended_and_its_report_names_the_limit() {
    let attack = Attack::by_server("import os\nwhile True:\n    os.fork()");
    attack
        .checked("S1", &[])
        .ends_with(1)
        .says("S1 flooded")
        .says("the server starts processes or threads without end")
        .says("processes and threads at once, and 512 is the limit");
}

#[apply(test)]
fn a_fork_bomb_whose_processes_leave_their_session_is_ended_too() {
    let attack = Attack::by_server("import os\nwhile True:\n    if os.fork() == 0:\n        os.setsid()");
    attack.checked("S1", &[]).ends_with(1).says("S1 flooded").says("and 512 is the limit");
}

#[apply(test)]
fn a_fork_bomb_that_ends_without_a_word_where_it_is_refused_a_process_is_known_all_the_same() {
    let attack = Attack::by_server(
        "import os\nwhile True:\n    try:\n        if os.fork() == 0:\n            os.setsid()\n    except OSError:\n        os._exit(0)",
    );
    let checked = attack.checked("S1", &[]);
    checked.ends_with(1).says("S1 flooded").says("and 512 is the limit");
}

#[apply(test)]
fn a_server_that_starts_threads_without_end_is_ended() {
    let attack = Attack::by_server(
        "import threading\nwhile True:\n    threading.Thread(target=threading.Event().wait).start()",
    );
    attack.checked("S1", &[]).ends_with(1).says("S1 flooded").says("and 512 is the limit");
}

#[apply(test)]
fn a_daemon_with_a_cleared_environment_is_ended_and_costs_no_row() {
    let attack = Attack::by_server(
        "import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        for file in range(256):
            try: os.close(file)
            except OSError: pass
        os.execve('/bin/sleep', ['sleep', '4243'], {})
    os._exit(0)
os.wait()",
    );
    let sleeps = || {
        let is_it = |process: &PathBuf| {
            fs::read(process.join("cmdline")).is_ok_and(|line| line.starts_with(b"sleep\x004243\0"))
        };
        entries(Path::new("/proc")).any(|process| is_it(&process))
    };
    attack.checked("S1,S5,R7", &[]).ends_with(0).says("3 of 3 pass");
    assert!(!sleeps(), "the daemon is still there");
}

#[apply(test)]
fn a_server_that_kills_its_parent_kills_itself_at_most() {
    // Its parent is out of its sight: 0, which is its own process group.
    let attack = Attack::by_server("import os\nos.kill(os.getppid(), 9)");
    attack.checked("S1,R11", &[]).ends_with(1).says("the server was ended by SIGKILL").says("R11 pass");
}

#[apply(test)]
fn a_server_that_kills_everyone_it_can_kills_nobody_else() {
    let attack = Attack::by_server("import os\ntry: os.kill(-1, 9)\nexcept ProcessLookupError: pass");
    attack.checked("S1,S5,R12", &[]).ends_with(0).says("3 of 3 pass");
}

#[apply(test)]
fn no_environment_but_its_own_can_be_read() {
    let attack = Attack::by_server(&format!(
        "import glob, os
for place in [f'/proc/{{os.getppid()}}/environ', '/proc/1/environ', *glob.glob('/proc/[0-9]*/environ')]:
    try: text = open(place).read()
    except OSError: continue
    if {SECRET:?} in text: raise SystemExit('stolen from ' + place)"
    ));
    attack.checked("S1,S5", &[]).ends_with(0).says("2 of 2 pass");
}

#[apply(test)]
fn a_submission_and_the_home_directory_of_its_grader_cannot_be_written_to() {
    let attack = Attack::by_server("");
    let home = PathBuf::from(std::env::var_os("HOME").expect("a home directory"));
    let mark = format!("echolog-written-{}", std::process::id());
    let places = [attack.dir.path(), home.to_str().expect("UTF-8"), "/", "/usr", "/etc"];
    let code = format!(
        "import os
for place in {places:?}:
    try: open(place + '/{mark}', 'w').close()
    except OSError: continue
    raise SystemExit('could write to ' + place)
open(os.environ['HOME'] + '/{mark}', 'w').close()
open('/tmp/{mark}', 'w').close()\n{}",
        sound("server.py")
    );
    fs::write(attack.dir.file("server.py"), code).expect("written");
    attack.checked("S1,S5", &[]).ends_with(0).says("2 of 2 pass");
    for place in places.into_iter().chain(["/tmp"]) {
        assert!(!Path::new(place).join(&mark).exists(), "{place} was written to");
    }
}

#[apply(test)]
fn connecting_to_the_outside_fails_at_once() {
    let attack = Attack::by_server(
        "import socket, time
begun = time.monotonic()
for place in [('1.1.1.1', 53), ('example.com', 80), ('10.0.0.1', 22), ('2606:4700::1111', 53)]:
    try: socket.create_connection(place)
    except OSError: continue
    raise SystemExit('connected to ' + place[0])
if time.monotonic() - begun > 5: raise SystemExit('it took its time')",
    );
    attack.checked("S1,S5", &[]).ends_with(0).says("2 of 2 pass");
}

#[apply(test)]
fn a_server_that_listens_on_a_hundred_other_ports_costs_no_row() {
    let attack = Attack::by_server(
        "import socket, sys
taken = []
for port in range(20001, 20101):
    taken.append(socket.create_server(('', port)))",
    );
    attack.checked("S1,S2,S5,R12", &[]).ends_with(0).says("4 of 4 pass");
}

#[apply(test)]
fn the_port_of_the_proxy_cannot_be_taken_from_it() {
    let client = format!(
        "import socket, sys
for address in ('', '192.168.1.3', '127.0.0.1'):
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try: taken.bind((address, int(sys.argv[2]))); taken.listen()
    except OSError: continue
    raise SystemExit('has the port of the server at ' + address)\n{}",
        sound("client.py")
    );
    // Where no server is, and where the port is no number, there is nothing to take.
    let attack = Attack::by(&sound("server.py"), &client, PROFILE);
    attack.checked("C1,C5,S3", &[]).ends_with(0).says("3 of 3 pass");
}

#[apply(test)]
fn a_full_disk_is_named_and_only_the_programs_own_is_full() {
    for place in ["big", "/tmp/big", "/dev/shm/big"] {
        let attack = Attack::by_server(&format!(
            "with open('{place}', 'wb') as file:\n    for _ in range(4096): file.write(bytes(1 << 20))"
        ));
        attack
            .checked("S1", &[])
            .ends_with(1)
            .says("S1 crashed")
            .says("No space left on device")
            .says("it may write 128 MiB to its disk");
    }
}

#[apply(test)]
fn memory_without_end_is_named_also_where_the_program_says_nothing() {
    common::needs(&["cc"]);
    let profile = "build = \"cc -o server server.c\"\nserver = \"./server {port}\"\n\
                   client = \"python3 client.py {host} {port}\"\n";
    let attack = Attack::by("", &sound("client.py"), profile);
    let code = "#include <stdlib.h>\n#include <string.h>\n\
                int main(void) { for (;;) memset(malloc(1 << 20), 1, 1 << 20); }\n";
    fs::write(attack.dir.file("server.c"), code).expect("written");
    attack
        .checked("S1", &["--memory", "200"])
        .ends_with(1)
        .says("the server was ended by SIGSEGV; it used")
        .says("of memory, and 200 MiB is the limit");
}

#[apply(test)]
fn a_link_to_a_file_of_the_kernel_stays_a_link() {
    let attack = Attack::by_server("");
    symlink("/proc/self/pagemap", attack.dir.file("data.bin")).expect("linked");
    attack.checked("S1,S5", &[]).ends_with(0).says("2 of 2 pass");
    // Nor is it read where commands are guessed.
    fs::remove_file(attack.dir.file("echolog.toml")).expect("removed");
    for name in ["server.c", "Makefile", "Cargo.toml", "package.json"] {
        symlink("/proc/self/pagemap", attack.dir.file(name)).expect("linked");
    }
    attack.checked("S1,S5", &[]).ends_with(0).says("2 of 2 pass");
}

#[apply(test)]
fn a_pipe_for_a_configuration_is_named_and_not_waited_for() {
    let attack = Attack::by_server("");
    let profile = attack.dir.file("echolog.toml");
    fs::remove_file(&profile).expect("removed");
    nix::unistd::mkfifo(&profile, nix::sys::stat::Mode::S_IRWXU).expect("made");
    let checked = attack.checked("S1", &[]);
    assert_eq!(checked.code(), Some(2), "{checked}");
    checked.says("nothing could be run: cannot read").says("echolog.toml: it is not a file");
}

#[apply(test)]
fn directories_without_end_are_named() {
    let attack = Attack::by_server("");
    let deep: PathBuf = iter::repeat_n("d", 1900).collect();
    fs::create_dir_all(attack.dir.file("d").join(deep)).expect("made");
    let checked = attack.checked("S1", &[]);
    assert_eq!(checked.code(), Some(2), "{checked}");
    checked.says("nothing could be run: cannot copy").says("64 directories inside one another are the limit");
}

#[apply(test)]
fn a_build_is_isolated_too() {
    let attack = Attack::by_server("");
    let mark = format!("echolog-built-{}", std::process::id());
    let home = std::env::var("HOME").expect("a home directory");
    let build = format!(
        "touch built $HOME/{mark} /tmp/{mark} && ! touch {home}/{mark} {}/{mark} 2>/dev/null && \
         test -z \\\"$SECRET\\\" && test \\\"$(ls -d /proc/[0-9]* | wc -l)\\\" -lt 8 && \
         (setsid sleep 4244 >/dev/null 2>&1 &) && ! python3 -c 'import socket; \
         socket.create_connection((\\\"1.1.1.1\\\", 53))' 2>/dev/null",
        attack.dir.path()
    );
    let server = format!("open('built')\n{}", sound("server.py"));
    fs::write(attack.dir.file("server.py"), server).expect("written");
    fs::write(attack.dir.file("echolog.toml"), format!("build = \"{build}\"\n{PROFILE}")).expect("written");
    attack.checked("S1,S5", &[]).ends_with(0).says("2 of 2 pass");
    for place in [&home, "/tmp", attack.dir.path()] {
        assert!(!Path::new(place).join(&mark).exists(), "{place} was written to");
    }
    assert!(!attack.dir.file("built").exists());
}

#[apply(test)]
fn a_build_that_fills_the_disk_is_ended() {
    let attack = Attack::by_server("");
    // Each file is below the limit of a file.
    let build = "python3 -c \\\"import os, signal\nfor name in ('a', 'b', 'c'):\n    \
                 with open(name, 'wb') as file: os.posix_fallocate(file.fileno(), 0, 600 << 20)\n\
                 signal.pause()\\\"";
    let build = build.replace('\n', "\\n");
    fs::write(attack.dir.file("echolog.toml"), format!("build = \"{build}\"\n{PROFILE}")).expect("written");
    attack.checked("S1", &[]).ends_with(2).says(
        "while it was built its directory held more than 1024 MiB, or 100000 files, and that is the limit",
    );
}

#[apply(test)]
fn what_one_program_changes_in_its_directory_no_other_sees() {
    let code = "import os, shutil
if os.path.exists('been-here') or not os.path.exists('kept/file'): raise SystemExit('not as it was')
open('been-here', 'w').close()
shutil.rmtree('kept')
os.mkdir('kept')
if os.listdir('kept'): raise SystemExit('it is not empty')
open('server.py', 'a').close()
os.rename('client.py', 'other.py')
os.remove('echolog.toml')\n";
    let attack = Attack::by_server(code);
    fs::create_dir(attack.dir.file("kept")).expect("made");
    fs::write(attack.dir.file("kept/file"), "text").expect("written");
    attack.checked("S1,S5,R1,R12", &[]).ends_with(0).says("4 of 4 pass");
}
