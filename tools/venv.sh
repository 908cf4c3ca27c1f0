#!/bin/sh
# Make a virtual environment: venv.sh PYTHON FOLDER. On Debian the module comes in a package of its own,
# which is installed where we may, and named where we may not.
set -eu
python=$1
folder=$2

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Gantry needs Python 3.11 or newer; $("$python" --version 2>&1) is too old." >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    "$(dirname "$0")/debian.sh" python3-venv
fi
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --upgrade pip
