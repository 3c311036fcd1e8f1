//! A guess, and the `echolog.toml` that is made of it.

/// What is guessed of a submission: the entries of its `echolog.toml`, and what may be wrong with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guess {
    /// A shell command that builds both.
    pub build: Option<String>,
    /// How the server is called; none if that cannot be told.
    pub server: Option<String>,
    /// How the client is called; none if that cannot be told.
    pub client: Option<String>,
    /// What to type first at the server.
    pub server_answers: Vec<String>,
    /// What to type first at the client.
    pub client_answers: Vec<String>,
    /// The port that is built in.
    pub port: Option<u16>,
    /// Why something is left open, or may be wrong: a sentence each.
    pub doubts: Vec<String>,
}

impl Guess {
    /// Which of the two programs have no command.
    pub fn missing(&self) -> Vec<&'static str> {
        let programs = [("server", &self.server), ("client", &self.client)];
        programs.into_iter().filter(|(_, command)| command.is_none()).map(|(name, _)| name).collect()
    }

    /// The text of an `echolog.toml`, with comments for whoever completes it.
    pub fn draft(&self) -> String {
        // A string is written alike in JSON and in TOML.
        let toml = |text: &str| serde_json::Value::from(text).to_string();
        let mut text = String::from("# How echolog check is to build and call this submission.\n");
        if !self.doubts.is_empty() {
            text += "#\n# Look at these points:\n";
            for doubt in &self.doubts {
                text += &format!("# - {}\n", doubt.replace('\n', " "));
            }
        }
        text += "\n# A shell command, run once in a copy of this directory.\n";
        match &self.build {
            Some(build) => text += &format!("build = {}\n", toml(build)),
            None => text += "# build = \"make\"\n",
        }
        text += "\n# The two programs. {host} and {port} are filled in; no shell is involved.\n";
        for (name, command, example) in
            [("server", &self.server, "./server {port}"), ("client", &self.client, "./client {host} {port}")]
        {
            match command {
                Some(command) => text += &format!("{name} = {}\n", toml(command)),
                None => {
                    text += &format!("{name} = {} # NOT FOUND: put the right command here\n", toml(example));
                }
            }
        }
        text += "\n# What to type first, for programs that ask at the keyboard, in the order in which they ask.\n";
        for (name, answers, example) in [
            ("server-answers", &self.server_answers, r#"["{port}"]"#),
            ("client-answers", &self.client_answers, r#"["{host}", "{port}"]"#),
        ] {
            if answers.is_empty() {
                text += &format!("# {name} = {example}\n");
            } else {
                let answers: Vec<String> = answers.iter().map(|answer| toml(answer)).collect();
                text += &format!("{name} = [{}]\n", answers.join(", "));
            }
        }
        text += "\n# The port, if one is built in.\n";
        match self.port {
            Some(port) => text += &format!("port = {port}\n"),
            None => text += "# port = 12345\n",
        }
        text
    }
}
