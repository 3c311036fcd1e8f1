//! The ports that are built into a program.

use super::sources::{Source, pattern};

/// The ports that stand in `source` as numbers, above those that only the superuser can listen on.
pub fn ports(source: &Source) -> Vec<u16> {
    const NAMED: &str =
        r#"(?i)([\w$]*port\w*)["']?\s*(?::\s*\w+\s*)?(?:=>|:=|=|:|\s|\{|\()\s*["']?(\d{4,5})\b"#;
    const CALLS: &str = r"(?:\bbind|\blisten|ServerSocket|TcpListener|TCPServer|tcp_server|create_server|start_server|create_listen|\bconnect|create_connection|open_connection|\bSocket|TcpClient|TCPSocket|createConnection|fsockopen|\.Connect|htons|\bnc|/dev/tcp/|(?:[sS]erver|[cC]lient)\w*(?:\.new)?\s*\()[^;\n]*";
    const ALONE: &str = r"(?:^|[^\d.\w])(\d{4,5})(?:[^\d.\w]|$)";
    const AFTER_A_COLON: &str = r#":(\d{4,5})["'`]"#;
    let mut found: Vec<String> = Vec::new();
    for name in pattern(NAMED).captures_iter(&source.text) {
        let is_limit = pattern(r"(?i)min|max|low|high|first|last").is_match(&name[1]);
        found.extend((!is_limit).then(|| name[2].to_owned()));
    }
    let alone = pattern(ALONE);
    for call in pattern(CALLS).find_iter(&source.text) {
        found.extend(alone.captures_iter(call.as_str()).map(|number| number[1].to_owned()));
    }
    found.extend(pattern(AFTER_A_COLON).captures_iter(&source.text).map(|number| number[1].to_owned()));
    // Limits that a port is compared with, and sizes of buffers.
    let no_ports = [2048, 4096, 8192, 65535];
    let mut ports: Vec<u16> = found.iter().filter_map(|number| number.parse().ok()).collect();
    ports.retain(|port| *port > 1024 && !no_ports.contains(port));
    ports.sort_unstable();
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[apply(test)]
    fn ports_are_told_from_sizes_and_limits() {
        for (text, found) in [
            ("s.connect(('here', 5000), 4096)\n", &[5000][..]),
            ("port = 1024\nserver_port = 80\n", &[]),
            ("MAX_PORT = 65000\nport = 6543\nPORT = 6543\n", &[6543]),
            ("dial('127.0.0.1:7000')\nyear = 2026\n", &[7000]),
        ] {
            let source = Source::new(Path::new("a.py"), text.as_bytes()).unwrap();
            assert_eq!(ports(&source), found, "{text}");
        }
    }
}
