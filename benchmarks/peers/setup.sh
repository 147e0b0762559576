#!/usr/bin/env bash
# Makes a virtual environment with the current CPU PyTorch and JAX from the Python package index.
#
#   benchmarks/peers/setup.sh [FOLDER]          default: build/peers-venv
#   PYTHON=python3.12 benchmarks/peers/setup.sh
#
# The default PyTorch wheel asks for several gigabytes of GPU libraries. They are not installed: cpu_only_torch.py
# builds empty stand-ins for them (it needs a C compiler and readelf), which is all that work on the CPU wants.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${1:-"$here/../../build/peers-venv"}
python=${PYTHON:-/usr/bin/python3}

"$python" -m venv "$folder"
pip=("$folder/bin/python" -m pip install --disable-pip-version-check --quiet)
"${pip[@]}" numpy jax
"${pip[@]}" --no-deps torch
"${pip[@]}" filelock typing-extensions sympy networkx jinja2 fsspec setuptools
"$folder/bin/python" "$here/cpu_only_torch.py"
"$folder/bin/python" - <<'PYTHON'
import jax, torch
print(f"torch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()}), jax {jax.__version__}: ready")
PYTHON
