//! How programs are told where the server is: options, names and places of arguments, in each language.

use super::*;

/// Holds what is called for a client `source` in `file`, beside a server in Python.
#[track_caller]
fn is_called(file: &str, source: &str, call: &str) {
    let guess = guessed(&[("server.py", PY_SERVER), (file, source)]);
    assert_eq!(guess.client.as_deref(), Some(call), "{source}: {guess:?}");
}

#[apply(test)]
fn options_are_known_however_they_are_declared() {
    for (file, source, call) in [
        (
            "c.py",
            "parser.add_option('-p', '--port', type='int')\nparser.add_option('-a', '--address')\ns.connect(t)\n",
            "python3 c.py --port {port} --address {host}",
        ),
        (
            "c.py",
            "@click.option('--host')\n@click.option('--port', '-p')\ndef f(host, port):\n    s.connect(t)\n",
            "python3 c.py --host {host} --port {port}",
        ),
        (
            "c.c",
            "int main(int argc, char **argv) {\n  while ((c = getopt(argc, argv, \"vh:p:\")) != -1) {}\n  connect(s, a, n);\n}\n",
            "./c -h {host} -p {port}",
        ),
        (
            "c.go",
            "package main\n\nfunc main() {\n\tvar port int\n\tflag.IntVar(&port, \"port\", 9000, \"port\")\n\thost := flag.String(\"host\", \"\", \"host\")\n\tnet.Dial(\"tcp\", address)\n}\n",
            "./c -port {port} -host {host}",
        ),
        (
            "c.js",
            "const argv = require('yargs').argv;\nnet.connect(argv.port, argv.host);\n",
            "node c.js --port {port} --host {host}",
        ),
        (
            "c.js",
            "const { values } = parseArgs({ options: { host: { type: 'string' }, port: { type: 'string' } } });\nnet.connect(values.port, values.host);\n",
            "node c.js --host {host} --port {port}",
        ),
        (
            "c.rs",
            "#[derive(Parser)]\nstruct Args {\n    #[arg(long)]\n    host: String,\n    #[arg(short, long)]\n    port: u16,\n}\nfn main() { TcpStream::connect(t); }\n",
            "./c --host {host} --port {port}",
        ),
        (
            "c.rs",
            "fn main() {\n    let m = Command::new(\"c\").arg(Arg::new(\"p\").long(\"port\")).arg(Arg::new(\"h\").long(\"host\"));\n    TcpStream::connect(t);\n}\n",
            "./c --port {port} --host {host}",
        ),
        (
            "c.rb",
            "OptionParser.new do |o|\n  o.on('-h', '--host HOST') { |v| }\n  o.on('-p', '--port PORT') { |v| }\nend\ns = TCPSocket.new(h, p)\n",
            "ruby c.rb --host {host} --port {port}",
        ),
        (
            "c.php",
            "<?php\n$o = getopt('', ['host:', 'port:']);\n$s = fsockopen($o['host'], $o['port']);\n",
            "php c.php --host {host} --port {port}",
        ),
        (
            "c.sh",
            "#!/bin/bash\nwhile [ $# -gt 0 ]; do\n  case $1 in\n    -h|--host) h=$2 ;;\n    -p|--port) p=$2 ;;\n  esac\n  shift 2\ndone\nnc \"$h\" \"$p\"\n",
            "bash c.sh --host {host} --port {port}",
        ),
        (
            "c.sh",
            "#!/bin/bash\nwhile getopts h:p: o; do :; done\nnc $h $p\n",
            "bash c.sh -h {host} -p {port}",
        ),
    ] {
        is_called(file, source, call);
    }
    // An option for help is no host.
    is_called(
        "c.py",
        "p.add_argument('-h', '--help')\np.add_argument('--ip')\np.add_argument('--port')\ns.connect(t)\n",
        "python3 c.py --ip {host} --port {port}",
    );
}

#[apply(test)]
fn places_are_known_by_the_words_around_them() {
    for (file, source, call) in [
        (
            "c.c",
            "int main(int n, char *v[]) {\n  port = atoi(v[1]);\n  inet_pton(AF_INET, v[2], &a);\n  connect(s, a, n);\n}\n",
            "./c {port} {host}",
        ),
        (
            "c.c",
            "int main(int n, char *v[]) {\n  strcpy(ip, v[1]);\n  a.sin_port = htons(strtol(v[2], 0, 10));\n  connect(s, a, n);\n}\n",
            "./c {host} {port}",
        ),
        (
            "c.c",
            "int main(int n, char *v[]) {\n  getaddrinfo(v[1], v[2], &hints, &found);\n  connect(s, a, n);\n}\n",
            "./c {host} {port}",
        ),
        (
            "c.cpp",
            "int main(int argc, char* argv[]) {\n  std::vector<std::string> args(argv, argv + argc);\n  int p = std::stoi(argv[2]);\n  auto h = argv[1];\n  connect(s, a, n);\n}\n",
            "./c {host} {port}",
        ),
        (
            "C.java",
            "class C {\n  public static void main(String... a) {\n    InetAddress x = InetAddress.getByName(a[1]);\n    Socket s = new Socket(x, Integer.valueOf(a[0]));\n  }\n}\n",
            "java C {port} {host}",
        ),
        (
            "C.cs",
            "class C {\n  static void Main(string[] a) {\n    var c = new TcpClient(a[0], int.Parse(a[1]));\n  }\n}\n",
            "mono C.exe {host} {port}",
        ),
        (
            "C.cs",
            "var ip = IPAddress.Parse(args[0]);\nvar port = Convert.ToInt32(args[1]);\nvar c = new TcpClient();\nc.Connect(ip, port);\n",
            "mono C.exe {host} {port}",
        ),
        (
            "c.js",
            "const args = process.argv.slice(2);\nconst host = args[0];\nconst port = +args[1];\nnet.connect(port, host);\n",
            "node c.js {host} {port}",
        ),
        (
            "c.js",
            "const [, , port, host] = process.argv;\nnet.connect(port, host);\n",
            "node c.js {port} {host}",
        ),
        (
            "c.rb",
            "host = ARGV.shift\nport = ARGV.shift.to_i\ns = TCPSocket.new(host, port)\n",
            "ruby c.rb {host} {port}",
        ),
        ("c.rb", "s = TCPSocket.new(ARGV[0], ARGV[1])\n", "ruby c.rb {host} {port}"),
        ("c.pl", "my $host = shift;\nmy $port = shift @ARGV;\nconnect($s, $a);\n", "perl c.pl {host} {port}"),
        ("c.pl", "my ($port, $host) = @ARGV;\nconnect($s, $a);\n", "perl c.pl {port} {host}"),
        (
            "c.php",
            "<?php\narray_shift($argv);\n$host = array_shift($argv);\n$port = array_shift($argv);\nfsockopen($host, $port);\n",
            "php c.php {host} {port}",
        ),
        (
            "c.php",
            "<?php\nlist(, $host, $port) = $argv;\nfsockopen($host, $port);\n",
            "php c.php {host} {port}",
        ),
        (
            "c.php",
            "<?php\nif ($argc !== 3 || $argv[2] > 65535) exit(1);\n$s = stream_socket_client(\"tcp://$argv[1]:$argv[2]\", $n, $e, 20);\n",
            "php c.php {host} {port}",
        ),
        (
            "c.php",
            "<?php\n$s = stream_socket_client(\"tcp://{$argv[2]}:{$argv[1]}\");\n",
            "php c.php {port} {host}",
        ),
        (
            "c.rs",
            "fn main() {\n  let mut args = std::env::args();\n  args.next();\n  let host = args.next().unwrap();\n  let port: u16 = args.next().unwrap().parse().unwrap();\n  TcpStream::connect((host, port));\n}\n",
            "./c {host} {port}",
        ),
        (
            "c.rs",
            "fn main() {\n  let address = std::env::args().nth(1).unwrap();\n  TcpStream::connect(&address);\n}\n",
            "./c {host}:{port}",
        ),
        (
            "c.go",
            "package main\n\nfunc main() {\n\targs := os.Args[1:]\n\tport, _ := strconv.Atoi(args[1])\n\tnet.Dial(\"tcp\", net.JoinHostPort(args[0], args[1]))\n}\n",
            "./c {host} {port}",
        ),
        ("c.sh", "#!/bin/bash\nexec 3<>/dev/tcp/$2/$1\n", "bash c.sh {port} {host}"),
        ("c.sh", "#!/bin/bash\nsocat - TCP:$1:$2\n", "bash c.sh {host} {port}"),
        ("c.sh", "#!/bin/bash\nnc -q 1 $1 $2\n", "bash c.sh {host} {port}"),
    ] {
        is_called(file, source, call);
    }
}

#[apply(test)]
fn one_argument_of_host_and_port_is_taken_apart_at_its_colon() {
    for (file, source, call) in [
        ("c.py", "host, port = sys.argv[1].split(':')\ns.connect((host, int(port)))\n", "python3 c.py"),
        (
            "c.py",
            "host, _, port = sys.argv[1].rpartition(':')\ns.connect((host, int(port)))\n",
            "python3 c.py",
        ),
        (
            "c.py",
            "addr = sys.argv[1]\nhost = addr.split(\":\")[0]\nport = int(addr.split(\":\")[1])\ns.connect((host, port))\n",
            "python3 c.py",
        ),
        (
            "c.js",
            "const [host, port] = process.argv[2].split(':');\nnet.connect(Number(port), host);\n",
            "node c.js",
        ),
        ("c.rb", "host, port = ARGV[0].split(':')\nTCPSocket.new(host, port)\n", "ruby c.rb"),
        ("c.pl", "my ($host, $port) = split /:/, $ARGV[0];\nconnect($s, $a);\n", "perl c.pl"),
        ("c.pl", "my $where = $ARGV[0];\nmy ($h, $p) = split(':', $where);\nconnect($s, $a);\n", "perl c.pl"),
        ("c.php", "<?php\n[$host, $port] = explode(':', $argv[1]);\nfsockopen($host, $port);\n", "php c.php"),
        ("c.php", "<?php\n$s = stream_socket_client('tcp://' . ($argv[1] ?? ''), $n, $e, 9);\n", "php c.php"),
        ("c.php", "<?php\n$s = stream_socket_client(\"tcp://{$argv[1]}\");\n", "php c.php"),
        (
            "C.java",
            "class C {\n  public static void main(String[] args) {\n    String[] parts = args[0].split(\":\");\n    new Socket(parts[0], Integer.parseInt(parts[1]));\n  }\n}\n",
            "java C",
        ),
        (
            "c.c",
            "int main(int argc, char **argv) {\n  char *colon = strrchr(argv[1], ':');\n  connect(s, a, n);\n}\n",
            "./c",
        ),
        (
            "c.c",
            "int main(int argc, char **argv) {\n  sscanf(argv[1], \"%63[^:]:%d\", host, &port);\n  connect(s, a, n);\n}\n",
            "./c",
        ),
        (
            "c.go",
            "package main\n\nfunc main() {\n\tparts := strings.Split(os.Args[1], \":\")\n\tnet.Dial(\"tcp\", net.JoinHostPort(parts[0], parts[1]))\n}\n",
            "./c",
        ),
        (
            "c.go",
            "package main\n\nfunc main() {\n\thost, port, _ := net.SplitHostPort(os.Args[1])\n\tnet.Dial(\"tcp\", net.JoinHostPort(host, port))\n}\n",
            "./c",
        ),
        (
            "c.rs",
            "fn main() {\n  let args: Vec<String> = std::env::args().collect();\n  let (host, port) = args[1].split_once(':').unwrap();\n  TcpStream::connect((host, port.parse::<u16>().unwrap()));\n}\n",
            "./c",
        ),
        ("c.sh", "#!/bin/bash\nhost=${1%%:*} port=${1##*:}\nexec 3<>/dev/tcp/$host/$port\n", "bash c.sh"),
    ] {
        is_called(file, source, &format!("{call} {{host}}:{{port}}"));
    }
    // What is only printed with a colon, or taken apart for another reason.
    for (file, source, call) in [
        (
            "c.py",
            "print(sys.argv[1], ':', sys.argv[2])\nhost = sys.argv[1]\nport = int(sys.argv[2])\ns.connect(t)\n",
            "python3 c.py {host} {port}",
        ),
        (
            "c.php",
            "<?php\n$s = stream_socket_client('tcp://' . $argv[1] . ':' . $argv[2]);\n",
            "php c.php {host} {port}",
        ),
        (
            "c.py",
            "host = sys.argv[1]\nport = int(sys.argv[2])\ns.connect(t)\nname, text = line.split(':')\n",
            "python3 c.py {host} {port}",
        ),
    ] {
        is_called(file, source, call);
    }
}

#[apply(test)]
fn what_a_program_looks_for_in_its_environment_is_put_there() {
    for (file, source, call) in [
        (
            "c.py",
            "host = os.environ['SERVER_HOST']\nport = int(os.getenv('PORT', '5000'))\ns.connect((host, port))\n",
            "env SERVER_HOST={host} PORT={port} python3 c.py",
        ),
        (
            "c.py",
            "me = os.environ['HOSTNAME']\nport = int(os.environ['PORT'])\nhost = sys.argv[1]\ns.connect(t)\n",
            "env PORT={port} python3 c.py {host}",
        ),
        // Names of a person, and of the machine that the program runs on.
        (
            "c.py",
            "me = os.environ['USER'] + os.environ['HOSTNAME']\nport = int(os.environ['PORT'])\nhost = input('host: ')\ns.connect(t)\n",
            "env PORT={port} python3 c.py",
        ),
        (
            "c.pl",
            "my ($host, $port) = @ENV{qw(HOST_ADDR PORT)};\nconnect($s, $a);\n",
            "env HOST_ADDR={host} PORT={port} perl c.pl",
        ),
        (
            "c.rb",
            "TCPSocket.new(ENV['HOST'], ENV.fetch('PORT', 4000))\n",
            "env HOST={host} PORT={port} ruby c.rb",
        ),
        (
            "c.js",
            "const { HOST = 'localhost', PORT = 5000 } = process.env;\nnet.connect(PORT, HOST);\n",
            "env HOST={host} PORT={port} node c.js",
        ),
        (
            "c.c",
            "int main(void) {\n  char *port = getenv(\"CHAT_PORT\"), *host = getenv(\"CHAT_IP\");\n  connect(s, a, n);\n}\n",
            "env CHAT_PORT={port} CHAT_IP={host} ./c",
        ),
    ] {
        is_called(file, source, call);
    }
}

#[apply(test)]
fn what_is_told_to_users_counts_more_than_names() {
    for (usage, call) in [
        ("usage: java C <port> <server>", "java C {port} {host}"),
        ("Usage: C [ip] [port]", "java C {host} {port}"),
        ("Usage: java C host port", "java C {host} {port}"),
    ] {
        let source = format!(
            "class C {{\n  public static void main(String[] args) {{\n    System.out.println(\"{usage}\");\n    \
             open(args[0], args[1]);\n    new Socket(x, y);\n  }}\n}}\n"
        );
        is_called("C.java", &source, call);
    }
}

#[apply(test)]
fn arguments_that_cannot_be_told_apart_are_left_open() {
    for (source, why) in [
        (
            "p.add_argument('colour')\ns.connect(t)\n",
            "it takes an argument \"colour\", which is neither an address nor a port",
        ),
        (
            "import sys\nport = int(sys.argv[1])\nport2 = int(sys.argv[2])\ns.connect(t)\n",
            "it takes 2 arguments, and two of them look alike",
        ),
        (
            "import sys\nhost = sys.argv[1]\nuser = sys.argv[1]\ns.connect(t)\n",
            "it uses one argument for several things",
        ),
    ] {
        let guess = guessed(&[("server.py", PY_SERVER), ("client.py", source)]);
        assert_eq!(guess.client, None, "{source}");
        let doubt = format!("client: client.py: {why}");
        assert!(guess.doubts.contains(&doubt), "{doubt}: {:?}", guess.doubts);
    }
}

#[apply(test)]
fn a_letter_for_help_is_no_host_and_help_for_an_option_is_none() {
    let options = "parser.add_option('-h', '--help', help='show this')\nparser.add_option('-p', '--port', help='where it listens')\ns.connect(t)\n";
    is_called("c.py", options, "python3 c.py --port {port}");
    let letters = "int main(int argc, char **argv) {\n  if (!strcmp(argv[i], \"-h\")) h = argv[i + 1];\n  if (!strcmp(argv[i], \"-p\")) p = argv[i + 1];\n  connect(s, a, n);\n}\n";
    is_called("c.c", letters, "./c -h {host} -p {port}");
}

#[apply(test)]
fn names_say_less_than_what_is_made_of_an_argument() {
    for (file, source, call) in [
        (
            "c.py",
            "host = sys.argv[2]\nuser = sys.argv[1]\nport = int(sys.argv[1])\ns.connect(t)\n",
            "python3 c.py {port} {host}",
        ),
        ("c.rb", "p = ARGV[0].to_i\nh = ARGV[1]\ns = TCPSocket.new(h, p)\n", "ruby c.rb {port} {host}"),
        ("c.rb", "s = TCPSocket.new(ARGV[1], ARGV[0])\n", "ruby c.rb {port} {host}"),
        // A comma inside of a call.
        (
            "c.py",
            "host, port = max('', sys.argv[1]), int(sys.argv[2])\ns.connect(t)\n",
            "python3 c.py {host} {port}",
        ),
        // An array of another kind.
        (
            "c.c",
            "#define PORT 5000\nint main(void) {\n  int args[3];\n  p = args[1];\n  connect(s, a, n);\n}\n",
            "./c",
        ),
    ] {
        is_called(file, source, call);
    }
    // What is assigned only where it is given, or is one of two.
    for (file, source, call) in [
        (
            "c.c",
            "int main(int argc, char **argv) {\n  if (argc > 1) host = argv[1];\n  if (argc > 2) { port = argv[2]; }\n  connect(s, a, n);\n}\n",
            "./c {host} {port}",
        ),
        (
            "c.js",
            "if (process.argv[3]) port = process.argv[3];\nif (process.argv[2]) host = process.argv[2];\nnet.connect(port, host);\n",
            "node c.js {host} {port}",
        ),
        (
            "c.c",
            "int main(int argc, char **argv) {\n  if (all) host = argc > 1 ? argv[1] : 0;\n  if (all) port = argc > 2 ? argv[2] : 0;\n  connect(s, a, n);\n}\n",
            "./c {host} {port}",
        ),
        (
            "c.py",
            "if sys.argv[1:]: port = sys.argv[1]\nif sys.argv[2:]: host = sys.argv[2]\ns.connect(t)\n",
            "python3 c.py {port} {host}",
        ),
        (
            "c.rb",
            "port = ARGV[0] if ARGV[0]\nhost = ARGV[1] if ARGV[1]\nTCPSocket.new(host, port)\n",
            "ruby c.rb {port} {host}",
        ),
        (
            "c.pl",
            "$port = $ARGV[0] if @ARGV;\n$host = $ARGV[1] if @ARGV > 1;\nconnect($s, $a);\n",
            "perl c.pl {port} {host}",
        ),
    ] {
        is_called(file, source, call);
    }
    // Only Go and Rust have addresses of one word, and not where they are put together.
    let asks = guessed(&[
        ("server.py", PY_SERVER),
        ("c.py", "host = sys.argv[1]\nport = input('port: ')\ns.connect(t)\n"),
    ]);
    assert_eq!(asks.client.as_deref(), Some("python3 c.py {host}"), "{asks:?}");
    let joins = "package main\n\nfunc main() {\n\thost := os.Args[1]\n\tfmt.Print(\"Port: \")\n\tfmt.Scanln(&port)\n\tnet.Dial(\"tcp\", net.JoinHostPort(host, port))\n}\n";
    is_called("c.go", joins, "./c {host}");
}
