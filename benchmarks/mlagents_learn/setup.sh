#!/bin/sh
# Makes an environment in which stock mlagents-learn 1.1.0 runs on its own pins: Python 3.10, numpy 1.23, protobuf 3.20.
# Usage: setup.sh [FOLDER]   (default .venv-mlagents; PYTHON names the interpreter, default python3.10)
# Takes about 5 GB: for Python 3.10 the torch of the pins comes with CUDA libraries, which are not used here.
set -eu

folder=${1:-.venv-mlagents}
python=${PYTHON:-python3.10}
here=$(dirname "$0")

"$python" -c 'import sys; sys.exit(0 if sys.version_info[:2] == (3, 10) else "mlagents 1.1.0 needs Python 3.10, this is " + sys.version.split()[0])'
"$python" -m venv "$folder"
# Its metadata ends at Python 3.10.12; nothing in it does.
"$folder/bin/pip" install --quiet --no-deps --ignore-requires-python mlagents==1.1.0 mlagents-envs==1.1.0
"$folder/bin/pip" install --quiet --no-cache-dir --requirement "$here/requirements.txt"
"$folder/bin/mlagents-learn" --help > /dev/null
echo "$folder/bin/mlagents-learn is ready"
