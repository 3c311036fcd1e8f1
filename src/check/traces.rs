//! Uncaught errors on a screen.

use super::facts::without_escapes;
use crate::escape;

/// What a program that does not catch its errors leaves on the screen: the line that says so.
pub fn stack_trace(text: &[u8]) -> Option<String> {
    const SIGNS: [&str; 9] = [
        "Traceback (most recent call last)",
        "Exception in thread \"",
        "' panicked at ",
        "goroutine 1 [",
        "Unhandled exception",
        "UnhandledPromiseRejection",
        "throw er; // Unhandled",
        "terminate called after throwing",
        "*** stack smashing detected",
    ];
    let text = String::from_utf8_lossy(&without_escapes(text)).into_owned();
    if !SIGNS.iter().any(|sign| text.contains(sign)) {
        return None;
    }
    // Python says last what it was, the others first.
    let lines = || text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let line = match text.find(SIGNS[0]) {
        Some(at) => text[at..]
            .lines()
            .skip(1)
            .find(|line| !line.is_empty() && !line.starts_with(char::is_whitespace))
            .map(str::trim_end),
        None => lines().find(|line| SIGNS.iter().any(|sign| line.contains(sign))),
    };
    Some(escape::show(line.unwrap_or("a stack trace").as_bytes()))
}

/// Whether there is a list of calls in `text`, as a caught and printed exception leaves it: lines that
/// begin with blanks and `at`, and name a place in parentheses.
pub fn is_traced(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&without_escapes(text)).into_owned();
    text.lines().any(|line| {
        let call = line.trim_start();
        line.len() > call.len()
            && call.starts_with("at ")
            && call.trim_end().ends_with(')')
            && call.contains(':')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_what_went_wrong_is_taken_out_of_a_stack_trace() {
        let python = b"Traceback (most recent call last):\r\n  File \"x\", line 1\r\n    f()\r\nOSError: [Errno 98] in use\r\n";
        assert_eq!(stack_trace(python).as_deref(), Some("OSError: [Errno 98] in use"));
        let java = b"Exception in thread \"main\" java.net.BindException: in use\n\tat Server.main\n";
        assert_eq!(
            stack_trace(java).as_deref(),
            Some("Exception in thread \"main\" java.net.BindException: in use")
        );
        assert_eq!(stack_trace(b"error: the exception was caught"), None);
    }
}
