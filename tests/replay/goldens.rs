//! Every kind of change to a golden makes a replay fail, and says what has changed.

use super::{Fixtures, Replay, Told as _};

const GOLDENS: [&str; 2] = ["sample-session/server.golden", "sample-session/client.golden"];

/// Replays the sample session with `golden` changed to `lines`; it must fail, by that golden alone.
#[track_caller]
fn is_noticed(golden: &str, lines: &[String], changed: &str) {
    let fixtures = Fixtures::with("sample-session");
    fixtures.write(golden, lines.concat().as_bytes());
    let ended = Replay::of(&[fixtures.path(), "--drive", "script", "--wire", "direct"]).run();
    let who = if golden.contains("server") { "server" } else { "client" };
    let other = if who == "server" { "client" } else { "server" };
    ended
        .ends_with(1)
        .says("FAIL sample-session::script::direct")
        .says(&format!("the {who}'s screen is not its golden:"))
        .says(changed)
        .is_silent_about(&format!("the {other}'s screen"))
        .says("0 passed, 1 failed");
}

/// Calls `change` with each golden's lines and each line's index.
fn for_each_line(mut change: impl FnMut(&str, Vec<String>, usize)) {
    let fixtures = Fixtures::with("sample-session");
    for golden in GOLDENS {
        let lines: Vec<String> = fixtures.read(golden).split_inclusive('\n').map(str::to_owned).collect();
        for index in 0..lines.len() {
            change(golden, lines.clone(), index);
        }
    }
}

/// A line as a diff shows it, without what a placeholder stands for.
fn shown(line: &str) -> &str {
    line.split('[').next().expect("there is a first").trim_end()
}

#[apply(test)]
fn a_dropped_line_is_noticed() {
    for_each_line(|golden, mut lines, index| {
        let dropped = lines.remove(index);
        is_noticed(golden, &lines, &format!("+{}", shown(&dropped)));
    });
}

#[apply(test)]
fn an_added_line_is_noticed() {
    for_each_line(|golden, mut lines, index| {
        lines.insert(index, "one more\n".to_owned());
        is_noticed(golden, &lines, "-one more");
    });
}

#[apply(test)]
fn a_changed_line_is_noticed() {
    for_each_line(|golden, mut lines, index| {
        let before = lines[index].clone();
        lines[index] = format!("x{before}");
        is_noticed(golden, &lines, &format!("-x{}", shown(&before)));
        // A blank at the end cannot be seen, and is a change all the same.
        lines[index] = before.replace('\n', " \n");
        is_noticed(golden, &lines, &format!("-{}", shown(&before)));
    });
}

#[apply(test)]
fn two_swapped_lines_are_noticed() {
    for_each_line(|golden, mut lines, index| {
        if index + 1 < lines.len() {
            lines.swap(index, index + 1);
            is_noticed(golden, &lines, "@@");
        }
    });
}

#[apply(test)]
fn a_missing_line_end_is_noticed() {
    for golden in GOLDENS {
        let fixtures = Fixtures::with("sample-session");
        let text = fixtures.read(golden);
        is_noticed(golden, &[text.trim_end().to_owned()], "\\ no line end");
    }
}

#[apply(test)]
fn a_placeholder_with_a_value_in_its_place_is_noticed() {
    let fixtures = Fixtures::with("sample-session");
    let golden = GOLDENS[0];
    let text = fixtures.read(golden);
    for (placeholder, value) in [
        // Never the port of a session; no address of this machine (RFC 5737).
        ("[PORT]", "9999"),
        ("[SERVER_ADDRESS]", "192.0.2.77"),
        ("[CLIENT_ADDRESS]", "192.0.2.77"),
        ("[CLIENT_ADDRESS]", "[PORT]"),
    ] {
        assert!(text.contains(placeholder), "{placeholder}");
        is_noticed(golden, &[text.replace(placeholder, value)], "-server");
    }
}

#[apply(test)]
fn a_changed_message_is_noticed_on_both_screens() {
    let fixtures = Fixtures::with("sample-session");
    let messages = fixtures.read("sample-session/messages.txt").replace("second", "2nd");
    fixtures.write("sample-session/messages.txt", messages.as_bytes());
    Replay::of(&[fixtures.path(), "--drive", "script", "--wire", "direct"])
        .run()
        .ends_with(1)
        .says("the server's screen is not its golden:")
        .says("the client's screen is not its golden:")
        .says("+server received message: \"This is my 2nd message\"");
}
