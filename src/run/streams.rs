//! Where a program's three standard streams go.

/// Where a program's standard input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Its terminal.
    Terminal,
    /// A pipe.
    Pipe,
    /// `/dev/null`.
    Nothing,
}

/// Where a program's standard output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To its terminal.
    Terminal,
    /// Into a pipe.
    Pipe,
}

/// Where a program's standard error goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errors {
    /// Into a pipe of its own.
    Apart,
    /// To its terminal, among its output.
    Terminal,
}

/// Where a program's three streams go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Standard input.
    pub input: Input,
    /// Standard output.
    pub output: Output,
    /// Standard error.
    pub errors: Errors,
}

impl Streams {
    /// All three at the terminal, as a person has it.
    pub const TERMINAL: Streams =
        Streams { input: Input::Terminal, output: Output::Terminal, errors: Errors::Terminal };
}
