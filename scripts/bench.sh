#!/usr/bin/env bash
# The project's one benchmark: builds the release program, measures it against what a user would
# pick instead, and prints one table. `scripts/bench.sh --help` tells how to make it smaller.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in cargo python3; do
    command -v "$tool" >/dev/null || { echo "error: $tool is needed to measure anything" >&2; exit 2; }
done
cargo build --release --locked --quiet
target=${CARGO_TARGET_DIR:-target}

# pexpect comes from its registry into an environment of its own; without it one row is left out.
python=python3
if python3 -m venv "$target/bench-venv" >/dev/null 2>&1 &&
    "$target/bench-venv/bin/python" -m pip install --quiet --disable-pip-version-check pexpect; then
    python=$target/bench-venv/bin/python
fi
ECHOLOG=$(realpath "$target/release/echolog") exec "$python" scripts/bench.py "$@"
