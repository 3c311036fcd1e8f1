#!/usr/bin/env bash
# The walkthrough behind `make demo`: a server and a client side by side, a session typed at a human
# pace, and what to type to do it yourself.
#
# With tmux: two panes of a tmux of its own, which nobody else's tmux knows of. Without tmux, or
# without a terminal that can show panes: the same session as two columns. Where CI runs, the panes
# are played with nobody watching, and printed at the end. Every step waits for what the screens show,
# and only then is the next one taken; the pauses in between are for the eye.
set -euo pipefail
cd "$(dirname "$0")/.."

usage='usage: scripts/demo.sh [--columns]
  --columns   two columns of plain text, also where there is tmux
DEMO_PACE=0 in the environment leaves the pauses out; ECHOLOG names the program to show.'
columns=
case ${1:-} in
'') ;;
--columns) columns=yes ;;
-h | --help) echo "$usage" && exit ;;
*) echo "error: what does $1 mean?"$'\n'"$usage" >&2 && exit 2 ;;
esac

# Short enough for 100 columns: no line of either program wraps there.
messages=('hello' 'and again')
deadline=20
[ "${CI:-}" != true ] || DEMO_PACE=${DEMO_PACE:-0}
# Milliseconds for each second of a pause.
pace=$(awk -v pace="${DEMO_PACE:-1}" 'BEGIN { printf "%d", 1000 * pace }')

if [ -z "${ECHOLOG:-}" ]; then
    command -v cargo >/dev/null || {
        echo "error: the demo builds echolog first, and there is no cargo here" >&2
        echo "hint: install Rust, or name a built program: ECHOLOG=/path/to/echolog scripts/demo.sh" >&2
        exit 2
    }
    [ ! -t 1 ] || echo "building echolog (only the first time takes a while) ..."
    cargo build --quiet --locked
    ECHOLOG=${CARGO_TARGET_DIR:-target}/debug/echolog
fi
ECHOLOG=$(realpath "$ECHOLOG")

own=
tmux_begins=
leave() {
    local tmux_server begun
    trap '' EXIT INT QUIT TERM HUP
    # A tmux that is just beginning cannot be ended: it is waited for.
    [ -z "$tmux_begins" ] || wait
    if [ -n "$own" ] && [ -s "$own/tmux-server" ]; then
        tmux_server=$(<"$own/tmux-server")
        panes kill-server 2>/dev/null || true
        # It says that it ends before it has.
        for _ in {1..250}; do
            kill -0 "$tmux_server" 2>/dev/null || break
            sleep 0.02
        done
    fi
    for begun in $(jobs -p); do kill "$begun" 2>/dev/null || true; done
    wait
    [ -z "$own" ] || rm -rf "$own"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 131' QUIT
trap 'exit 143' TERM HUP
own=$(mktemp -d "${TMPDIR:-/tmp}/echolog-demo.XXXXXX")

# Waits for so many milliseconds, with a pipe that nobody writes to: no command is started. A bash that waits
# for a command in the foreground forgets a Ctrl-C that comes just as the command ends.
mkfifo "$own/nothing"
exec 4<>"$own/nothing"
rest() {
    local seconds
    printf -v seconds '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
    read -rt "$seconds" -u 4 || true
}

# A pause of so many milliseconds is for the eye; nothing depends on it.
pause() {
    [ "$pace" -eq 0 ] || rest $(($1 * pace / 1000))
}

yourself() {
    cat <<END

To do it yourself, in two terminals (or on two computers):

    $1 server 12345
    $1 client localhost 12345

quit ends the session. All commands and options: $1 --help
END
}

# How the program is called by someone who stands in this directory.
called() {
    local here=${ECHOLOG#"$PWD"/}
    [ "$(command -v echolog || true)" = "$ECHOLOG" ] && here=echolog
    echo "$here"
}

# The width of the server's side: its longest line has 54 characters, and the client's has 44.
server_width() {
    local half=$((($1 - 2) / 2))
    if [ "$half" -gt 54 ] || [ "$1" -lt 100 ]; then echo "$half"; else echo 54; fi
}

# Lines and columns of the terminal; what it says does not count where there is none.
terminal_size() {
    local size
    size=$( (stty size </dev/tty) 2>/dev/null) || size='0 0'
    [ "${size#* }" -ge 40 ] || size='24 100'
    echo "$size"
}

# ------------------------------------------------------------------------------------ two columns

# From the first line on, nothing is started but the two programs, so that Ctrl-C is never forgotten.

# Prints a line on the server's (left) or on the client's (right) side, on as many lines as it takes.
on_side() {
    local side=$1 line=$2 width piece
    if [ "$side" = server ]; then width=$left; else width=$right; fi
    while true; do
        piece=$line
        if [ ${#piece} -gt "$width" ]; then
            piece=${line:0:width}
            [[ $piece != *' '* ]] || piece="${piece% *} "
        fi
        if [ "$side" = server ]; then
            printf '%s│\n' "$piece${empty:${#piece}}"
        else
            printf '%s│ %s\n' "$empty" "$piece"
        fi
        line=${line:${#piece}}
        [ -n "$line" ] || break
    done
}

# Prints what a program has shown since it was last asked, up to the line that ends in $2 if there is one.
# A line that is not whole yet is left for later.
show_new() {
    local side=$1 upto=${2:-} line lines
    mapfile -s "${shown[$side]}" lines <"$own/$side"
    for line in "${lines[@]}"; do
        [ "$line" != "${line%$'\n'}" ] || break
        line=${line%$'\n'}
        shown[$side]=$((shown[$side] + 1))
        on_side "$side" "$line"
        if [ -n "$upto" ] && [[ $line == *"$upto" ]]; then break; fi
    done
}

# Whether a program's screen has this text, or the program has ended.
shows_or_gone() {
    local lines
    mapfile lines <"$own/$1"
    [[ "${lines[*]}" == *"$2"* ]] || ! kill -0 "$3" 2>/dev/null
}

# Sets the variable to what stands behind the label on the server's screen.
read_value() {
    local lines line
    mapfile -t lines <"$own/server"
    for line in "${lines[@]}"; do
        if [ "$line" != "${line#"$2"}" ]; then printf -v "$1" %s "${line#"$2"}"; fi
    done
}

show_columns() {
    local server client address port message left right empty rule size
    local -A shown=([server]=0 [client]=0)
    size=$(terminal_size)
    left=$(server_width "${size#* }")
    right=$((${size#* } - left - 2))
    printf -v empty '%*s' "$left" ''
    printf -v rule '%*s' "$right" ''
    : >"$own/server"
    : >"$own/client"
    mkfifo "$own/keyboard"
    printf '%s│ %s\n' "server${empty:6}" client
    printf '%s┼─%s\n' "${empty// /─}" "${rule// /─}"

    on_side server '$ echolog server 10000-20000'
    "$ECHOLOG" server 10000-20000 >"$own/server" 2>&1 &
    server=$!
    wait_until "the server is ready" shows_or_gone server 'server is using port: ' "$server"
    show_new server
    kill -0 "$server" 2>/dev/null || fail "the server ended"
    read_value address 'server is at address: '
    read_value port 'server is using port: '
    pause 2000

    on_side client "\$ echolog client $address $port"
    "$ECHOLOG" client "$address" "$port" <"$own/keyboard" >"$own/client" 2>&1 &
    client=$!
    exec 3>"$own/keyboard"
    wait_until "the client is connected" shows_or_gone client 'client has connected' "$client"
    show_new client
    wait_until "the server shows the client" shows_or_gone server 'connected to client' "$server"
    show_new server
    for message in "${messages[@]}"; do
        pause 2000
        echo "$message" >&3
        wait_until "the client sends" shows_or_gone client "client sending message: \"$message\"" "$client"
        show_new client
        wait_until "the server shows the message" shows_or_gone server "message: \"$message\"" "$server"
        show_new server
    done
    pause 2000
    echo quit >&3
    exec 3>&-
    local status=0
    wait "$client" || status=$?
    wait "$server" || status=$?
    show_new client 'is quitting.'
    show_new server
    show_new client
    [ "$status" -eq 0 ] || fail "a program ended with $status"
}

# ---------------------------------------------------------------------------------------- panes

panes() {
    env -u TMUX tmux -S "$own/tmux" -f /dev/null "$@"
}

caption() {
    panes set -g 'status-format[0]' "#[bold] $1" \; set -g 'status-format[1]' " ${2:-}"
}

# Whether the text in the pane (wrapped lines joined) has this in it.
has() {
    panes capture-pane -p -J -S - -t "demo:0.$1" | grep -qF -- "$2"
}

# The last line of the pane that is not empty begins with this.
ends_with() {
    panes capture-pane -p -J -t "demo:0.$1" | sed '/^ *$/d' | tail -n 1 | grep -qF -- "$2"
}

type_at() {
    local pane=$1 text=$2 at
    if [ "$pace" -eq 0 ]; then
        panes send-keys -t "demo:0.$pane" -l "$text"
    else
        for ((at = 0; at < ${#text}; at++)); do
            panes send-keys -t "demo:0.$pane" -l -- "${text:at:1}"
            pause 40
        done
    fi
    pause 400
    panes send-keys -t "demo:0.$pane" Enter
}

# Plays the session in the panes. What it waits for is what a person would look for.
play() {
    local prompt='enter a message to send to server: ' message address port
    caption "A server on the left, a client on the right." "They could be two computers. q leaves at any time."
    wait_until "a shell is there" ends_with 0 '$'
    wait_until "a shell is there" ends_with 1 '$'
    pause 1200
    caption "1  The server starts first." "It shows the address and the port for the client to use, and waits."
    type_at 0 'echolog server 10000-20000'
    wait_until "the server is ready" has 0 'server is using port: '
    address=$(panes capture-pane -p -J -t demo:0.0 | sed -n 's/^server is at address: \([^ ]*\).*/\1/p')
    port=$(panes capture-pane -p -J -t demo:0.0 | sed -n 's/^server is using port: \([0-9]*\).*/\1/p')
    pause 1200
    caption "2  The client connects." "Both programs say so, and the client asks for a message."
    panes select-pane -t demo:0.1
    type_at 1 "echolog client $address $port"
    wait_until "the client asks" ends_with 1 "${prompt% }"
    wait_until "the server tells of the client" has 0 'server connected to client at address: '
    pause 1200
    caption "3  Each message goes out with Enter." "The server shows it at once, and keeps it in its log."
    for message in "${messages[@]}"; do
        type_at 1 "$message"
        wait_until "the message is shown" has 0 "server received message: \"$message\""
        wait_until "the client asks again" ends_with 1 "${prompt% }"
        pause 1000
    done
    caption "4  quit ends the session." "The server sends the whole log back, the client checks it, both end."
    type_at 1 quit
    wait_until "the log is back" has 1 'client received message log:'
    wait_until "the client has ended" ends_with 1 '$'
    wait_until "the server has ended" ends_with 0 '$'
    has 0 'the client has informed the server that it is quitting' || fail "the server did not see the quit"
    pause 1000
    caption "That was all of it. Press q." "Then you can do it yourself."
}

# Makes the panes; fails where tmux cannot.
make_panes() {
    local size lines columns
    size=$(terminal_size)
    lines=${size% *} columns=${size#* }
    # Both shells are plain ones, so that what is seen is the same on every machine.
    mkdir "$own/bin"
    ln -s "$ECHOLOG" "$own/bin/echolog"
    local shell="env PS1='\$ ' PATH='$own/bin:$PATH' HISTFILE= bash --noprofile --norc"
    # It keeps the terminal as its input: tmux refuses here one that it does not know.
    tmux_begins=yes
    panes new-session -d -P -F '#{pid}' -s demo -x "$columns" -y "$lines" "$shell" <&0 >"$own/tmux-server" 2>/dev/null &
    wait "$!" || return 1
    tmux_begins=
    # Keys are keys here, however fast they come: without a paste time, nothing is taken for a paste.
    panes set -g assume-paste-time 0 \; set -g status 2 \; set -g status-style 'reverse' \; set -g prefix None \; set -g escape-time 0 \; \
        set -g pane-border-status top \; set -g pane-border-format ' #{?#{==:#{pane_index},0},server,client} ' \; \
        set -g window-size latest \; bind -n q detach-client \; bind -n C-c detach-client \; \
        bind -n C-d detach-client \; bind -n Escape detach-client
    panes split-window -h -l "$((columns - $(server_width "$columns") - 1))" -t demo:0.0 "$shell"
    panes select-pane -t demo:0.0
}

show_panes() {
    if [ ! -t 1 ]; then
        play &
        wait "$!"
        for pane in 0 1; do
            echo "--- $([ $pane = 0 ] && echo server || echo client)"
            panes capture-pane -p -J -S - -t "demo:0.$pane" | sed -e 's/ *$//' -e '/^$/d'
        done
        return
    fi
    (play) >"$own/played" 2>&1 &
    local player=$!
    # Whoever watches can leave, and nothing else: what they type does not reach the panes.
    if ! panes attach-session -t demo -f read-only 2>/dev/null; then
        # A terminal that tmux does not know.
        kill "$player"
        show_columns
        return
    fi
    # tmux says that it was left; that line is not the user's.
    printf '\033[1A\033[2K'
    if kill "$player" 2>/dev/null; then
        echo "The demo was left before its end."
    else
        wait "$player" || { cat "$own/played" >&2 && exit 1; }
    fi
}

# ----------------------------------------------------------------------------------------- both

fail() {
    echo "error: the demo is stuck: $1" >&2
    if [ -S "$own/tmux" ]; then
        for pane in 0 1; do panes capture-pane -p -t "demo:0.$pane" | sed '/^ *$/d' >&2; done
        panes detach-client -s demo 2>/dev/null || true
    fi
    exit 1
}

# wait_until WHAT COMMAND…: looks until the command succeeds.
wait_until() {
    local what=$1 end=$((SECONDS + deadline))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || fail "$what: not within $deadline s"
        rest 50
    done
}

can_show_panes() {
    [ -z "$columns" ] && command -v tmux >/dev/null || return 1
    if [ -t 1 ]; then
        local size
        size=$(stty size </dev/tty 2>/dev/null) || return 1
        [ "${size% *}" -ge 16 ] && [ "${size#* }" -ge 70 ] && [ "${TERM:-dumb}" != dumb ]
    else
        [ "${CI:-}" = true ]
    fi
}

if can_show_panes && make_panes; then
    show_panes
else
    show_columns
fi
yourself "$(called)"
