//! What a program is told, by an argument or an answer, and what to tell it.

use super::sources::pattern;

/// What an argument or an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The address of the server.
    Host,
    Port,
    /// Both in one word, with a colon between.
    Both,
    /// The name of a person.
    Name,
}

/// Which of the two programs it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Server,
    Client,
}

impl Kind {
    /// What `words` speak of: a question, a name of a variable.
    pub fn of(words: &str) -> Option<Kind> {
        let words = words.to_lowercase();
        if pattern(r"(?:host|ip|addr\w*)\s?:\s?port").is_match(&words) {
            return Some(Kind::Both);
        }
        let other = pattern(r"import|support|report|export|transport|opportun|portal|importante");
        let words = other.replace_all(&words, "").into_owned();
        if pattern(r"port|puerto|porta\b").is_match(&words) {
            // A question for both at once is answered in no known way.
            return (!pattern(r"(?:address|host|ip)\w* (?:and|&|und|et|y) (?:the )?port").is_match(&words))
                .then_some(Kind::Port);
        }
        if pattern(r"host|addr|adress|direcci|indirizz|server|srv|remote|machine|computer|(?:^|[^a-z])ip(?:[^a-z]|$)|ip(?:v4|str|$)|^ip|[a-z]ip\b")
            .is_match(&words)
        {
            return Some(Kind::Host);
        }
        pattern(r"name|nick|user|alias|login").is_match(&words).then_some(Kind::Name)
    }

    /// What to write for it in the configuration of a `role`.
    pub fn text(self, role: Role) -> &'static str {
        match (self, role) {
            // What a server is told is where it listens: everywhere.
            (Kind::Host, Role::Server) => "0.0.0.0",
            (Kind::Both, Role::Server) => "0.0.0.0:{port}",
            (Kind::Host, Role::Client) => "{host}",
            (Kind::Both, Role::Client) => "{host}:{port}",
            (Kind::Port, _) => "{port}",
            (Kind::Name, _) => "ada",
        }
    }
}
