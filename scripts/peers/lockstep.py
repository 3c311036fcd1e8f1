"""A session in lockstep as pexpect drives it: each message is typed when the server has shown the one
before. One of the programs that scripts/bench.sh measures the `terminal` drive against.

usage: lockstep.py PORT COUNT [DELAY]   (pexpect's delay before it types; its own default without)
"""

import os
import sys

import pexpect


def main():
    port, count = sys.argv[1], int(sys.argv[2])
    server = pexpect.spawn(os.environ["ECHOLOG"], ["server", port], echo=False)
    client_env = {**os.environ, "TERM": "dumb"}
    server.expect_exact("server is using port: ")
    client = pexpect.spawn(os.environ["ECHOLOG"], ["client", "127.0.0.1", port], env=client_env, echo=False)
    if len(sys.argv) > 3:
        server.delaybeforesend = client.delaybeforesend = None
    for number in range(count):
        client.expect_exact("enter a message to send to server: ")
        client.sendline(f"message {number}")
        server.expect_exact(f'server received message: "message {number}"')
    client.sendline("quit")
    client.expect(pexpect.EOF)
    server.expect(pexpect.EOF)


if __name__ == "__main__":
    main()
