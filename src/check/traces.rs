//! Uncaught errors on a screen, in every language alike.
//!
//! A runtime that ends a program because of an error says so in words that no program writes itself. Each entry
//! of the table is one such way; its names are tried in order, and the first that matches is the line that says
//! what the error was.

use regex_lite::Regex;

use super::facts::without_escapes;
use crate::escape;

/// How one runtime reports an error that nobody caught.
struct Report {
    /// What it writes in that case only.
    sign: &'static str,
    /// Where it names the error, in the first group; the line of the sign if none matches.
    names: &'static [&'static str],
    /// Whether the last match counts, of errors that led to one another.
    is_last: bool,
}

const fn report(sign: &'static str, names: &'static [&'static str]) -> Report {
    Report { sign, names, is_last: false }
}

const REPORTS: [Report; 12] = [
    // Python, and Ruby before 3.0 at a terminal: the error stands behind the calls.
    Report {
        sign: r"Traceback \(most recent call last\)",
        names: &[r"(?m)Traceback \(most recent call last\)[^\n]*\n(?:[ \t][^\n]*\n|[ \t]*\n)*([^\s][^\n]*)"],
        is_last: true,
    },
    report(r"(?m)^(?:SyntaxError|IndentationError|TabError): ", &[r"(?m)^(\w+Error: [^\n]*)"]),
    // Node shows the source first, with a mark below the place.
    report(
        r"(?m)^Node\.js v\d|throw er; // Unhandled|triggerUncaughtException\(|UnhandledPromiseRejection",
        &[
            r"(The promise rejected with the reason [^\n]*?)\.?\]?(?: \{)?\n",
            r"UnhandledPromiseRejectionWarning: ([^\n]*)",
            r"(?m)^[ \t]*\^+[ \t]*\n\s*([^\n]+)",
            r"(?m)^(?:Uncaught )?(\w*(?:Error|Exception)\b[^\n]*)",
        ],
    ),
    report(r#"Exception in thread ""#, &[r#"(Exception in thread "[^\n]*)"#]),
    report(r"(?m)^goroutine \d+ \[|^panic: ", &[r"((?:panic|fatal error): [^\n]*)"]),
    // Rust before 1.73 wrote the message on the same line.
    report(
        r"thread '[^'\n]*'(?: \(\d+\))? panicked at ",
        &[
            r"thread '[^'\n]*'(?: \(\d+\))? panicked at [^'\n]*:\d+:\d+:\n([^\n]+)",
            r"(thread '[^'\n]*' panicked at [^\n]*)",
        ],
    ),
    report(
        r"terminated with exception \(report_on_exception|(?m)[^\s:]+:\d+:in [`'][^\n]*': [^\n]*\([A-Z]\w*(?:::\w+)*\)$",
        &[r"([^\s:]+:\d+:in [`'][^\n]*': [^\n]*)"],
    ),
    report(
        r"(?m)PHP (?:Fatal|Parse) error: |Fatal error: +Uncaught |(?:Fatal|Parse) error: [^\n]* on line \d+$",
        &[r"((?:Fatal|Parse) error: [^\n]*)"],
    ),
    // Mono and .NET, the one below and the other behind the sign.
    report(r"Unhandled [eE]xception[.:]\s", &[r"Unhandled [eE]xception[.:]\s+([^\n]+)"]),
    report(
        r"terminate called |libc\+\+abi: terminating",
        &[
            r"(terminate called after throwing[^\n]*\n +what\(\): [^\n]*)",
            r"((?:terminate called|libc\+\+abi: terminating)[^\n]*)",
        ],
    ),
    // The C library, the kernel by way of a shell, and the sanitizers.
    report(
        r"\*\*\* (?:stack smashing|buffer overflow) detected \*\*\*|double free or corruption|free\(\): |malloc\(\): |malloc_consolidate\(\): |realloc\(\): |munmap_chunk\(\): |corrupted (?:size vs|double-linked)|: Assertion `[^\n]*' failed\.|==ERROR: AddressSanitizer: |Segmentation fault(?: \(core dumped\))?",
        &[
            r"(\*\*\* [^\n]* detected \*\*\*[^\n]*)",
            r"([^\n]*: Assertion `[^\n]*' failed\.)",
            r"==ERROR: (AddressSanitizer: [^\n]*)",
            r"((?:double free or|free\(\): |malloc\(\): |malloc_consolidate\(\): |realloc\(\): |munmap_chunk\(\): |corrupted )[^\n]*)",
            r"(Segmentation fault)",
        ],
    ),
    // Perl dies with the place behind the message, as the last that it says; its warnings look the same.
    report(
        r"[^\n]* at \S+ line \d+(?:, <\w+> (?:line|chunk) \d+)?\.\s*\z",
        &[r"([^\n]* at \S+ line \d+(?:, <\w+> (?:line|chunk) \d+)?\.)\s*\z"],
    ),
];

/// What a warning of Perl begins with, unlike an error.
const PERL_WARNINGS: &str = r"^(?:Use of |Argument |Wide character |\w+\(\) on |Useless |Odd number |Deep recursion |Name \S+ used only once|Possible |Scalar value |Subroutine )";
/// Lines of a list of calls, as a caught and printed error leaves it.
const CALLS: [&str; 8] = [
    // Java and .NET
    r"(?m)^[ \t]+at [\w.$`<>+/\[\]]+\([^\n]*\)[ \t]*$",
    r"(?m)^[ \t]+at [^\n]+\) in \S+:(?:line )?\d+[ \t]*$",
    // Mono
    r"(?m)^[ \t]+at [^\n]+\) \[0x[0-9a-f]+\] in ",
    // Node
    r"(?m)^[ \t]+at [^\n]*:\d+:\d+\)?(?: \{)?[ \t]*$",
    // Ruby
    r"(?m)^[ \t]+(?:\d+: )?from \S+:\d+:in ",
    // PHP
    r"(?m)^#\d+ (?:\{main\}|[^\n]*\(\d+\): )",
    // Go
    r"(?m)^goroutine \d+ \[",
    // Python
    r#"(?m)^[ \t]+File "[^"\n]*", line \d+"#,
];

/// What a program that does not catch its errors leaves on the screen: the line that names the error.
pub fn stack_trace(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&without_escapes(text)).into_owned();
    let line = REPORTS.iter().find_map(|report| report.named_in(&text))?;
    let line = line.split('\n').map(str::trim).collect::<Vec<_>>().join("; ");
    Some(escape::show(line.as_bytes()))
}

/// Whether there is a list of calls in `text`, as a caught and printed error leaves it.
pub fn is_traced(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&without_escapes(text)).into_owned();
    CALLS.iter().any(|call| pattern(call).is_match(&text))
}

impl Report {
    /// The name of the error in `text`, if this runtime reports one there.
    fn named_in(&self, text: &str) -> Option<String> {
        let sign = pattern(self.sign).find(text)?;
        let named = |name: &&str| {
            let name = pattern(name);
            let mut all = name.captures_iter(text).filter_map(|found| found.get(1));
            let found = if self.is_last { all.last() } else { all.next() };
            found.map(|found| found.as_str().trim_end().to_owned())
        };
        let line = self.names.iter().find_map(named).unwrap_or_else(|| sign.as_str().trim().to_owned());
        if pattern(PERL_WARNINGS).is_match(&line) {
            return None;
        }
        // What led to it says more than what it was wrapped in.
        let causes = pattern(r"(?m)^Caused by: ([^\n]*)");
        let cause = causes.captures_iter(text).last().map(|cause| format!("; caused by {}", &cause[1]));
        Some(line + &cause.unwrap_or_default())
    }
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the patterns of the table compile, which a test shows")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the runtime of a language wrote, and the line that must be taken out of it. Each was recorded at a
    /// terminal from the language itself, but for .NET and Ruby 3.4, which were written after their documentation.
    macro_rules! recorded {
        ($($name:literal => $line:literal,)*) => {
            [$(($name, include_bytes!(concat!("../../tests/uncaught/", $name, ".txt")).as_slice(), $line)),*]
        };
    }

    #[apply(test)]
    fn an_uncaught_error_of_every_language_is_named() {
        for (name, screen, line) in recorded! {
            "python" => "ValueError: invalid literal for int() with base 10: 'x'",
            "python-thread" => "ConnectionResetError: [Errno 104] Connection reset by peer",
            "python-chained" => "RuntimeError: no port",
            "python-syntax" => "SyntaxError: '(' was never closed",
            "node" => "TypeError: Cannot read properties of undefined (reading 'length')",
            "node-error-event" => "Error: listen EADDRINUSE: address already in use 127.0.0.1:7654",
            "node-rejection" => "Error: connect ECONNREFUSED 127.0.0.1:1",
            "node-rejected-string" => "The promise rejected with the reason \"no port\"",
            "node-string" => "no port",
            "node-syntax" => "SyntaxError: Unexpected token ';'",
            "java" => "Exception in thread \"main\" java.net.BindException: Address already in use",
            "java-caused-by" => "Exception in thread \"Thread-0\" java.lang.IllegalStateException: no port; \
                caused by java.lang.NumberFormatException: For input string: \"abc\"",
            "go" => "panic: dial tcp 127.0.0.1:1: connect: connection refused",
            "go-goroutine" => "panic: assignment to entry in nil map",
            "go-deadlock" => "fatal error: all goroutines are asleep - deadlock!",
            "rust" => "called `Result::unwrap()` on an `Err` value: Os { code: 111, kind: ConnectionRefused, \
                message: \"Connection refused\" }",
            "rust-thread" => "index out of bounds: the len is 0 but the index is 2",
            "ruby" => "r.rb:3:in `initialize': Connection refused - connect(2) for \"127.0.0.1\" port 1 \
                (Errno::ECONNREFUSED)",
            "ruby-3.4" => "r.rb:3:in 'TCPSocket#initialize': Connection refused - connect(2) for \"127.0.0.1\" \
                port 1 (Errno::ECONNREFUSED)",
            "ruby-thread" => "t.rb:1:in `Integer': invalid value for Integer(): \"x\" (ArgumentError)",
            "ruby-no-method" => "n.rb:2:in `<main>': undefined method `upcase' for nil:NilClass (NoMethodError)",
            "php" => "Fatal error:  Uncaught TypeError: fgets(): Argument #1 ($stream) must be of type resource, \
                bool given in /home/ada/p.php:2",
            "php-thrown" => "Fatal error:  Uncaught RuntimeException: no port in /home/ada/q.php:2",
            "mono" => "System.Net.Sockets.SocketException (0x80004005): Connection refused",
            "mono-format" => "System.FormatException: Input string was not in a correct format.",
            "dotnet" => "System.Net.Sockets.SocketException (111): Connection refused 127.0.0.1:1",
            "perl-die" => "cannot connect: Connection refused at d.pl line 3.",
            "perl-method" => "Can't call method \"recv\" on an undefined value at e.pl line 3.",
            "c++" => "terminate called after throwing an instance of 'std::invalid_argument'; what():  stoi",
            "c++-runtime-error" => "terminate called after throwing an instance of 'std::runtime_error'; \
                what():  bind failed",
            "c++-int" => "terminate called after throwing an instance of 'int'",
            "c++-thread" => "terminate called without an active exception",
            "c-stack-smashing" => "*** stack smashing detected ***: terminated",
            "c-buffer-overflow" => "*** buffer overflow detected ***: terminated",
            "c-double-free" => "free(): double free detected in tcache 2",
            "c-invalid-pointer" => "free(): invalid pointer",
            "c-assertion" => "g: g.c:8: main: Assertion `argc == 0' failed.",
        } {
            assert_eq!(stack_trace(screen).as_deref(), Some(line), "{name}");
            let at_a_terminal = String::from_utf8_lossy(screen).replace('\n', "\r\n");
            let behind = format!("listening on port 7000\r\nmessage: {at_a_terminal}");
            let whole = stack_trace(behind.as_bytes());
            // A file with an error of syntax shows nothing else.
            assert!(name.ends_with("syntax") || whole.is_some_and(|whole| whole.contains(line)), "{name}");
        }
    }

    #[apply(test)]
    fn older_versions_and_cut_off_screens_are_known_too() {
        for (screen, line) in [
            (
                "thread 'main' panicked at 'no port', src/main.rs:3:5\n",
                "thread 'main' panicked at 'no port', src/main.rs:3:5",
            ),
            ("thread 'main' panicked at src/main.rs:3:5:\nno port\nnote: run with", "no port"),
            ("(node:7) UnhandledPromiseRejectionWarning: Error: no port\n    at main\n", "Error: no port"),
            (
                "Traceback (most recent call last):\n\t1: from r.rb:5:in `<main>'\nr.rb:3:in `new': no (Errno::EPIPE)\n",
                "r.rb:3:in `new': no (Errno::EPIPE)",
            ),
            ("Traceback (most recent call last):\n", "Traceback (most recent call last)"),
            ("goroutine 7 [running]:\nmain.main()\n", "goroutine 7 ["),
            ("died at ./client line 7, <STDIN> line 3.\n", "died at ./client line 7, <STDIN> line 3."),
        ] {
            assert_eq!(stack_trace(screen.as_bytes()).as_deref(), Some(line), "{screen}");
        }
    }

    #[apply(test)]
    fn an_error_that_a_program_tells_itself_is_no_uncaught_one() {
        for screen in [
            "error: the exception was caught",
            "Error: connect ECONNREFUSED 127.0.0.1:1",
            "java.net.ConnectException: Connection refused",
            "Fatal error: cannot bind to port 80",
            "2026/11/25 19:25:39 listen tcp :7000: bind: address already in use\nexit status 1\n",
            "Don't panic: the server is gone",
            "server: bind: Address already in use (line 7)",
            "Use of uninitialized value $p in concatenation (.) or string at w.pl line 2.\n",
            "careful at w.pl line 2.\nno server there\n",
            "meet me at noon",
            "the thread panicked at the disco",
            "it was in thread 7: free() is called",
            "ValueError was raised",
        ] {
            assert_eq!(stack_trace(screen.as_bytes()), None, "{screen}");
        }
        let warned = include_bytes!("../../tests/uncaught/perl-warnings.txt");
        assert_eq!(stack_trace(warned), None);
    }

    #[apply(test)]
    fn a_caught_error_that_is_printed_with_its_calls_is_told_from_words() {
        for (name, screen, _) in recorded! {
            "caught-java" => "", "caught-node" => "", "caught-mono" => "", "caught-php" => "", "caught-ruby" => "",
            "dotnet" => "", "python" => "", "go" => "",
        } {
            assert!(is_traced(screen), "{name}");
        }
        for screen in [
            "  at home (yes)",
            "server: cannot bind: Address already in use",
            "\t1. at least: one",
            "#1 first",
        ] {
            assert!(!is_traced(screen.as_bytes()), "{screen}");
        }
    }

    #[apply(test)]
    fn the_patterns_compile() {
        let reports =
            REPORTS.iter().flat_map(|report| [report.sign].into_iter().chain(report.names.iter().copied()));
        for text in reports.chain(CALLS).chain([PERL_WARNINGS]) {
            assert!(Regex::new(text).is_ok(), "{text}");
        }
    }
}
