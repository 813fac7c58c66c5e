#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Shows a bus at work, and what happens when its broker is killed:
#
#   hostmon --> ipc-broker --> hostmon-view   (counts what it gets)
#                         \--> ipcctl sub     (shows it, without any .proto)
#
# After 5 of 10 seconds the broker dies of SIGKILL and is started again a
# second later. In the end what hostmon has published is compared with what
# hostmon-view has received. Exits 0 only if nothing was lost, nothing came
# twice and nothing came in disorder.
#
# Everything lives in a temporary folder: no other bus is touched.
set -euo pipefail

readonly kinds=(cpu memory disks network processes)
readonly deadline_seconds=15

# --- talking -----------------------------------------------------------------

now_us() { echo "${EPOCHREALTIME/[.,]/}"; }

begun_us=$(now_us)
readonly begun_us

# A step of the demo, with the seconds since its start.
say() {
  local tenths=$((($(now_us) - begun_us) / 100000))
  printf '[%2d.%d s] %s\n' $((tenths / 10)) $((tenths % 10)) "$*"
}

# Ends the demo, with what the programs had to say.
die() {
  printf 'demo: %s\n' "$*" >&2
  if [[ -d ${folder:-} ]]; then tail -n 5 "$folder"/*.err >&2 || true; fi
  exit 1
}

# --- the programs ------------------------------------------------------------

find_program() {
  local place
  for place in . bin broker tools examples/hostmon; do
    if [[ -x $build/$place/$1 && ! -d $build/$place/$1 ]]; then
      echo "$build/$place/$1"
      return
    fi
  done
  die "there is no $1 in $build; build it first"
}

declare -A pid_of=()  # of what runs, by name

# start NAME COMMAND...: its output goes to $folder/NAME.out and NAME.err.
start() {
  local name=$1
  shift
  touch "$folder/$name.out"  # there is something to look into at once
  "$@" >>"$folder/$name.out" 2>>"$folder/$name.err" &
  pid_of[$name]=$!
}

# Whether our child NAME has not ended. (kill -0 would take another process
# with its old pid for it.)
is_running() {
  [[ $'\n'$(jobs -pr)$'\n' == *$'\n'${pid_of[$1]}$'\n'* ]]
}

has_ended() { ! is_running "$1"; }

# wait_until WHAT COMMAND...: until it succeeds; ends the demo if that takes
# too long.
wait_until() {
  local what=$1 end=$((SECONDS + deadline_seconds))
  shift
  until "$@"; do
    ((SECONDS < end)) || die "waited $deadline_seconds s for $what"
    sleep 0.05
  done
}

check_running() {
  local name
  for name in "${!pid_of[@]}"; do
    is_running "$name" || die "$name has ended by itself"
  done
}

# Asks NAME to end and waits for it; returns its exit code.
stop() {
  local pid=${pid_of[$1]}
  kill -TERM "$pid" 2>/dev/null || true
  wait_until "the end of $1" has_ended "$1"
  unset "pid_of[$1]"
  wait "$pid"
}

# Whatever happens, nothing of the demo stays behind.
clean_up() {
  set +e
  trap - INT TERM HUP
  local name end=$((SECONDS + 3))
  for name in "${!pid_of[@]}"; do
    if is_running "$name"; then kill -TERM "${pid_of[$name]}"; fi
  done
  for name in "${!pid_of[@]}"; do
    while is_running "$name" && ((SECONDS < end)); do sleep 0.05; done
    if is_running "$name"; then kill -KILL "${pid_of[$name]}"; fi
    wait "${pid_of[$name]}"
  done 2>/dev/null
  if [[ -d ${folder:-} ]]; then rm -rf "$folder"; fi
}

# --- showing the stream ------------------------------------------------------

shown_lines=0

# show WHO LINE: cut to the terminal.
show() {
  local line="    $1 | $2"
  printf '%s\n' "${line:0:columns}"
}

# Shows one line of what ipcctl has printed since the last time, another kind
# each time.
show_stream() {
  local lines new
  lines=$(wc -l <"$folder/ipcctl.out")
  new=$((lines - shown_lines))
  shown_lines=$lines
  if ((new == 0)); then
    show ipcctl "(silence)"
  else
    show ipcctl "$(head -n "$((lines - $1 % (new < 5 ? new : 5)))" \
      "$folder/ipcctl.out" | tail -n 1)"
  fi
}

# Lets SECONDS pass and shows the stream meanwhile, a few lines a second.
watch_stream() {
  local tick
  for ((tick = 1; tick <= 2 * $1; ++tick)); do
    sleep 0.5
    check_running
    show_stream "$tick"
    if ((tick % 2 == 0)); then
      show viewer "$(tail -n 1 "$folder/hostmon-view.out")"
    fi
  done
}

# --- the parts of the demo ---------------------------------------------------

start_broker() {
  start broker "$broker" --socket "$socket"
}

stream_moves() {
  check_running
  (($(wc -l <"$folder/ipcctl.out") > shown_lines))
}

viewer_is_ready() {
  check_running
  grep -qx ready "$folder/hostmon-view.out"
}

socket_exists() {
  check_running
  [[ -S $socket ]]
}

start_all() {
  say "starting a broker on a private socket, $socket"
  start_broker
  wait_until "the broker's socket" socket_exists
  say "starting ipcctl sub 'host/**' and hostmon-view, and waiting for both"
  start ipcctl "$ipcctl" sub --wait 'host/**'
  start hostmon-view "$viewer"
  wait_until "hostmon-view's subscription" viewer_is_ready
  say "starting hostmon: five topics, ten times a second"
  start hostmon "$hostmon"
}

kill_broker() {
  local pid=${pid_of[broker]}
  unset 'pid_of[broker]'
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null || (($? == 137)) || die "the broker was not killed"
}

# Hostmon first: it ends when all it has published has been consumed, and only
# then the viewer is told to stop counting.
stop_all() {
  stop hostmon || die "hostmon failed: not all it published was consumed"
  stop hostmon-view || die "hostmon-view failed"
  stop ipcctl || true
  stop broker || true
}

# --- the verdict -------------------------------------------------------------

# count KEY LINE: the number behind "KEY=" in the line; -1 if there is none.
count() {
  if [[ " $2 " =~ " $1="([0-9]+)" " ]]; then
    echo "${BASH_REMATCH[1]}"
  else
    echo -1
  fi
}

report() {
  local published received kind sent got key verdict=0
  published=$(grep '^published ' "$folder/hostmon.out") ||
    die "hostmon has not told what it published"
  received=$(grep '^received ' "$folder/hostmon-view.out") ||
    die "hostmon-view has not told what it received"

  printf '\n  %-10s %10s %10s\n' topic published received
  for kind in "${kinds[@]}"; do
    sent=$(count "$kind" "$published")
    got=$(count "$kind" "$received")
    printf '  %-10s %10d %10d\n' "$kind" "$sent" "$got"
    ((sent > 0 && sent == got)) || verdict=1
  done
  echo
  for key in lost twice disordered gaps; do
    got=$(count "$key" "$received")
    printf '  %-10s %10d\n' "$key" "$got"
    ((got == 0)) || verdict=1
  done
  printf '\n  ipcctl showed %d lines; the broker was away for %d.%d s\n\n' \
    "$(wc -l <"$folder/ipcctl.out")" $((away_us / 1000000)) \
    $((away_us / 100000 % 10))
  return "$verdict"
}

# --- main --------------------------------------------------------------------

if (($# != 1)) || [[ ! -d $1 ]]; then
  echo "usage: examples/demo.sh BUILD_DIR" >&2
  exit 2
fi
build=$(cd "$1" && pwd)
broker=$(find_program ipc-broker)
ipcctl=$(find_program ipcctl)
hostmon=$(find_program hostmon)
viewer=$(find_program hostmon-view)
columns=100
if [[ -t 1 ]]; then columns=$(tput cols 2>/dev/null || echo 80); fi

trap clean_up EXIT
trap 'exit 130' INT TERM HUP
# Not in $TMPDIR, which may be too long for a socket's path.
folder=$(mktemp -d /tmp/ipc-demo.XXXXXX)
socket=$folder/bus.sock
export IPC_SOCKET=$socket  # every client's default

start_all
watch_stream 5
say "killing the broker with SIGKILL; hostmon goes on publishing"
killed_us=$(now_us)
kill_broker
watch_stream 1
say "starting the broker again; everyone comes back by themselves"
start_broker
away_us=$(($(now_us) - killed_us))
wait_until "messages after the restart" stream_moves
say "the stream goes on"
watch_stream 4
say "stopping hostmon, which waits for what is on its way, then the others"
stop_all
if report; then
  say "OK: nothing lost, nothing twice, everything in order"
else
  say "FAILED: see the table above"
  exit 1
fi
