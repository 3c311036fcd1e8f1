//! Options, and values of options, that several commands take.

use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum as _};

use crate::error::note;
use crate::run::isolation::{Decision, Isolation};

// What is typed at programs that ask before anything else. (A doc comment would become that of the command.)
#[derive(Debug, Default, Args)]
pub struct AnswerArgs {
    /// A line to type first at a server that asks; {port} is filled in; may be given several times
    #[arg(long, value_name = "LINE", allow_hyphen_values = true)]
    pub server_answer: Vec<String>,

    /// A line to type first at a client that asks; {host} and {port} are filled in; may be given
    /// several times
    #[arg(long, value_name = "LINE", allow_hyphen_values = true)]
    pub client_answer: Vec<String>,
}

// Where the programs run. (A doc comment would become that of the command.)
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct IsolationArg {
    /// Run server and client on two computers, apart from this one and from each other: auto does so
    /// where this machine can
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto")]
    pub isolation: Isolation,
}

impl IsolationArg {
    /// What it takes to ask for the same again, if it is not what is done anyway.
    pub fn again(self) -> Option<String> {
        let value = self.isolation.to_possible_value().filter(|_| self.isolation != Isolation::default());
        value.as_ref().map(PossibleValue::get_name).map(str::to_owned)
    }
}

/// Says why the programs are not isolated, where that was not asked for.
pub fn tell(decision: &Decision) {
    if let Some(why) = &decision.why_not {
        note(&format!("the programs run on this computer and not on two of their own: {why}"));
    }
}

/// A number of bytes, with or without one of the suffixes K, M and G.
pub fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().next_back() {
        Some((at, 'K' | 'k')) => (&text[..at], 1 << 10),
        Some((at, 'M' | 'm')) => (&text[..at], 1 << 20),
        Some((at, 'G' | 'g')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|_| "a number of bytes, like 4096, 64K or 1M, is needed")?;
    number.checked_mul(unit).ok_or_else(|| "the number is too large".to_owned())
}

/// The longest message: 4 bytes to 1 GiB.
pub fn message_size(text: &str) -> Result<usize, String> {
    match size(text)? {
        0..4 => Err("a message needs space for the 4 bytes of quit".into()),
        bytes => usize::try_from(bytes)
            .ok()
            .filter(|&bytes| bytes <= 1 << 30)
            .ok_or_else(|| "a message has at most 1G bytes".into()),
    }
}

/// A time in seconds, with or without a fraction, of at most a year.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "a number of seconds is needed")?;
    Duration::try_from_secs_f64(number)
        .ok()
        .filter(|&time| time <= Duration::from_secs(365 * 24 * 60 * 60))
        .ok_or_else(|| "a number of seconds between 0 and a year is needed".into())
}

/// A time in whole milliseconds.
pub fn milliseconds(text: &str) -> Result<Duration, String> {
    let number: u64 = text.parse().map_err(|_| "a whole number of milliseconds is needed")?;
    Ok(Duration::from_millis(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn sizes_have_units_of_1024() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("64K"), Ok(65_536));
        assert_eq!(size("1m"), Ok(1_048_576));
        assert_eq!(size("2G"), Ok(2_147_483_648));
        for wrong in ["", "K", "-1", "1.5M", "1KB", "1é", "99999999999G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[apply(test)]
    fn times_are_neither_negative_nor_endless() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["-1", "inf", "NaN", "1e300", "soon"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
