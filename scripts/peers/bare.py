"""The least that any pair has to do: the bytes of a script go there, into a file, and back, in the
largest pieces that help, and nobody looks at them.

One of the programs that scripts/bench.sh measures echolog against. Usage: bare.py server PORT, or
bare.py client HOST PORT SCRIPT.
"""

import socket
import sys
import tempfile

PIECE = 256 * 1024


def pieces(read_into):
    buffer = bytearray(PIECE)
    view = memoryview(buffer)
    while count := read_into(buffer):
        yield view[:count]


def server(port):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", port))
        listener.listen(1)
        connection, _ = listener.accept()
    with connection, tempfile.TemporaryFile(buffering=0) as kept:
        for piece in pieces(connection.recv_into):
            kept.write(piece)
        kept.seek(0)
        for piece in pieces(kept.readinto):
            connection.sendall(piece)


def client(host, port, script):
    with socket.create_connection((host, port)) as connection, open(script, "rb", buffering=0) as source:
        for piece in pieces(source.readinto):
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        for _ in pieces(connection.recv_into):
            pass


if __name__ == "__main__":
    if sys.argv[1] == "server":
        server(int(sys.argv[2]))
    else:
        client(sys.argv[2], int(sys.argv[3]), sys.argv[4])
