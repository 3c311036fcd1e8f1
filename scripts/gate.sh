#!/usr/bin/env bash
# The gate: what neither the compiler nor clippy refuses, and must not be left behind all the same.
# Prints every finding with its place, and exits 1 if there was one.
set -euo pipefail
cd "$(dirname "$0")/.."
found=0

# refuse WHY PATTERN PATH…: no line in these files may match the extended regular expression.
refuse() {
    local why=$1 pattern=$2
    shift 2
    local files=()
    for path in "$@"; do [ -e "$path" ] && files+=("$path"); done
    [ ${#files[@]} -gt 0 ] || return 0
    if grep -rnHE -- "$pattern" "${files[@]}"; then
        echo "gate: $why" >&2
        found=1
    fi
}

# The patterns are split so that this file does not find itself.
unfinished='\b(TO''DO|FIX''ME|X''XX|HA''CK)\b'
refuse "unfinished work is an issue, not a comment" "//.*$unfinished" src tests
refuse "unfinished work is an issue, not a comment" "#.*$unfinished" scripts Makefile .ci
refuse "left from debugging" '\b(dbg|todo|unimplemented)!' src tests
refuse "waiting is for a thing, not for a time" '\bsleep_ms\b|\bthread::sleep\(' tests
refuse "the test programs have a harness of their own: #[apply(test)]" '^[[:space:]]*#\[test\]' tests
refuse "server and client never see each other" '\b(super|pair)::client\b' src/pair/server.rs
refuse "server and client never see each other" '\b(super|pair)::server\b' src/pair/client.rs

# Imports go down only (src/README.md): what each part may import, besides itself.
may_import() {
    local part=$1 allowed=$2
    local others
    others=$(grep -rnHoE 'crate::[a-z_]+' "src/$part" "src/$part.rs" 2>/dev/null |
        grep -vE "crate::(${part}${allowed:+|$allowed}|tools)$" || true)
    [ -z "$others" ] || { echo "$others"; echo "gate: $part must not import this" >&2; found=1; }
}
may_import escape ''
may_import error 'escape'
may_import pair 'error|escape'
may_import results ''
may_import run 'error|escape'
may_import proxy 'run|error|escape'
may_import replay 'results|proxy|run|error|escape'
may_import check 'results|proxy|run|error|escape'
may_import report 'results|error|escape'

# Words for people come from few places; anything else returns them.
while IFS= read -r file; do
    case $file in
    src/cli/*.rs | src/report/*.rs) ;;
    *) refuse "only the command line and the report print" '^[[:space:]]*e?print(ln)?!' "$file" ;;
    esac
    case $(head -n 1 "$file") in
    '//!'*) ;;
    *)
        echo "$file:1: gate: a module begins with what it is for" >&2
        found=1
        ;;
    esac
done < <(find src -name '*.rs' | sort)

if command -v shellcheck >/dev/null; then
    shellcheck .ci/run scripts/*.sh || found=1
elif [ "${CI:-}" = true ]; then
    echo "gate: shellcheck is missing" >&2
    found=1
else
    echo "gate: SKIPPED the check of shell scripts: shellcheck is not here" >&2
fi
exit "$found"
