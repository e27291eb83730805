#!/usr/bin/env bash
# pg.sh start DIR PORT [VERSION]   pg.sh stop DIR   - a PostgreSQL server of our own on 127.0.0.1 (see pg.py)
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
case ${1:-} in
    start) exec python3 "$here/pg.py" start --folder "${2:?DIR}" --port "${3:?PORT}" --version "${4:-15}" ;;
    stop | kill | status) exec python3 "$here/pg.py" "$1" --folder "${2:?DIR}" ;;
    *) sed -n 2p "$0" >&2; exit 2 ;;
esac
