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
refuse "the tests have a harness of their own: #[apply(test)]" '^[[:space:]]*#\[test\]' tests src
refuse "server and client never see each other" '\b(super|pair)::client\b' src/pair/server.rs
refuse "server and client never see each other" '\b(super|pair)::server\b' src/pair/client.rs

# Imports go down only (src/README.md): what each part may import, besides itself.
may_import() {
    local part=$1 allowed=$2
    local others
    others=$(grep -rnHoE 'crate::[a-z_]+' "src/$part" "src/$part.rs" 2>/dev/null |
        grep -vE "crate::(${part}${allowed:+|$allowed}|common)$" || true)
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

# Prints "FILE FILE" for each file of src and each other one that it imports (tests aside).
imports() {
    # shellcheck disable=SC2016  # awk's own $0
    find src -name '*.rs' | sort | xargs awk '
        # the module that a file is
        function module(file) {
            sub(/^src\//, "", file); sub(/\.rs$/, "", file); sub(/(^|\/)(mod|main)$/, "", file)
            gsub("/", "::", file)
            return file
        }
        function parent(name) { return name ~ /::/ ? substr(name, 1, match(name, /::[a-z_0-9]+$/) - 1) : "" }
        # follows a path as far as there are files
        function resolve(path, parts, n, i, found, try) {
            n = split(path, parts, "::"); found = ""; try = ""
            for (i = 1; i <= n; i++) {
                try = (try == "" ? parts[i] : try "::" parts[i])
                if (!(try in files)) break
                found = try
            }
            return found
        }
        function import(from, base, rest,    depth, i, c, item, target) {
            # one level of braces at a time
            if (match(rest, /\{/)) {
                prefix = substr(rest, 1, RSTART - 1); body = substr(rest, RSTART + 1); sub(/\}[^}]*$/, "", body)
                depth = 0; item = ""
                for (i = 1; i <= length(body) + 1; i++) {
                    c = (i > length(body)) ? "," : substr(body, i, 1)
                    if (c == "{") depth++
                    if (c == "}") depth--
                    if (c == "," && depth == 0) { if (item != "") import(from, base, prefix item); item = "" }
                    else item = item c
                }
                return
            }
            target = resolve(base == "" ? rest : base "::" rest)
            if (target != "" && target != from) edges[files[from] " " files[target]] = 1
        }
        function statement(from, text,    base) {
            gsub(/[ \t\n]|pub\([a-z]*\)/, "", text)
            if (text !~ /^use/ || text ~ /^usestd|^useself/) return
            sub(/^use/, "", text); sub(/;$/, "", text)
            if (sub(/^crate::/, "", text)) import(from, "", text)
            else if (text ~ /^super::/) {
                base = from
                while (sub(/^super::/, "", text)) base = parent(base)
                import(from, base, text)
            } else import(from, from, text)
        }
        FNR == 1 { count++; name[count] = module(FILENAME); files[name[count]] = FILENAME; tests = 0 }
        /^#\[cfg\(test\)\]/ { tests = 1 }
        tests { next }
        /^use / || open { text[count] = text[count] $0; open = !/;/ ; if (!open) text[count] = text[count] "\n" }
        END {
            for (i = 1; i <= count; i++) {
                n = split(text[i], statements, "\n")
                for (j = 1; j <= n; j++) statement(name[i], statements[j])
            }
            for (edge in edges) print edge
        }'
}

loops=$(imports | sed 's/src\///g; s/\.rs//g' | tsort 2>&1 >/dev/null || true)
[ -z "$loops" ] || { echo "$loops" >&2; echo "gate: no two files import each other" >&2; found=1; }

# A file is read as a whole. Tests, comments and blank lines do not count.
while IFS= read -r file; do
    lines=$(awk '/^#\[cfg\(test\)\]/ { exit } /^[[:space:]]*(\/\/.*)?$/ { next } { n++ } END { print n + 0 }' "$file")
    [ "$lines" -le 500 ] || { echo "$file: gate: $lines lines of code, and 500 is the limit" >&2; found=1; }
done < <(find src -name '*.rs' ! -name tests.rs | sort)

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
