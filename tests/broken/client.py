"""A client of the assignment with one flaw, for tests of the harness.

usage: client.py FLAW HOST PORT

With the flaw `none` it is sound.
"""
import signal
import socket
import sys
import time


def main():
    flaw, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if flaw == "ignores-signals":
        for ignored in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(ignored, signal.SIG_IGN)
    connection = socket.create_connection((host, port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print("client has connected to the server!")
    sent = []
    while True:
        print("enter a message to send to server: ", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            print()
        elif not sys.stdin.isatty():
            print(line.rstrip("\n"))
        message = line.rstrip("\n") if line else "quit"
        if message == "quit":
            break
        print(f'client sending message: "{message}"', flush=True)
        connection.sendall(message.encode() + b"\n")
        sent.append(message)
    print("client informing server that it is quitting.", flush=True)
    connection.sendall(b"quit\n")
    print("client received message log:")
    if flaw == "own-log":
        for message in sent:
            print(message)
    else:
        received = b""
        while piece := connection.recv(4096):
            received += piece
        print(received.decode(), end="", flush=True)
    if flaw in ("never-ends", "ignores-signals"):
        while True:
            time.sleep(1000)
    if flaw == "exit-1":
        sys.exit(1)


try:
    main()
except OSError:
    if sys.argv[1] == "silent":
        sys.exit(1)
    raise
