#!/usr/bin/env bash
# What only a GPU can show: the tests marked gpu, then the benchmarks, whose tables go to docs/benchmarks/gpu.md (or the
# file that is named). Needs no network. PYTHON names the interpreter (python3); GRADSCOPE_TEST_DATA the folder of data.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"

"$python" - <<'PROGRAM'
import importlib.util
import sys

needed = "pydantic torch torchvision triton numpy numba pandas sqlalchemy alembic mako psutil pytest pytest_timeout"
missing = [name for name in needed.split() if importlib.util.find_spec(name) is None]
if missing:
    sys.exit(f"{sys.executable} lacks {', '.join(missing)}; install requirements.txt, or name another by PYTHON=...")
PROGRAM

mapfile -t tests < <(grep -rl --include='test_*.py' 'mark\.gpu' tests)
"$python" -m pytest -m gpu "${tests[@]}"
"$python" benchmarks/gpu_recorder.py --write "${1:-docs/benchmarks/gpu.md}"
"$python" benchmarks/gpu_training.py | tee -a "${1:-docs/benchmarks/gpu.md}"
printf '\n## What pseudo-normalisation costs\n\n```\n' >> "${1:-docs/benchmarks/gpu.md}"
"$python" benchmarks/pseudo_norm.py --pairs 100 | tee -a "${1:-docs/benchmarks/gpu.md}"
printf '```\n' >> "${1:-docs/benchmarks/gpu.md}"
