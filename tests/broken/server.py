"""A server of the assignment with one flaw, for tests of the harness.

usage: server.py FLAW PORT

With the flaw `none` it is sound, so that a test can tell the flaw from everything else.
"""
import os
import signal
import socket
import subprocess
import sys
import time


def main():
    flaw, port = sys.argv[1], int(sys.argv[2])
    if flaw == "dies-at-start":
        sys.exit("error: nothing works today")
    if flaw == "never-listens":
        time.sleep(1000)
    if flaw == "ignores-signals":
        for ignored in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(ignored, signal.SIG_IGN)
    if flaw == "leaves-a-grandchild":
        subprocess.Popen(
            ["sleep", "987"],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    held_back = []

    def show(line):
        if flaw == "held-back":
            held_back.append(line)
        else:
            print(line, flush=True)

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", port))
    print("server is at address: 127.0.0.1")
    print(f"server is using port: {port}", flush=True)
    listener.listen(1)
    connection, client = listener.accept()
    show(f"server connected to client at address: {client[0]}")
    if flaw == "floods":
        while True:
            print("x" * 1000)
    if flaw == "crashes":
        os.kill(os.getpid(), signal.SIGSEGV)

    log = []
    for message in messages(connection, flaw):
        if flaw == "loses-the-last":
            # Shown and logged when the next one comes, so that the last never is.
            log.append(message)
            if len(log) > 1:
                show(f'server received message: "{log[-2]}"')
            continue
        log.append(message)
        show(f'server received message: "{message}"')
    show("the client has informed the server that it is quitting")

    if flaw in ("loses-the-last", "short-log"):
        log = log[:-1]
    if flaw == "reordered-log":
        log = log[1:] + log[:1]
    connection.sendall("".join(message + "\n" for message in log).encode())
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(4096):
        pass
    if held_back:
        print("\n".join(held_back))
    if flaw in ("never-ends", "ignores-signals"):
        while True:
            time.sleep(1000)
    if flaw == "exit-1":
        sys.exit(1)


def messages(connection, flaw):
    """Every message before quit."""
    buffer = b""
    while True:
        piece = connection.recv(4096)
        if not piece and flaw == "takes-an-end-for-quit":
            return
        if not piece and flaw == "shows-half-a-message":
            print(f'server received message: "{buffer.decode()}"')
        if not piece:
            sys.exit("error: the client left without quit")
        if flaw == "one-read-one-message":
            message = piece.decode().rstrip("\n")
            if message == "quit":
                return
            yield message
            continue
        buffer += piece
        while b"\n" in buffer:
            line, buffer = buffer.split(b"\n", 1)
            if line == b"quit":
                return
            yield line.decode()


main()
