#!/bin/sh
# Sets up .venv with what one purpose needs: `run`, `test` (run and more) or `dev` (test and more).
#
# Needs a Python of 3.11 or later with venv, and nothing else. Every package comes from requirements/PURPOSE.txt and must
# have the hash that stands there; nothing is built but Tasker itself, which is installed in place. It does nothing when
# the environment is as the requirements say.
set -eu
cd "$(dirname "$0")/.."
purpose=$1
venv=.venv
unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV

fail() {
    printf '\n%s\n' "$@" >&2
    exit 1
}

# The environment is in step with these files, and it is this folder's (a moved one has wrong paths inside).
state_of() {
    { pwd; cat "requirements/$1.txt" pyproject.toml; } | cksum
}

is_ready() {
    [ -x $venv/bin/python ] && [ "$(cat "$venv/tasker-$1.state" 2>/dev/null)" = "$(state_of "$1")" ] &&
        $venv/bin/python -c '' 2>/dev/null
}

# The first Python that is new enough and can make environments; else the first that is new enough.
find_python() {
    for needs in sys,venv,ensurepip sys; do
        for name in python3 python3.11 python3.12 python3.13 python3.14 python; do
            if "$name" -c "import $needs; sys.exit(sys.version_info < (3, 11))" >/dev/null 2>&1; then
                command -v "$name"
                return
            fi
        done
    done
    found=$(python3 --version 2>&1) || found=none
    fail "Tasker needs Python 3.11 or later, and the one on the PATH is: $found." \
        "Install it (Debian, Ubuntu: apt-get install python3 python3-venv; Fedora: dnf install python3; macOS: brew install python)."
}

make_venv() {
    if ! "$1" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        fail "Python $version at $1 cannot make a virtual environment: its venv or ensurepip module is not installed." \
            "On Debian and Ubuntu: apt-get install python3-venv (python$version-venv where that is not the system's), and run this again."
    fi
    echo "Making $venv with $1"
    "$1" -m venv --clear $venv || fail "Python at $1 could not make $venv: see above." \
        "On Debian and Ubuntu: apt-get install python3-venv python3-pip, and run this again."
}

# What pip refuses on Debian, it refuses outside of environments: then .venv is not one.
install() {
    $venv/bin/python -m pip --disable-pip-version-check --no-input install --quiet "$@" || fail \
        "pip could not install requirements/$purpose.txt: see above. What its words mean:" \
        "  externally-managed-environment: $venv is no real environment. apt-get install python3-venv, remove $venv, run this again." \
        "  No module named pip: apt-get install python3-pip python3-venv, remove $venv, run this again." \
        "  no matching distribution: no package index was reached (HTTPS_PROXY, PIP_INDEX_URL), or there is none for this system." \
        "  hashes do not match: the file is not the one that was locked. Do not install it, and tell us."
}

case $purpose in run | test | dev) ;; *) fail "usage: scripts/bootstrap.sh run|test|dev" ;; esac
for enough in dev test run; do
    if is_ready $enough; then exit 0; fi
    if [ $enough = "$purpose" ]; then break; fi
done

if ! $venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
    python=$(find_python)
    make_venv "$python"
fi
rm -f $venv/tasker-*.state
echo "Installing the $(grep -c '^[a-z].*==' "requirements/$purpose.txt") packages of requirements/$purpose.txt (once; a minute at most on most lines)"
install --require-hashes --only-binary :all: -r "requirements/$purpose.txt"
install --no-deps --no-build-isolation --editable .
state_of "$purpose" >"$venv/tasker-$purpose.state"
