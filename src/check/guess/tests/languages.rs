//! What is guessed in each language.

use super::*;

#[apply(test)]
fn programs_are_known_by_what_they_call_whatever_their_files_are_called() {
    holds(
        &[("alice.py", PY_SERVER), ("bob.py", PY_CLIENT)],
        "",
        ("python3 alice.py {port}", &[]),
        ("python3 bob.py {host} {port}", &[]),
    );
    holds(
        &[("Empfang.java", JAVA_SERVER), ("Sender.java", JAVA_CLIENT)],
        "javac -encoding UTF-8 -d . Empfang.java && javac -encoding UTF-8 -d . Sender.java",
        ("java Empfang {port}", &[]),
        ("java Sender {host} {port}", &[]),
    );
    holds(
        &[("a.c", C_SERVER), ("b.c", C_CLIENT)],
        "cc -o a a.c && cc -o b b.c",
        ("./a {port}", &[]),
        ("./b {host} {port}", &[]),
    );
    let class = "class LogServer(socketserver.TCPServer):\n    pass\n\nport = int(sys.argv[1])\nLogServer(('', port), Session).handle_request()\n";
    holds(
        &[("one.py", class), ("two.py", PY_CLIENT)],
        "",
        ("python3 one.py {port}", &[]),
        ("python3 two.py {host} {port}", &[]),
    );
    // A server that finds out its own address by a datagram socket.
    let asks = format!(
        "{PY_SERVER}t = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nt.connect(('8.8.8.8', 80))\n"
    );
    holds(
        &[("one.py", &asks), ("two.py", PY_CLIENT)],
        "",
        ("python3 one.py {port}", &[]),
        ("python3 two.py {host} {port}", &[]),
    );
}

#[apply(test)]
fn folders_packages_and_the_folder_of_a_zip_are_looked_into() {
    holds(
        &[("server/main.py", PY_SERVER), ("client/main.py", PY_CLIENT)],
        "",
        ("python3 server/main.py {port}", &[]),
        ("python3 client/main.py {host} {port}", &[]),
    );
    holds(
        &[
            ("ada-hw3/server.py", PY_SERVER),
            ("ada-hw3/client.py", PY_CLIENT),
            ("__MACOSX/ada-hw3/._server.py", PY_SERVER),
        ],
        "",
        ("python3 ada-hw3/server.py {port}", &[]),
        ("python3 ada-hw3/client.py {host} {port}", &[]),
    );
    let package = |text: &str| format!("package chat.net;\n\n{text}");
    let handler = "package chat.net;\nclass Handler implements Runnable { public void run() {} }\n";
    let server =
        package(JAVA_SERVER).replace("ss.accept()", "ss.accept(); new Thread(new Handler()).start()");
    holds(
        &[
            ("src/chat/net/Empfang.java", &server),
            ("src/chat/net/Handler.java", handler),
            ("src/chat/net/Sender.java", &package(JAVA_CLIENT)),
            ("src/chat/net/SenderTest.java", &package(JAVA_CLIENT)),
            ("bin/chat/net/Sender.class", ""),
        ],
        "javac -encoding UTF-8 -d . src/chat/net/Empfang.java src/chat/net/Handler.java && \
         javac -encoding UTF-8 -d . src/chat/net/Sender.java",
        ("java chat.net.Empfang {port}", &[]),
        ("java chat.net.Sender {host} {port}", &[]),
    );
    // Two classes of one name would overwrite each other.
    holds(
        &[
            ("server/Main.java", &JAVA_SERVER.replace("Empfang", "Main")),
            ("client/Main.java", &JAVA_CLIENT.replace("Sender", "Main")),
        ],
        "javac -encoding UTF-8 -d server server/Main.java && javac -encoding UTF-8 -d client client/Main.java",
        ("java -cp server Main {port}", &[]),
        ("java -cp client Main {host} {port}", &[]),
    );
    let part = |text: &str| format!("from .common import END\n{text}");
    holds(
        &[
            ("src/chat/__init__.py", ""),
            ("src/chat/common.py", "END = b'\\n'\n"),
            ("src/chat/server.py", &part(PY_SERVER)),
            ("src/chat/client.py", &part(PY_CLIENT)),
        ],
        "",
        ("env PYTHONPATH=src python3 -m chat.server {port}", &[]),
        ("env PYTHONPATH=src python3 -m chat.client {host} {port}", &[]),
    );
}

#[apply(test)]
fn c_programs_are_built_with_what_they_include_or_by_their_makefile() {
    let including = |text: &str| format!("#include \"net.h\"\n#include <pthread.h>\n{text}");
    let net = "#include \"net.h\"\nvoid send_all(int s) {}\n";
    holds(
        &[
            ("src/server.c", &including(C_SERVER)),
            ("src/client.c", &including(C_CLIENT)),
            ("src/net.c", net),
            ("include/net.h", "void send_all(int s);\n"),
        ],
        "cc -o server -Iinclude src/server.c src/net.c -pthread && \
         cc -o client -Iinclude src/client.c src/net.c -pthread",
        ("./server {port}", &[]),
        ("./client {host} {port}", &[]),
    );
    let with_all = "all: srv cli\nsrv: tcp_server.o\n\tgcc -o srv tcp_server.o\ncli: tcp_client.o\n\tgcc -o cli tcp_client.o\n";
    holds(
        &[("tcp_server.c", C_SERVER), ("tcp_client.c", C_CLIENT), ("Makefile", with_all)],
        "make",
        ("./srv {port}", &[]),
        ("./cli {host} {port}", &[]),
    );
    let without = "CC=gcc\n\nserver: server.c\n\t$(CC) -o $@ $<\n\nclient: client.c\n\t$(CC) -o $@ $<\n";
    holds(
        &[("hw/server.c", C_SERVER), ("hw/client.c", C_CLIENT), ("hw/makefile", without)],
        "(cd hw && make server) && (cd hw && make client)",
        ("hw/server {port}", &[]),
        ("hw/client {host} {port}", &[]),
    );
    let asks = "\
#include <iostream>
using namespace std;
int main() {
    string ip; int port;
    cout << \"Enter the server's IP: \";
    cin >> ip;
    cout << \"Enter the port: \";
    cin >> port;
    connect(s, (sockaddr*)&a, sizeof(a));
    string msg;
    while (getline(cin, msg)) send(s, msg.c_str(), msg.size(), 0);
}
";
    let server = "\
#include <iostream>
#define PORT 8080
int main() {
    std::cout << \"Server is listening on port \" << PORT << std::endl;
    address.sin_port = htons(PORT);
    listen(server_fd, 3);
}
";
    let guess = holds(
        &[("server.cpp", server), ("client.cpp", asks)],
        "c++ -o server server.cpp && c++ -o client client.cpp",
        ("./server", &[]),
        ("./client", &["{host}", "{port}"]),
    );
    assert_eq!(guess.port, Some(8080));
}

#[apply(test)]
fn go_programs_have_a_folder_each_or_a_file_each() {
    let server = "\
package main

import (
\t\"fmt\"
\t\"net\"
\t\"os\"
)

func main() {
\tif len(os.Args) != 2 {
\t\tfmt.Println(\"usage: server port\")
\t\tos.Exit(1)
\t}
\tln, err := net.Listen(\"tcp\", \":\"+os.Args[1])
}
";
    let client = "\
package main

func main() {
\tconn, err := net.Dial(\"tcp\", os.Args[1]+\":\"+os.Args[2])
\treader := bufio.NewReader(os.Stdin)
\tfmt.Print(\"message: \")
\ttext, _ := reader.ReadString('\\n')
}
";
    holds(
        &[("server.go", server), ("client.go", client)],
        "go build -o server server.go && go build -o client client.go",
        ("./server {port}", &[]),
        ("./client {host} {port}", &[]),
    );
    let one_word = client.replace("os.Args[1]+\":\"+os.Args[2]", "os.Args[1]");
    let flags = server
        .replace("os.Args[1]", "*p")
        .replace("if len", "p := flag.String(\"port\", \"9000\", \"port\")\n\tif len");
    holds(
        &[
            ("go.mod", "module chat\n"),
            ("server/main.go", &flags),
            ("server/log.go", "package main\n\ntype log []string\n"),
            ("client/main.go", &one_word),
        ],
        "go build -o server_program server/log.go server/main.go && go build -o client_program client/main.go",
        ("./server_program -port {port}", &[]),
        ("./client_program {host}:{port}", &[]),
    );
}

#[apply(test)]
fn ruby_and_perl_take_their_arguments_in_many_ways() {
    holds(
        &[
            (
                "log_server.rb",
                "require 'socket'\nport = ARGV[0].to_i\nserver = TCPServer.new('0.0.0.0', port)\n",
            ),
            (
                "talk.rb",
                "require 'socket'\nhost, port = ARGV\ns = TCPSocket.new(host, port.to_i)\nputs s.gets\n",
            ),
        ],
        "",
        ("ruby log_server.rb {port}", &[]),
        ("ruby talk.rb {host} {port}", &[]),
    );
    holds(
        &[
            (
                "s.rb",
                "require 'socket'\nprint 'Port: '\nport = gets.to_i\nserver = TCPServer.new(port)\nwhile line = client.gets\nend\n",
            ),
            (
                "c.rb",
                "require 'socket'\nputs 'Where is the server?'\nhost = gets.chomp\nputs 'Which port?'\nport = $stdin.gets.to_i\ns = TCPSocket.open(host, port)\nprint 'Message: '\nm = gets\n",
            ),
        ],
        "",
        ("ruby s.rb", &["{port}"]),
        ("ruby c.rb", &["{host}", "{port}"]),
    );
    let server = "\
use IO::Socket::INET;
my $port = shift || 7777;
my $socket = IO::Socket::INET->new(LocalPort => $port, Listen => 1, Reuse => 1) or die \"no: $!\";
";
    let client = "\
use IO::Socket::INET;
my ($host, $port) = @ARGV;
my $socket = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port) or die;
print 'message: ';
my $line = <STDIN>;
";
    holds(
        &[("server.pl", server), ("client.pl", client)],
        "",
        ("perl server.pl {port}", &[]),
        ("perl client.pl {host} {port}", &[]),
    );
    let options = "use Getopt::Long;\nGetOptions('port=i' => \\my $p, 'host=s' => \\my $h);\nIO::Socket::INET->new(PeerAddr => $h, PeerPort => $p);\n";
    holds(
        &[("server.pl", server), ("client.pl", options)],
        "",
        ("perl server.pl {port}", &[]),
        ("perl client.pl --port {port} --host {host}", &[]),
    );
}

#[apply(test)]
fn node_php_and_c_sharp_are_called_as_usual() {
    let server = "const net = require('net');\nconst port = Number(process.argv[2]);\nnet.createServer(c => {}).listen(port);\n";
    let client = "const net = require('net');\nconst [,, host, port] = process.argv;\nconst s = net.connect(port, host);\nrl.question('message? ', m => s.write(m));\n";
    holds(
        &[("server.js", server), ("client.js", client), ("package.json", "{\"dependencies\": {}}")],
        "",
        ("node server.js {port}", &[]),
        ("node client.js {host} {port}", &[]),
    );
    let asking = "\
import net from 'node:net'
const ask = q => new Promise(r => rl.question(q, r))
const host = await ask('Server address? ')
const port = await ask('Server port? ')
const socket = net.createConnection({ host, port })
const name = await ask('Your name? ')
";
    let environment = server.replace("Number(process.argv[2])", "process.env.PORT || 3000");
    holds(
        &[
            ("app/server.js", &environment),
            ("app/client.mjs", asking),
            ("app/package.json", "{\"dependencies\": {\"chalk\": \"5\"}}"),
        ],
        "(cd app && npm install)",
        ("env PORT={port} node app/server.js", &[]),
        ("node app/client.mjs", &["{host}", "{port}", "ada"]),
    );
    holds(
        &[
            (
                "server.php",
                "<?php\n$port = (int)$argv[1];\n$s = stream_socket_server(\"tcp://0.0.0.0:$port\");\n",
            ),
            (
                "client.php",
                "<?php\n[$script, $host, $port] = $argv;\n$s = stream_socket_client(\"tcp://$host:$port\");\n$line = fgets(STDIN);\n",
            ),
        ],
        "",
        ("php server.php {port}", &[]),
        ("php client.php {host} {port}", &[]),
    );
    let server = "using System;\nusing System.Net.Sockets;\nclass Program {\n    static void Main(string[] args) {\n        int port = int.Parse(args[0]);\n        TcpListener l = new TcpListener(IPAddress.Any, port);\n        l.Start();\n    }\n}\n";
    let client = "using System;\nclass Program {\n    static void Main() {\n        Console.Write(\"Server address: \");\n        string host = Console.ReadLine();\n        Console.Write(\"Port: \");\n        int port = Convert.ToInt32(Console.ReadLine());\n        TcpClient c = new TcpClient(host, port);\n    }\n}\n";
    holds(
        &[("Server/Program.cs", server), ("Client/Program.cs", client)],
        "mcs -out:Server_program.exe Server/Program.cs && mcs -out:Client_program.exe Client/Program.cs",
        ("mono Server_program.exe {port}", &[]),
        ("mono Client_program.exe", &["{host}", "{port}"]),
    );
    let project = "<Project Sdk=\"Microsoft.NET.Sdk\"></Project>";
    let top = "using System.Net.Sockets;\n\nvar port = int.Parse(args[0]);\nvar listener = new TcpListener(System.Net.IPAddress.Any, port);\n";
    holds(
        &[
            ("Server/Server.csproj", project),
            ("Server/Program.cs", top),
            ("Client/Client.csproj", project),
            ("Client/Program.cs", client),
        ],
        "dotnet build Server/Server.csproj -o Server/out && dotnet build Client/Client.csproj -o Client/out",
        ("dotnet Server/out/Server.dll {port}", &[]),
        ("dotnet Client/out/Client.dll", &["{host}", "{port}"]),
    );
}

#[apply(test)]
fn rust_programs_are_binaries_of_a_package_packages_or_single_files() {
    let server = "use std::net::TcpListener;\nfn main() {\n    let port: u16 = std::env::args().nth(1).unwrap().parse().unwrap();\n    let l = TcpListener::bind((\"0.0.0.0\", port)).unwrap();\n}\n";
    let client = "use std::env;\nfn main() {\n    let args: Vec<String> = env::args().collect();\n    let host = &args[1];\n    let port: u16 = args[2].parse().expect(\"port\");\n    let s = std::net::TcpStream::connect((host.as_str(), port));\n}\n";
    let manifest = "[package]\nname = \"chat\"\n";
    holds(
        &[("Cargo.toml", manifest), ("src/bin/server.rs", server), ("src/bin/client.rs", client)],
        "cargo build --release",
        ("target/release/server {port}", &[]),
        ("target/release/client {host} {port}", &[]),
    );
    holds(
        &[
            ("server/Cargo.toml", "[package]\nname = \"log-server\"\n"),
            ("server/src/main.rs", server),
            ("client/Cargo.toml", "[package]\nname = \"log-client\"\n"),
            ("client/src/main.rs", client),
        ],
        "(cd server && cargo build --release) && (cd client && cargo build --release)",
        ("server/target/release/log-server {port}", &[]),
        ("client/target/release/log-client {host} {port}", &[]),
    );
    let next = client
        .replace("let args: Vec<String> = env::args().collect();", "let mut args = env::args().skip(1);")
        .replace("&args[1]", "args.next().unwrap()")
        .replace("args[2]", "args.next().unwrap()");
    holds(
        &[("server.rs", server), ("client.rs", &next)],
        "rustc -O -o server server.rs && rustc -O -o client client.rs",
        ("./server {port}", &[]),
        ("./client {host} {port}", &[]),
    );
}

#[apply(test)]
fn shell_scripts_that_call_nc_are_told_apart() {
    holds(
        &[
            ("receive.sh", "#!/bin/bash\nPORT=$1\nnc -l -p \"$PORT\" | tee log\n"),
            (
                "send",
                "#!/bin/bash\nexec 3<>/dev/tcp/$1/$2\nwhile read -r line; do echo \"$line\" >&3; done\n",
            ),
        ],
        "",
        ("bash receive.sh {port}", &[]),
        ("bash send {host} {port}", &[]),
    );
}
