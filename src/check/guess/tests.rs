//! Guesses from small sources, written as beginners write them, in layouts as they hand them in.

use super::*;

mod asked;
mod calls;
mod decisions;
mod languages;
mod recipes;

type Files<'a> = &'a [(&'a str, &'a str)];

/// What is guessed from `files` on a machine that has everything.
fn guessed(files: Files) -> Guess {
    guessed_with(files, &|_| true)
}

fn guessed_with(files: Files, is_installed: &dyn Fn(&str) -> bool) -> Guess {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let sources = sources::read(dir.path()).unwrap();
    Guesser { dir: dir.path(), sources: &sources, is_installed, guess: Guess::default() }.run()
}

/// Holds the guess from `files` against a build, two commands, and what is typed at each.
#[track_caller]
fn holds(files: Files, build: &str, server: (&str, &[&str]), client: (&str, &[&str])) -> Guess {
    let guess = guessed(files);
    assert_eq!(guess.build.as_deref().unwrap_or_default(), build, "{guess:?}");
    assert_eq!(guess.server.as_deref(), Some(server.0), "{guess:?}");
    assert_eq!(guess.server_answers, server.1, "{guess:?}");
    assert_eq!(guess.client.as_deref(), Some(client.0), "{guess:?}");
    assert_eq!(guess.client_answers, client.1, "{guess:?}");
    guess
}

const PY_SERVER: &str = "\
import socket, sys
# connect() is the client's affair
port = int(sys.argv[1])
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.bind(('', port))
s.listen(1)
print('listening on port', port)
";
const PY_CLIENT: &str = "\
import socket, sys
host, port = sys.argv[1], int(sys.argv[2])
s = socket.socket()
s.connect((host, port))
while True:
    message = input('Enter a message to send to the server: ')
";
const C_SERVER: &str = "\
#include <stdio.h>
#include <sys/socket.h>
int main(int argc, char *argv[]) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a;
    a.sin_port = htons(atoi(argv[1]));
    bind(s, (struct sockaddr *)&a, sizeof a);
    listen(s, 5);
    int c = accept(s, NULL, NULL);
}
";
const C_CLIENT: &str = "\
#include <stdio.h>
int main(int argc, char **argv) {
    char line[1024];
    struct hostent *h = gethostbyname(argv[1]);
    a.sin_port = htons(atoi(argv[2]));
    connect(s, (struct sockaddr *)&a, sizeof a);
    fgets(line, sizeof line, stdin);
}
";
const JAVA_SERVER: &str = "\
import java.net.*;
public class Empfang {
    public static void main(String[] a) throws Exception {
        int port = Integer.parseInt(a[0]);
        ServerSocket ss = new ServerSocket(port);
        Socket s = ss.accept();
    }
}
";
const JAVA_CLIENT: &str = "\
import java.net.*;
import java.util.Scanner;
public class Sender {
    public static void main(String[] a) throws Exception {
        Socket s = new Socket(a[0], Integer.parseInt(a[1]));
        Scanner in = new Scanner(System.in);
        System.out.print(\"Message: \");
        String m = in.nextLine();
    }
}
";
