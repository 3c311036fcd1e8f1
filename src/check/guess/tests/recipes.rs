//! What is built and run where a project says how, or nearly does, and what may be wrong with it.

use super::*;

/// The doubts about a guess that [`holds`].
#[track_caller]
fn doubts(files: Files, build: &str, server: &str, client: &str) -> Vec<String> {
    holds(files, build, (server, &[]), (client, &[])).doubts
}

const RUST_SERVER: &str = "fn main() {\n    let port: u16 = std::env::args().nth(1).unwrap().parse().unwrap();\n    \
     std::net::TcpListener::bind((\"0.0.0.0\", port)).unwrap();\n}\n";
const RUST_CLIENT: &str = "fn main() {\n    let args: Vec<String> = std::env::args().collect();\n    \
     let host = &args[1];\n    let port: u16 = args[2].parse().unwrap();\n    \
     std::net::TcpStream::connect((host.as_str(), port)).unwrap();\n}\n";

#[apply(test)]
fn rust_binaries_have_the_names_of_their_manifest_and_share_the_target_of_a_workspace() {
    let binaries = "[package]\nname = \"chat\"\n[[bin]]\nname = \"listen\"\npath = \"src/s.rs\"\n\
                    [[bin]]\nname = \"talk\"\npath = \"src/c.rs\"\n";
    let found = doubts(
        &[("Cargo.toml", binaries), ("src/s.rs", RUST_SERVER), ("src/c.rs", RUST_CLIENT)],
        "cargo build --release",
        "target/release/listen {port}",
        "target/release/talk {host} {port}",
    );
    assert_eq!(found, [""; 0]);
    // A folder below src/bin with a main file is a binary of that name.
    doubts(
        &[
            ("Cargo.toml", "[package]\nname = \"chat\"\n"),
            ("src/bin/listen/main.rs", RUST_SERVER),
            ("src/bin/talk.rs", RUST_CLIENT),
        ],
        "cargo build --release",
        "target/release/listen {port}",
        "target/release/talk {host} {port}",
    );
    let depends = |name: &str| format!("[package]\nname = \"{name}\"\n[dependencies]\nrand = \"0.9\"\n");
    let (one, other) = (depends("listen"), depends("talk"));
    let members = [
        ("Cargo.toml", "[workspace]\nmembers = [\"s\", \"c\"]\n"),
        ("s/Cargo.toml", &one),
        ("s/src/main.rs", RUST_SERVER),
        ("c/Cargo.toml", &other),
        ("c/src/main.rs", RUST_CLIENT),
    ];
    let command =
        ["cargo build --release", "target/release/listen {port}", "target/release/talk {host} {port}"];
    let found = doubts(&members, command[0], command[1], command[2]);
    assert_eq!(found, ["cargo build needs the network for the dependencies in Cargo.toml"]);
    let vendored = [&members[..], &[("vendor/rand/Cargo.toml", "[package]\nname = \"rand\"\n")]].concat();
    assert_eq!(doubts(&vendored, command[0], command[1], command[2]), [""; 0]);
}

#[apply(test)]
fn a_project_of_another_builder_is_compiled_and_named() {
    let build = "javac -encoding UTF-8 -d . src/Empfang.java && javac -encoding UTF-8 -d . src/Sender.java";
    for project in ["pom.xml", "app/build.gradle", "build.gradle.kts"] {
        let found = doubts(
            &[("src/Empfang.java", JAVA_SERVER), ("src/Sender.java", JAVA_CLIENT), (project, "")],
            build,
            "java Empfang {port}",
            "java Sender {host} {port}",
        );
        let doubt = format!("{project} is not used; javac compiles the files that belong together");
        assert_eq!(found, [doubt]);
    }
    let found = doubts(
        &[("s.c", C_SERVER), ("c.c", C_CLIENT), ("CMakeLists.txt", "project(chat)\n")],
        "cc -o s s.c && cc -o c c.c",
        "./s {port}",
        "./c {host} {port}",
    );
    assert_eq!(found, ["CMakeLists.txt is not used; the compiler is called instead"]);
}

#[apply(test)]
fn a_makefile_that_does_not_name_a_program_is_not_used() {
    let found = doubts(
        &[("s.c", C_SERVER), ("c.c", C_CLIENT), ("Makefile", "clean:\n\trm -f *.o\n")],
        "cc -o s s.c && cc -o c c.c",
        "./s {port}",
        "./c {host} {port}",
    );
    let doubt =
        |file: &str| format!("Makefile does not say what {file} becomes; the compiler is called instead");
    assert_eq!(found, [doubt("s.c"), doubt("c.c")]);
    // What a rule would make is a folder here.
    let rules = "s: s.c\n\tcc -o s s.c\n\nc: c.c\n\tcc -o c c.c\n";
    let found = doubts(
        &[("s.c", C_SERVER), ("c.c", C_CLIENT), ("Makefile", rules), ("s/notes.txt", "")],
        "cc -o s_program s.c && make c",
        "./s_program {port}",
        "./c {host} {port}",
    );
    assert_eq!(found, [doubt("s.c")]);
}

#[apply(test)]
fn a_makefile_is_understood_in_the_ways_that_beginners_write_one() {
    for (makefile, build, server, client) in [
        // Objects first, programs from them.
        (
            "OBJ = s.o\n\ns.o: s.c\n\tcc -c s.c\n\nc.o: c.c\n\tcc -c c.c\n\nlisten: s.o\n\tcc -o listen s.o\n\ntalk: c.o\n\tcc -o talk c.o\n",
            "make listen && make talk",
            "./listen {port}",
            "./talk {host} {port}",
        ),
        // Names that make knows of itself.
        (
            "listen: s.c\n\tcc $^ -o $@\n\ns.o: s.c\n\tcc -c s.c\n\nc.o: c.c\n\tcc -c c.c\n\ntalk: c.o\n\tcc $^ -o $@\n",
            "make listen && make talk",
            "./listen {port}",
            "./talk {host} {port}",
        ),
        // All programs in one rule.
        ("all:\n\tgcc s.c -o listen\n\tgcc c.c -o talk\n", "make", "./listen {port}", "./talk {host} {port}"),
        // Rules of make's own.
        ("CFLAGS = -Wall\n\nall: s c\n", "make", "./s {port}", "./c {host} {port}"),
        (".PHONY: clean\n\ns: s.c\n\nc: c.c\n", "make s && make c", "./s {port}", "./c {host} {port}"),
    ] {
        let files = [("s.c", C_SERVER), ("c.c", C_CLIENT), ("GNUmakefile", makefile)];
        assert_eq!(doubts(&files, build, server, client), [""; 0], "{makefile}");
    }
}

#[apply(test)]
fn c_is_linked_with_the_libraries_that_it_includes_and_windows_is_named() {
    for (include, option) in [
        ("pthread.h", "-pthread"),
        ("math.h", "-lm"),
        ("readline/readline.h", "-lreadline"),
        ("curses.h", "-lncurses"),
        ("ncurses.h", "-lncurses"),
    ] {
        let client = format!("#include <{include}>\n{C_CLIENT}");
        doubts(
            &[("s.c", C_SERVER), ("c.c", &client)],
            &format!("cc -o s s.c && cc -o c c.c {option}"),
            "./s {port}",
            "./c {host} {port}",
        );
    }
    let windows = format!("#include <winsock2.h>\n{C_SERVER}");
    let found = guessed(&[("s.c", &windows), ("c.c", C_CLIENT)]).doubts;
    assert_eq!(found, ["s.c is written for Windows and cannot be built here"]);
    let both = format!("#ifdef _WIN32\n#include <winsock2.h>\n#endif\n{C_SERVER}");
    assert_eq!(guessed(&[("s.c", &both), ("c.c", C_CLIENT)]).doubts, [""; 0]);
}

#[apply(test)]
fn of_two_files_of_one_name_the_nearer_one_belongs_to_a_program() {
    let uses = |text: &str| format!("import tools\n{text}");
    // Python finds what is beside a program by itself.
    let tools = "END = b'\\n'\n";
    doubts(
        &[
            ("s/main.py", &uses(PY_SERVER)),
            ("s/tools.py", tools),
            ("c/main.py", &uses(PY_CLIENT)),
            ("c/tools.py", tools),
        ],
        "",
        "python3 s/main.py {port}",
        "python3 c/main.py {host} {port}",
    );
    let uses = |text: &str| format!("#include \"net.h\"\n{text}");
    let (server, client) = (uses(C_SERVER), uses(C_CLIENT));
    let net = "#include \"net.h\"\nvoid send_all(int s) {}\n";
    doubts(
        &[
            ("one/server.c", &server),
            ("one/net.c", net),
            ("one/net.h", ""),
            ("two/client.c", &client),
            ("two/net.c", net),
            ("two/net.h", ""),
        ],
        "cc -o server one/server.c one/net.c && cc -o client two/client.c two/net.c",
        "./server {port}",
        "./client {host} {port}",
    );
}

#[apply(test)]
fn perl_finds_its_own_modules_and_python_the_package_that_it_names() {
    let uses = |text: &str| format!("use Wire;\n{text}");
    let server = uses(
        "use IO::Socket::INET;\nmy $port = shift;\nIO::Socket::INET->new(LocalPort => $port, Listen => 1);\n",
    );
    let client = uses(
        "use IO::Socket::INET;\nmy ($host, $port) = @ARGV;\nIO::Socket::INET->new(PeerAddr => $host, PeerPort => $port);\n",
    );
    doubts(
        &[("a/server.pl", &server), ("a/Wire.pm", "package Wire;\n1;\n"), ("a/client.pl", &client)],
        "",
        "perl -Ia a/server.pl {port}",
        "perl -Ia a/client.pl {host} {port}",
    );
    // The module may be what connects; at the top it is looked for just as little.
    let net = "package Net;\nuse IO::Socket::INET;\nsub open { IO::Socket::INET->new(PeerAddr => $_[0], PeerPort => $_[1]) }\n1;\n";
    let by_module = "use Net;\nmy ($host, $port) = @ARGV;\nmy $s = Net::open($host, $port);\n";
    doubts(
        &[("server.pl", &server.replace("use Wire;\n", "")), ("client.pl", by_module), ("Net.pm", net)],
        "",
        "perl server.pl {port}",
        "perl -I. client.pl {host} {port}",
    );
    // Beside no module of its own there is nothing to look for.
    doubts(
        &[
            ("a/server.pl", &server.replace("use Wire;\n", "")),
            ("a/client.pl", &client.replace("use Wire;\n", "")),
        ],
        "",
        "perl a/server.pl {port}",
        "perl a/client.pl {host} {port}",
    );
    let named = |text: &str| format!("from chat import common\n{text}");
    doubts(
        &[
            ("chat/common.py", "END = b'\\n'\n"),
            ("chat/server.py", &named(PY_SERVER)),
            ("chat/client.py", &named(PY_CLIENT)),
        ],
        "",
        "python3 -m chat.server {port}",
        "python3 -m chat.client {host} {port}",
    );
}

#[apply(test)]
fn go_is_built_in_the_folder_of_its_module() {
    let server = "package main\n\nfunc main() {\n\tln, err := net.Listen(\"tcp\", \":\"+os.Args[1])\n}\n";
    let client =
        "package main\n\nfunc main() {\n\tconn, err := net.Dial(\"tcp\", os.Args[1]+\":\"+os.Args[2])\n}\n";
    doubts(
        &[("hw/go.mod", "module chat\n"), ("hw/cmd/s/main.go", server), ("hw/cmd/c/main.go", client)],
        "(cd hw && go build -o ../s cmd/s/main.go) && (cd hw && go build -o ../c cmd/c/main.go)",
        "./s {port}",
        "./c {host} {port}",
    );
}

#[apply(test)]
fn old_projects_of_c_sharp_are_compiled() {
    let server = "class Program {\n    static void Main(string[] args) {\n        int port = int.Parse(args[0]);\n        new System.Net.Sockets.TcpListener(System.Net.IPAddress.Any, port).Start();\n    }\n}\n";
    let client = "class Program {\n    static void Main(string[] args) {\n        string host = args[0];\n        int port = int.Parse(args[1]);\n        new System.Net.Sockets.TcpClient(host, port);\n    }\n}\n";
    doubts(
        &[
            ("S/S.csproj", "<Project ToolsVersion=\"4.0\" />"),
            ("S/Program.cs", server),
            ("C/Program.cs", client),
        ],
        "mcs -out:S_program.exe S/Program.cs && mcs -out:C_program.exe C/Program.cs",
        "mono S_program.exe {port}",
        "mono C_program.exe {host} {port}",
    );
}

#[apply(test)]
fn classes_may_be_called_by_their_full_names_or_by_none() {
    doubts(
        &[
            ("Empfang.java", &JAVA_SERVER.replace("new ServerSocket", "new java.net.ServerSocket")),
            ("Sender.java", &JAVA_CLIENT.replace("new Socket", "new java.net.Socket")),
        ],
        "javac -encoding UTF-8 -d . Empfang.java && javac -encoding UTF-8 -d . Sender.java",
        "java Empfang {port}",
        "java Sender {host} {port}",
    );
    let server = "class S {\n    static void Main(string[] args) {\n        int port = int.Parse(args[0]);\n        TcpListener listener = new(IPAddress.Any, port);\n    }\n}\n";
    let client = "class C {\n    static void Main(string[] args) {\n        string host = args[0];\n        int port = int.Parse(args[1]);\n        using TcpClient client = new(host, port);\n    }\n}\n";
    doubts(
        &[("S.cs", server), ("C.cs", client)],
        "mcs -out:S.exe S.cs && mcs -out:C.exe C.cs",
        "mono S.exe {port}",
        "mono C.exe {host} {port}",
    );
}

#[apply(test)]
fn a_makefile_beside_one_program_may_link_objects_by_a_variable() {
    let makefile = |file: &str, program: &str| {
        format!(
            "OBJECTS = x.o\n\n{program}: $(OBJECTS)\n\tcc -o {program} $(OBJECTS)\n\nx.o: {file}\n\tcc -c {file} -o x.o\n"
        )
    };
    let (server, client) = (makefile("./x.c", "listen"), makefile("x.c", "talk"));
    doubts(
        &[("s/x.c", C_SERVER), ("s/Makefile", &server), ("c/x.c", C_CLIENT), ("c/Makefile", &client)],
        "(cd s && make listen) && (cd c && make talk)",
        "s/listen {port}",
        "c/talk {host} {port}",
    );
}

#[apply(test)]
fn parts_may_use_each_other_and_be_in_other_folders() {
    let uses = |text: &str| format!("#include \"net.h\"\n{text}");
    let (server, client) = (uses(C_SERVER), uses(C_CLIENT));
    doubts(
        &[
            ("src/server.c", &server),
            ("src/client.c", &client),
            ("src/other.c", "int other;\n"),
            ("lib/net.c", "#include \"net.h\"\n#include \"log.h\"\n"),
            ("lib/net.h", ""),
            ("lib/log.c", "#include \"log.h\"\n#include \"net.h\"\n"),
            ("lib/log.h", ""),
        ],
        "cc -o server -Ilib src/server.c lib/net.c lib/log.c && cc -o client -Ilib src/client.c lib/net.c lib/log.c",
        "./server {port}",
        "./client {host} {port}",
    );
}

#[apply(test)]
fn classes_of_one_name_are_kept_apart_unless_their_packages_do() {
    let main = |text: &str, package: &str| {
        let text = text.replace("class Empfang", "class Main").replace("class Sender", "class Main");
        format!("{package}{text}")
    };
    doubts(
        &[("s/Main.java", &main(JAVA_SERVER, "")), ("c/Main.java", &main(JAVA_CLIENT, ""))],
        "javac -encoding UTF-8 -d s s/Main.java && javac -encoding UTF-8 -d c c/Main.java",
        "java -cp s Main {port}",
        "java -cp c Main {host} {port}",
    );
    doubts(
        &[
            ("s/Main.java", &main(JAVA_SERVER, "package s;\n")),
            ("c/Main.java", &main(JAVA_CLIENT, "package c;\n")),
        ],
        "javac -encoding UTF-8 -d . s/Main.java && javac -encoding UTF-8 -d . c/Main.java",
        "java s.Main {port}",
        "java c.Main {host} {port}",
    );
}
