#!/usr/bin/env bash
# Sessions as a bare shell loop plays them, two at a time, with nothing looked at. One of the programs
# that scripts/bench.sh measures `echolog replay` against.
#
# usage: shell_loop.sh SCRIPT COUNT
set -euo pipefail

session() {
    local line
    exec 3< <(exec "$ECHOLOG" server 10000-20000)
    read -r line <&3
    read -r line <&3
    "$ECHOLOG" client 127.0.0.1 "${line##* }" --script "$1" >/dev/null
    cat <&3 >/dev/null
}

for _ in 1 2; do
    for ((count = $2 / 2; count > 0; count--)); do session "$1"; done &
done
wait
