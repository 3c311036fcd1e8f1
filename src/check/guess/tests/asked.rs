//! What programs ask for at the keyboard, in each language, and what is no question.

use super::*;

/// Holds what is typed first at a client `source` in `file`, beside a server in Python.
#[track_caller]
fn is_answered(file: &str, source: &str, answers: &[&str]) {
    let guess = guessed(&[("server.py", PY_SERVER), (file, source)]);
    assert!(guess.client.is_some(), "{source}: {guess:?}");
    assert_eq!(guess.client_answers, answers, "{source}");
}

#[apply(test)]
fn each_language_has_its_own_keyboard() {
    for (file, source) in [
        (
            "c.c",
            "int main() {\n  printf(\"Server address: \");\n  fgets(host, 100, stdin);\n  printf(\"Port: \");\n  scanf(\"%d\", &port);\n  connect(s, a, n);\n  fgets(line, 100, in);\n}\n",
        ),
        (
            "c.cpp",
            "int main() {\n  std::cout << \"Server address: \";\n  std::getline(std::cin, host);\n  std::cout << \"Port: \";\n  std::cin >> port;\n  connect(s, a, n);\n  getline(file, reply);\n}\n",
        ),
        (
            "C.java",
            "class C {\n  public static void main(String[] x) {\n    Scanner keys = new Scanner(System.in);\n    System.out.print(\"Server address: \");\n    String h = keys.nextLine();\n    System.out.print(\"Port: \");\n    int p = keys.nextInt();\n    Socket s = new Socket(h, p);\n    Scanner in = new Scanner(s.getInputStream());\n    System.out.println(\"name of the host: \" + in.nextLine());\n  }\n}\n",
        ),
        (
            "c.go",
            "package main\n\nfunc main() {\n\treader := bufio.NewReader(os.Stdin)\n\tfmt.Print(\"Server address: \")\n\thost, _ := reader.ReadString('\\n')\n\tfmt.Print(\"Port: \")\n\tfmt.Scanln(&port)\n\tconn, _ := net.Dial(\"tcp\", address)\n\tanswers := bufio.NewReader(conn)\n\tfmt.Print(\"host name: \")\n\tanswers.ReadString('\\n')\n}\n",
        ),
        (
            "c.rs",
            "fn main() {\n    let keys = std::io::stdin();\n    println!(\"Server address: \");\n    keys.read_line(&mut host);\n    println!(\"Port: \");\n    std::io::stdin().read_line(&mut port);\n    TcpStream::connect(t);\n    println!(\"name of the host\");\n    reader.read_line(&mut reply);\n}\n",
        ),
        (
            "c.sh",
            "#!/bin/bash\nread -p 'Server address: ' host\nread -p 'Port: ' port\nexec 3<>/dev/tcp/$host/$port\n",
        ),
        (
            "c.pl",
            "print 'Server address: ';\nmy $h = <STDIN>;\nprint 'Port: ';\nmy $p = <>;\nconnect($s, $a);\n",
        ),
        (
            "c.php",
            "<?php\necho 'Server address: ';\n$h = fgets(STDIN);\n$p = readline('Port: ');\nfsockopen($h, $p);\n",
        ),
    ] {
        is_answered(file, source, &["{host}", "{port}"]);
    }
}

#[apply(test)]
fn a_variable_speaks_where_the_question_does_not() {
    is_answered("c.py", "port = input('> ')\nhost = input('> ')\ns.connect(t)\n", &["{port}", "{host}"]);
    is_answered("c.py", "ip = input()\nport = int(input())\ns.connect(t)\n", &["{host}", "{port}"]);
    is_answered("c.py", "where = input('host:port? ')\ns.connect(t)\n", &["{host}:{port}"]);
    // What is asked twice is answered once, and a message ends it.
    is_answered(
        "c.py",
        "host = input('host: ')\nport = input('port: ')\nport = input('port: ')\ns.connect(t)\nm = input('message to the host: ')\nuser = input('name: ')\n",
        &["{host}", "{port}"],
    );
    is_answered(
        "c.py",
        "host = input('host: ')\nport = 1234\nmsg = input('? ')\nname = input('name: ')\ns.connect(t)\n",
        &["{host}"],
    );
    is_answered(
        "c.py",
        "host = input('host: ')\nport = 1234\ntext = input('? ')\nname = input('name: ')\ns.connect(t)\n",
        &["{host}", "ada"],
    );
}

#[apply(test)]
fn a_function_asks_where_it_is_called_and_only_in_its_body() {
    is_answered(
        "c.js",
        "const ask = q => new Promise(r => rl.question(q, r));\nasync function main() {\n  const port = await ask('Port? ');\n  const host = await ask('Host? ');\n  net.connect(port, host);\n}\n",
        &["{port}", "{host}"],
    );
    is_answered(
        "C.java",
        "class C {\n  static String ask(String q) {\n    if (q.isEmpty())\n      q = \"?\";\n    else if (q == null)\n      q = \"!\";\n    System.out.print(q);\n    return new Scanner(System.in).nextLine();\n  }\n\n  public static void main(String[] a) {\n    String p = ask(\"Port? \");\n    String h = ask(\"Host? \");\n    new Socket(h, p);\n  }\n}\n",
        &["{port}", "{host}"],
    );
    // The function before has ended.
    is_answered(
        "c.py",
        "def note(q):\n    print(q)\n\nhost = input('Host: ')\nport = input('Port: ')\nnote('ready')\ns.connect(t)\n",
        &["{host}", "{port}"],
    );
}

#[apply(test)]
fn what_comes_from_a_connection_is_no_question() {
    for (file, source) in [
        (
            "c.c",
            "int main() {\n  connect(s, a, n);\n  puts(\"user name\");\n  fgets(user, 9, in);\n  puts(\"user name\");\n  fscanf(in, \"%s\", user);\n  puts(\"Server\");\n  strcpy(mode, \"port\");\n  fgets(h, 99, stdin);\n  puts(\"Port\");\n  fscanf(stdin, \"%d\", &p);\n}\n",
        ),
        (
            "c.cpp",
            "int main() {\n  connect(s, a, n);\n  std::cout << \"user name\";\n  std::getline(file, user);\n  std::cout << \"Server\";\n  std::getline(std::cin, h);\n  std::cout << \"Port\";\n  std::cin >> p;\n}\n",
        ),
        (
            "C.java",
            "class C {\n  public static void main(String[] x) {\n    Socket s = new Socket(h, p);\n    Scanner in = new Scanner(s.getInputStream());\n    System.out.println(\"user name\");\n    String user = in.nextLine();\n    Scanner keys = new Scanner(System.in);\n    System.out.println(\"Server\");\n    String h = keys.nextLine();\n    System.out.println(\"Port\");\n    int p = keys.nextInt();\n  }\n}\n",
        ),
        (
            "c.go",
            "package main\n\nfunc main() {\n\tconn, _ := net.Dial(\"tcp\", address)\n\tin := bufio.NewReader(conn)\n\tfmt.Println(\"user name\")\n\tuser, _ := in.ReadString('\\n')\n\tfmt.Println(\"Server\")\n\tfmt.Scanln(&h)\n\tfmt.Println(\"Port\")\n\tfmt.Scanln(&p)\n}\n",
        ),
        (
            "c.rs",
            "fn main() {\n    TcpStream::connect(t);\n    println!(\"user name\");\n    reader.read_line(&mut user);\n    println!(\"Server\");\n    std::io::stdin().read_line(&mut h);\n    println!(\"Port\");\n    std::io::stdin().read_line(&mut p);\n}\n",
        ),
    ] {
        is_answered(file, source, &["{host}", "{port}"]);
    }
}

#[apply(test)]
fn where_a_function_ends_is_told_by_how_its_lines_are_indented() {
    for (file, source) in [
        // Blank lines, and a brace on a line of its own.
        (
            "C.cs",
            "class C\n{\n    static string Ask(string q)\n    {\n        Console.Write(q);\n\n        return Console.ReadLine();\n    }\n\n    static void Main(string[] a)\n    {\n        var h = Ask(\"Host? \");\n        var p = Ask(\"Port? \");\n        new TcpClient(h, int.Parse(p));\n    }\n}\n",
        ),
        // One blank is enough.
        (
            "c.py",
            "import socket\ndef ask(q):\n return input(q)\nh = ask('Host? ')\np = ask('Port? ')\ns.connect(t)\n",
        ),
        // The body of a class goes on behind its functions.
        (
            "c.py",
            "import socket\nclass Client:\n    def note(text):\n        print(text)\n    host = input('Host: ')\n    port = input('Port: ')\n    note('ready')\n    s.connect(t)\n",
        ),
        // The first line is empty.
        ("c.py", "\nhost = input('Host: ')\nport = input('Port: ')\ns.connect(t)\n"),
    ] {
        is_answered(file, source, &["{host}", "{port}"]);
    }
}
