"""The assignment's client as a competent student writes it: plain Python, buffered input and output.

One of the programs that scripts/bench.sh measures echolog against. A third argument names a file of
messages, one a line, to send instead of asking for them. With --at-once each is on its way, and on
the screen, before the next is read.
"""

import socket
import sys

AT_ONCE = "--at-once" in sys.argv


def typed():
    while True:
        try:
            yield input("enter a message to send to server: ")
        except EOFError:
            return


def from_script(path):
    with open(path, encoding="utf-8", buffering=65536) as script:
        for line in script:
            message = line.rstrip("\n")
            print("enter a message to send to server:", message)
            yield message


def main():
    host = sys.argv[1] if len(sys.argv) > 1 else input("enter server address: ")
    port = int(sys.argv[2]) if len(sys.argv) > 2 else int(input("enter server port: "))
    with socket.create_connection((host, port)) as connection:
        print("client has connected to the server!")
        scripted = len(sys.argv) > 3
        with connection.makefile("rw", encoding="utf-8", newline="\n", buffering=65536) as server:
            for message in from_script(sys.argv[3]) if scripted else typed():
                if message == "quit":
                    break
                print(f'client sending message: "{message}"', flush=AT_ONCE)
                server.write(message + "\n")
                if AT_ONCE or not scripted:
                    server.flush()
            print("client informing server that it is quitting.")
            server.write("quit\n")
            server.flush()
            print("client received message log:")
            for line in server:
                sys.stdout.write(line)


if __name__ == "__main__":
    main()
