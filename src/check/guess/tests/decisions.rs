//! What is decided whatever the language: arguments, questions, built-in values, and doubts.

use super::*;

#[apply(test)]
fn the_order_of_arguments_is_the_one_in_the_source() {
    for (source, call) in [
        ("port = int(sys.argv[1])\nhost = sys.argv[2]", "{port} {host}"),
        ("p = int(sys.argv[1])\nh = sys.argv[2]", "{port} {host}"),
        ("def main(argv):\n    host = argv[1]\n    port = int(argv[2])", "{host} {port}"),
        ("_, host, port = sys.argv", "{host} {port}"),
        ("port, host = sys.argv[1:3]", "{port} {host}"),
        ("s.connect((sys.argv[1], int(sys.argv[2])))", "{host} {port}"),
        ("print('Usage: client.py <port> <host>')\na = sys.argv[1]\nb = sys.argv[2]", "{port} {host}"),
        ("ap.add_argument('port', type=int)\nap.add_argument('host')", "{port} {host}"),
        (
            "ap.add_argument('-p', '--port', type=int)\nap.add_argument('--host')",
            "--port {port} --host {host}",
        ),
        ("opts, rest = getopt.getopt(sys.argv[1:], 'h:p:')", "-h {host} -p {port}"),
        ("name = sys.argv[1]\nhost = sys.argv[2]\nport = int(sys.argv[3])", "ada {host} {port}"),
    ] {
        let client = format!("import socket, sys\n{source}\ns.connect((host, port))\n");
        let guess = guessed(&[("server.py", PY_SERVER), ("client.py", &client)]);
        assert_eq!(guess.client, Some(format!("python3 client.py {call}")), "{source}: {guess:?}");
    }
}

#[apply(test)]
fn programs_that_ask_are_answered_in_the_order_in_which_they_ask() {
    for (source, answers) in [
        ("port = input('Which port? ')\nhost = input('server address: ')", &["{port}", "{host}"][..]),
        ("host = input('Where? address: '); port = int(input('Which port? '))", &["{host}", "{port}"]),
        ("host, port = input('Server: '), int(input('Port: '))", &["{host}", "{port}"]),
        ("print('a port; a host')\nhost = input('Host: ')\nport = input('? ')", &["{host}", "{port}"]),
        (
            "name = input('Your name: ')\nip = input('IP: ')\nport = int(input('Port: '))",
            &["ada", "{host}", "{port}"],
        ),
        (
            "def ask(q):\n    return input(q)\nport = ask('Port? ')\nhost = ask('Host? ')",
            &["{port}", "{host}"],
        ),
    ] {
        let client = format!(
            "import socket\n{source}\ns.connect((host, port))\nm = input('message for the server: ')\n"
        );
        let guess = guessed(&[("server.py", PY_SERVER), ("client.py", &client)]);
        assert_eq!(guess.client.as_deref(), Some("python3 client.py"), "{source}: {guess:?}");
        assert_eq!(guess.client_answers, answers, "{source}");
    }
    let keyboard = "\
import java.io.*;
import java.net.*;
class Client {
    public static void main(String[] args) throws IOException {
        BufferedReader keyboard = new BufferedReader(
            new InputStreamReader(System.in));
        System.out.print(\"Enter server IP address: \");
        String ip = keyboard.readLine();
        System.out.print(\"Enter port number: \");
        int port = Integer.parseInt(keyboard.readLine());
        Socket socket = new Socket(ip, port);
        BufferedReader in = new BufferedReader(new InputStreamReader(socket.getInputStream()));
        System.out.println(\"Connected to the server on port \" + port);
        String greeting = in.readLine();
    }
}
";
    let guess = guessed(&[("Server.java", JAVA_SERVER), ("Client.java", keyboard)]);
    assert_eq!(guess.client.as_deref(), Some("java Client"));
    assert_eq!(guess.client_answers, ["{host}", "{port}"]);
}

#[apply(test)]
fn ports_and_hosts_that_are_built_in_are_left_out_of_the_commands() {
    let server = "import socket\nPORT = 6543\ns.bind(('', PORT))\ns.listen(10)\n";
    let client = "import socket\nHOST = 'localhost'\ns.connect((HOST, 6543))\n";
    let guess = holds(
        &[("server.py", server), ("client.py", client)],
        "",
        ("python3 server.py", &[]),
        ("python3 client.py", &[]),
    );
    assert_eq!(guess.port, Some(6543));
    assert_eq!(
        guess.doubts,
        ["client: client.py takes no address: it is built in", "port 6543 is built into both programs"]
    );
    let takes_host = "import socket, sys\ns.connect((sys.argv[1], 6543))\n";
    let guess = holds(
        &[("server.py", server), ("client.py", takes_host)],
        "",
        ("python3 server.py", &[]),
        ("python3 client.py {host}", &[]),
    );
    assert_eq!(guess.port, Some(6543));
    let doubts = |server: &str, client: &str| {
        guessed(&[("server.py", server), ("client.py", client)]).doubts.join("; ")
    };
    assert!(doubts(server, PY_CLIENT).contains("port 6543 is built into the server"));
    assert!(doubts(PY_SERVER, client).contains("port 6543 is built into the client"));
    let other = "import socket\ns.connect(('localhost', 6544))\n";
    let guess = guessed(&[("server.py", server), ("client.py", other)]);
    assert_eq!(guess.port, None);
    assert!(
        guess
            .doubts
            .iter()
            .any(|doubt| doubt == "the programs cannot connect: the server's port is 6543, the client's 6544"),
        "{:?}",
        guess.doubts
    );
}

#[apply(test)]
fn one_program_that_is_both_is_told_which() {
    let both = "\
import socket, sys
if sys.argv[1] == 'server':
    port = int(sys.argv[2])
    s.bind(('', port))
    s.listen()
elif sys.argv[1] == 'client':
    host = sys.argv[2]
    port = int(sys.argv[3])
    s.connect((host, port))
";
    let guess = holds(
        &[("chat.py", both)],
        "",
        ("python3 chat.py server {port}", &[]),
        ("python3 chat.py client {host} {port}", &[]),
    );
    assert_eq!(
        guess.doubts,
        ["one program is both server and client; its first argument is server or client"]
    );
}

#[apply(test)]
fn what_cannot_be_told_is_left_open_with_a_reason() {
    for (files, missing, why) in [
        (
            &[("notes.txt", "hello")][..],
            &["server", "client"][..],
            "there is no source file in a known language",
        ),
        (&[("Main.kt", "fun main() {}")], &["server", "client"], "files like Main.kt are not supported"),
        (&[("server.py", "print('hello')")], &["server", "client"], "no program here listens or connects"),
        (
            &[("server.py", "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)")],
            &["server", "client"],
            "server.py uses UDP, not TCP",
        ),
        (&[("server.py", PY_SERVER)], &["client"], "client: no program only connects; found server.py"),
        (
            &[("one.py", PY_SERVER), ("two.py", PY_SERVER), ("client.py", PY_CLIENT)],
            &["server"],
            "server: could be any of one.py, two.py",
        ),
        (
            &[
                ("server.py", PY_SERVER),
                ("client.py", "a = sys.argv[1]\nb = sys.argv[2]\nstart(a, b)\ns.connect(t)\n"),
            ],
            &["client"],
            "client: client.py: it takes 2 arguments, and their names do not say which is the port",
        ),
        (
            &[
                ("server.py", PY_SERVER),
                ("client.py", "c = input('Colour? ')\nport = input('Port? ')\ns.connect(t)\n"),
            ],
            &["client"],
            "client: client.py: it asks \"Colour?\" at the keyboard, and what to answer is not known",
        ),
        (
            &[("server.py", "s.listen()"), ("client.py", PY_CLIENT)],
            &["server"],
            "server: server.py takes no port, asks for no port and contains no port number",
        ),
    ] {
        let guess = guessed(files);
        assert_eq!(guess.missing(), missing, "{guess:?}");
        assert!(guess.doubts.iter().any(|doubt| doubt == why), "{why}: {:?}", guess.doubts);
    }
}

#[apply(test)]
fn a_language_that_is_not_installed_is_named() {
    let files = &[("server.rb", "port = ARGV[0]\nTCPServer.new(port)\n"), ("client.py", PY_CLIENT)][..];
    let guess = guessed_with(files, &|tool| tool != "ruby");
    assert!(
        guess.doubts.iter().any(|doubt| doubt == "Ruby is not installed here: ruby is missing"),
        "{guess:?}"
    );
    assert_eq!(guess.server.as_deref(), Some("ruby server.rb {port}"));
    let old = guessed(&[("server.py", &format!("{PY_SERVER}print \"ready\"\n")), ("client.py", PY_CLIENT)]);
    assert_eq!(old.doubts, ["server.py is written for Python 2"]);
}

#[apply(test)]
fn of_several_pairs_the_one_that_is_called_so_is_taken_and_the_others_are_named() {
    let guess = holds(
        &[
            ("server.py", PY_SERVER),
            ("client.py", PY_CLIENT),
            ("server_old.py", PY_SERVER),
            ("test_client.py", PY_CLIENT),
        ],
        "",
        ("python3 server.py {port}", &[]),
        ("python3 client.py {host} {port}", &[]),
    );
    assert_eq!(guess.doubts, ["server: server.py was chosen among server.py, server_old.py"]);
}

#[apply(test)]
fn a_draft_is_a_profile_that_loads() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("server.py"), "port = input('port: ')\ns.listen()\n").unwrap();
    let guess = init(dir.path()).unwrap();
    assert_eq!(guess.missing(), ["client"]);
    let text = fs::read_to_string(dir.path().join(PROFILE)).unwrap();
    assert!(text.contains("# - client: no program only connects; found server.py\n"), "{text}");
    let none = crate::check::Config::default();
    let submission = crate::check::Submission::load(dir.path(), &none, &none).unwrap();
    assert_eq!(submission.server.to_string(), "python3 server.py");
    assert_eq!(submission.server_answers.len(), 1);
    assert!(init(dir.path()).is_err(), "a second draft must not overwrite the first");
}

#[apply(test)]
fn a_mode_is_an_argument_only_of_one_program_that_is_both() {
    let both = "import argparse, socket
p = argparse.ArgumentParser()
p.add_argument('mode')
p.add_argument('port', type=int)
a = p.parse_args()
if a.mode == 'server':
    s.bind(('', a.port))
    s.listen()
elif a.mode == 'client':
    s.connect(('localhost', a.port))
";
    holds(
        &[("chat.py", both)],
        "",
        ("python3 chat.py server {port}", &[]),
        ("python3 chat.py client {port}", &[]),
    );
    // Words of one pair of modes, and the modes themselves.
    let words = "import socket, sys
print('server')
if sys.argv[1] == 'listen':
    port = int(sys.argv[2])
    s.bind(('', port))
    s.listen()
elif sys.argv[1] == 'connect':
    port = int(sys.argv[2])
    s.connect(('localhost', port))
";
    holds(
        &[("chat.py", words)],
        "",
        ("python3 chat.py listen {port}", &[]),
        ("python3 chat.py connect {port}", &[]),
    );
    // A server that speaks of both.
    let speaks = format!("{PY_SERVER}print('server', 'client')\nprint('server')\nprint('client')\n");
    assert_eq!(guessed(&[("server.py", &speaks)]).missing(), ["client"]);
    holds(
        &[("server.py", &speaks), ("client.py", PY_CLIENT)],
        "",
        ("python3 server.py {port}", &[]),
        ("python3 client.py {host} {port}", &[]),
    );
}

#[apply(test)]
fn which_programs_there_are_and_which_is_the_client() {
    let (server, client) =
        (("python3 server.py {port}", &[][..]), ("python3 client.py {host} {port}", &[][..]));
    // What the client uses is a program only where it says that it can be one.
    let uses = format!("import server\n{PY_CLIENT}");
    let main = format!("{PY_SERVER}if __name__ == '__main__':\n    main()\n");
    holds(&[("server.py", &main), ("client.py", &uses)], "", server, client);
    let uses = format!("import client_net\n{PY_CLIENT}");
    let part = "def open_it(t):\n    s.connect(t)\n";
    let guess =
        holds(&[("server.py", PY_SERVER), ("client.py", &uses), ("client_net.py", part)], "", server, client);
    assert_eq!(guess.doubts, [""; 0]);
    // A client that listens, too; and a server that connects, in a folder that is called as a client is.
    let listens = format!("{PY_CLIENT}t.listen()\n");
    holds(&[("server.py", PY_SERVER), ("client.py", &listens)], "", server, client);
    let connects = format!("{PY_SERVER}t.connect(('127.0.0.1', port))\n");
    holds(
        &[("client-server/a.py", &connects), ("client-server/b.py", PY_CLIENT)],
        "",
        ("python3 client-server/a.py {port}", &[]),
        ("python3 client-server/b.py {host} {port}", &[]),
    );
    // Of several the one in the server's language and folder.
    let ruby = "s = TCPSocket.new(ARGV[0], ARGV[1].to_i)\n";
    holds(&[("server.py", PY_SERVER), ("client.py", PY_CLIENT), ("client.rb", ruby)], "", server, client);
    holds(
        &[("a/server.py", PY_SERVER), ("a/client.py", PY_CLIENT), ("b/client.py", PY_CLIENT)],
        "",
        ("python3 a/server.py {port}", &[]),
        ("python3 a/client.py {host} {port}", &[]),
    );
}
