"""The assignment's server as a competent student writes it: plain Python, buffered input and output.

One of the programs that scripts/bench.sh measures echolog against. With --at-once each message is on
the screen before the next is read, as the assignment asks, wherever the screen is.
"""

import socket
import sys

AT_ONCE = "--at-once" in sys.argv


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else int(input("enter port to listen on: "))
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", port))
        listener.listen(1)
        print("server is at address:", socket.gethostbyname(socket.gethostname()))
        print("server is using port:", listener.getsockname()[1], flush=True)
        connection, (address, _) = listener.accept()
    with connection, connection.makefile("rw", encoding="utf-8", newline="\n", buffering=65536) as peer:
        print("server connected to client at address:", address)
        log = []
        for line in peer:
            message = line.rstrip("\r\n")
            if message == "quit":
                break
            print(f'server received message: "{message}"', flush=AT_ONCE)
            log.append(line)
        else:
            sys.exit("error: the client left without quit")
        print("the client has informed the server that it is quitting")
        peer.writelines(log)


if __name__ == "__main__":
    main()
