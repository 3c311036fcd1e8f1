//! What a machine must be able to do before anything is judged on it: what it lacks is named, with exit status
//! 2, and no submission is blamed for it.

use std::process::Command;

use super::hostile::needs_isolation;
use super::{Checked, Dir, corpus};
use crate::common::{self, ECHOLOG};

/// A check of one row of a sound pair, by a shell that runs `script` first.
#[track_caller]
fn check_after(script: &str, args: &str) -> Checked {
    let pair = corpus("sound-newline");
    let script = format!("{script} exec {ECHOLOG} check {pair} --only S1 {args}");
    Checked::run(Command::new("sh").args(["-ec", &script]))
}

/// The same in namespaces of `unshare`'s making, as the superuser there.
#[track_caller]
fn check_in(namespaces: &str, script: &str, args: &str) -> Checked {
    common::needs(&["root", "unshare", "mount"]);
    let pair = corpus("sound-newline");
    let script = format!("{script} exec {ECHOLOG} check {pair} --only S1 {args}");
    Checked::run(Command::new("unshare").args(namespaces.split(' ')).args(["sh", "-ec", &script]))
}

#[apply(test)]
fn too_few_open_files_are_named_with_what_is_needed() {
    check_after("ulimit -n 100;", "").complains(
        "error: a check needs 224 open files, and 100 are the limit\nhint: raise the limit (ulimit -Hn)\n",
    );
    let both = corpus("sound-keyboard");
    check_after("ulimit -n 300;", &format!("{both} --jobs 2")).complains(
        "error: a check needs 384 open files, and 300 are the limit\n\
         hint: --jobs 1, or a higher limit (ulimit -Hn)\n",
    );
    common::needs(&["python3"]);
    check_after("ulimit -n 230;", &both).ends_with(0).says("2 of 2 pass");
}

#[apply(test)]
fn a_place_for_temporary_files_that_is_not_there_is_named() {
    let checked = check_after("export TMPDIR=/nowhere;", "");
    checked.complains(
        "error: there is no place for copies: cannot make a temporary directory in /nowhere: \
         No such file or directory\nhint: name another directory in TMPDIR\n",
    );
}

#[apply(test)]
fn a_place_where_nothing_can_be_written_or_executed_is_named() {
    let place = Dir::with(&[]);
    let path = place.path();
    let mount = |option: &str| format!("mount -t tmpfs -o {option} tmpfs {path}; export TMPDIR={path};");
    check_in("-m", &mount("noexec"), "").complains(&format!(
        "error: no program can be executed in {path}: it is mounted noexec\n\
         hint: name another directory in TMPDIR\n"
    ));
    check_in("-m", &mount("ro"), "").complains(&format!(
        "error: there is no place for copies: cannot make a temporary directory in {path}: \
         Read-only file system\nhint: name another directory in TMPDIR\n"
    ));
}

#[apply(test)]
fn processes_of_another_namespace_are_named() {
    check_in("-pf", "", "").complains(
        "error: /proc is that of another PID namespace\n\
         hint: mount the one of this namespace: unshare --mount-proc, or mount -t proc\n",
    );
    let checked = check_in("-m", "umount -l /proc;", "");
    checked.complains("error: a check needs /proc, which cannot be read: No such file or directory\n");
}

#[apply(test)]
fn a_machine_without_terminals_is_named() {
    let checked = check_in("-m", "mount -t tmpfs tmpfs /dev/pts;", "");
    checked.ends_with(2);
    assert!(
        checked.err.starts_with("error: there are no pseudo-terminals, which programs are run at: "),
        "{checked}"
    );
}

#[apply(test)]
fn a_machine_without_loopback_is_named_where_programs_need_it() {
    common::needs(&["python3"]);
    let checked = check_in("-n", "", "--isolation=none");
    checked.ends_with(2);
    assert!(
        checked.err.starts_with("error: there is no loopback network, over which programs talk: "),
        "{checked}"
    );
    // Isolated computers have networks of their own.
    check_in("-n", "", "").ends_with(0).says("1 of 1 pass");
}

#[apply(test)]
fn too_few_processes_are_an_error_of_the_run_and_not_a_verdict() {
    common::needs(&["root", "setpriv", "prlimit"]);
    // A user who has no other process, and may have few; the checkout may be out of their reach.
    let user = 2_000_000 + std::process::id();
    let place = Dir::with(&[]);
    common::tools::copy_program(ECHOLOG, place.file("echolog"));
    let script = format!(
        "chmod 777 {0}; export TMPDIR={0}; exec prlimit --nproc=3 \
         setpriv --reuid {user} --regid {user} --clear-groups {0}/echolog check --only S1",
        place.path()
    );
    let checked = Checked::run(Command::new("sh").args(["-ec", &script]));
    checked.ends_with(2);
    assert!(checked.out.is_empty(), "{checked}");
    assert!(checked.err.contains("Resource temporarily unavailable"), "{checked}");
}

/// The same where the kernel gives no namespaces, as in many containers.
#[track_caller]
fn check_without_namespaces(args: &str) -> Checked {
    needs_isolation();
    check_in("-Ur", "echo 0 > /proc/sys/user/max_user_namespaces;", args)
}

const NONE: &str = "the kernel gives no namespaces: user.max_user_namespaces allows no more of them\n";

#[apply(test)]
fn without_namespaces_one_line_says_so_and_programs_are_judged_all_the_same() {
    common::needs(&["python3"]);
    let note = format!("note: the programs run on this computer and not on two of their own: {NONE}");
    let checked = check_without_namespaces("--format json");
    checked.assert().code(0).stderr(note);
    let results = checked.json();
    assert_eq!(results["isolation"], "none");
    assert_eq!(results["submissions"][0]["findings"][0]["outcome"], "pass", "{checked}");
    check_without_namespaces("--isolation=none").ends_with(0).says("1 of 1 pass");
}

#[apply(test)]
fn isolation_that_is_required_and_not_to_be_had_is_an_error() {
    check_without_namespaces("--isolation=required").complains(&format!(
        "error: the programs cannot be isolated: {NONE}hint: --isolation=auto judges what can be judged without\n"
    ));
}
