#!/bin/sh
# Makes an environment in which Stable-Baselines3 runs, with the tuned settings of its zoo (rl_zoo3 carries them as files).
# Usage: setup.sh [FOLDER]   (default .venv-sb3; PYTHON names the interpreter, 3.11 or newer, default python3)
# Torch's default Linux build brings CUDA libraries, which are not used here; PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL can
# name a place that has the CPU build.
set -eu

folder=${1:-.venv-sb3}
here=$(dirname "$0")

"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/pip" install --quiet --requirement "$here/requirements.txt"
# Only its settings are read; what its commands need is not installed.
"$folder/bin/pip" install --quiet --no-deps rl_zoo3==2.9.2
"$folder/bin/python" "$here/learn.py" --help > /dev/null
echo "$folder/bin/python runs Stable-Baselines3"
