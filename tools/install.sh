#!/usr/bin/env bash
# install.sh [build|demo|bench|test|fuzz ...] - what godwit needs on Debian 12: packages, and a Python environment in .venv.
# Quick when everything is there. Needs root or sudo only for packages that are missing.
#   build  compiler and libraries          demo  build + PostgreSQL, Python environment
#   bench  demo + the other servers and the tools that godwit is measured beside
#   test   bench + what the suites use     fuzz  build + clang               (default: test)
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

build_packages=(g++ cmake ninja-build ccache mold pkg-config make git ca-certificates
    libpq-dev libmariadb-dev libxxhash-dev libzstd-dev zlib1g-dev libcpp-httplib-dev libcurl4-openssl-dev libssl-dev libsqlite3-dev
    nlohmann-json3-dev libcli11-dev libfmt-dev libgtest-dev libgmock-dev)
demo_packages=(postgresql-15 postgresql-client-15 python3 python3-venv util-linux curl)
bench_packages=("${demo_packages[@]}" mariadb-server libaio1 libnuma1 libncurses6 maven unzip xz-utils
    pgcopydb pgloader mydumper)
test_packages=("${bench_packages[@]}" libbenchmark-dev awscli)
fuzz_packages=(clang-19 libclang-rt-19-dev)

parts=("${@:-test}")
packages=("${build_packages[@]}")
venv=no
for part in "${parts[@]}"; do
    case $part in
        build) ;;
        demo) packages+=("${demo_packages[@]}"); venv=yes ;;
        bench) packages+=("${bench_packages[@]}"); venv=yes ;;
        test) packages+=("${test_packages[@]}"); venv=yes ;;
        fuzz) packages+=("${fuzz_packages[@]}") ;;
        *) echo "install.sh: unknown part '$part' (build, demo, bench, test, fuzz)" >&2; exit 2 ;;
    esac
done

missing=()
if command -v dpkg-query >/dev/null; then
    for p in "${packages[@]}"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
    done
else
    missing=("${packages[@]}")
fi

if [ ${#missing[@]} -gt 0 ]; then
    release=$(. /etc/os-release 2>/dev/null && echo "${ID:-}-${VERSION_ID:-}") || release=unknown
    if [ "$release" != debian-12 ]; then
        echo "install.sh installs packages on Debian 12 only, and this is $release." >&2
        echo "Install what these Debian packages hold, then try again with GODWIT_SKIP_PACKAGES=1:" >&2
        echo "  ${missing[*]}" >&2
        [ -n "${GODWIT_SKIP_PACKAGES:-}" ] || exit 1
    else
        sudo=()
        if [ "$(id -u)" != 0 ]; then
            if ! command -v sudo >/dev/null; then
                echo "install.sh: these packages are missing; install them as root:" >&2
                echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
                exit 1
            fi
            sudo=(sudo)
        fi
        echo "installing: ${missing[*]}"
        # Package scripts must not start services: our servers are started by our own scripts, on their own ports.
        made_policy=no
        if [ ! -e /usr/sbin/policy-rc.d ]; then
            printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee /usr/sbin/policy-rc.d >/dev/null
            "${sudo[@]}" chmod +x /usr/sbin/policy-rc.d
            made_policy=yes
        fi
        status=0
        {
            "${sudo[@]}" apt-get update -qq &&
            "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
                -o Dpkg::Use-Pty=0 "${missing[@]}" >/dev/null
        } || status=$?
        [ $made_policy = no ] || "${sudo[@]}" rm -f /usr/sbin/policy-rc.d
        if [ $status != 0 ]; then
            echo "install.sh: apt-get failed; its messages are above" >&2
            exit 1
        fi
    fi
fi

if [ $venv = yes ]; then
    want=$(sha256sum tests/requirements.txt | cut -d' ' -f1)
    if [ "$(cat .venv/.installed 2>/dev/null)" != "$want" ] || ! .venv/bin/python -c 'import psycopg' 2>/dev/null; then
        echo "installing the Python environment into .venv"
        .venv/bin/python -c '' 2>/dev/null || { rm -rf .venv; python3 -m venv .venv; }
        .venv/bin/python -m pip install -q --disable-pip-version-check -r tests/requirements.txt
        echo "$want" >.venv/.installed
    fi
fi
