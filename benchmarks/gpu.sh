#!/usr/bin/env bash
# All that needs a CUDA machine. Each call is over in less than 10 minutes: its time limits sum to less than 560 s.
#
#   bash benchmarks/gpu.sh [OUT]            the grid, and the steps of the cell spaces
#   bash benchmarks/gpu.sh grid [OUT]       the kernels' correctness, ratios of steps, inference and memory, what the
#                                           device can do and what a step gets of it, the hours of the paper's schedule,
#                                           and a real training with its control
#   bash benchmarks/gpu.sh cells [OUT]      the steps of the cell spaces, the eigenvalue, and the seconds of a search epoch
#                                           of each space
#
# OUT: folder for the results (default benchmarks/results/gpu).
#
# Needs torch with CUDA and the packages of pyproject.toml; nothing is installed. Wheels of what the machine lacks
# (jsonargparse, docstring-parser, pytest...) are taken from .gpu/:   pip download --no-deps -d .gpu jsonargparse ...
# Each part has a time limit and stands alone: what fails says so, and the others go on. The exit status is the number of
# parts that failed.
set -uo pipefail
cd "$(dirname "$0")/.."
what=all
case ${1:-} in
  grid | cells) what=$1 && shift ;;
esac
out=${1:-benchmarks/results/gpu}
mkdir -p "$out"
for wheel in .gpu/*.whl; do
  [ -e "$wheel" ] && python3 -m zipfile -e "$wheel" .gpu/site
done
export PYTHONPATH=src:tests:.gpu/site PYTHONUNBUFFERED=1
failed=0

part() {  # NAME SECONDS COMMAND...: its output in OUT/NAME.txt
  local name=$1 limit=$2
  shift 2
  echo "== $name"
  if ! timeout "$limit" "$@" 2>&1 | tee "$out/$name.txt"; then
    echo "FAILED or over $limit s: $name" | tee -a "$out/$name.txt"
    failed=$((failed + 1))
  fi
}

bench() {  # NAME SECONDS ARGUMENTS...: `wholenet bench`, with its rows in OUT/NAME.json
  local name=$1 limit=$2
  shift 2
  part "$name" "$limit" python3 -m wholenet bench "$@" --device cuda --json "$out/$name.json"
}

grid() {
  part kernels-test 50 python3 -m pytest -q -p no:cacheprovider tests/ops/test_kernels.py
  bench kernels-large 45 kernels --size large --batch 8 --crop 512x1024
  bench device-large 100 device --size large --batch 8 --crop 512x1024 --rounds 20
  bench steps-small 60 steps inference growth literal_cell --size small --batch 8 --crop 256x512 --rounds 20
  bench steps-large 55 steps memory --size large --batch 2 --crop 512x1024 --rounds 10
  bench compiled-small 60 compiled --size small --batch 8 --crop 256x512 --rounds 20

  local run
  run=$(mktemp -d)/run
  part fit-scenes 70 python3 -m wholenet fit scenes --out "$run" --size small --epochs 20 --batch 16 --crop 192x256 \
    --lr 0.05 --class-balance 0.3 --scale-min 0.6 --scale-max 1.2 --device cuda --workers 12 --control true
  part fit-scenes-test 20 python3 -m wholenet evaluate "$run" scenes --split test --json "$out/fit-scenes-test.json"
  cp "$run"/metrics.jsonl "$out/fit-scenes-metrics.jsonl"
  cp "$run"/predictions.png "$out/fit-scenes-predictions.png"
}

cell_steps() {  # ms of a search step on each cell space, at the papers' size
  bench cells 45 cell_steps --batch 64
}

cells() {
  cell_steps
  bench cells-eigenvalue 60 eigenvalue
  # Six times 40 s of steps, and what comes before each.
  bench cells-epochs 400 cell_epochs --batch 64 --rounds 39
}

part machine 20 bash -c 'date -u; python3 -c "import torch; print(\"torch\", torch.__version__, torch.cuda.get_device_name())"'
case $what in
  all) grid; cell_steps ;;
  *) "$what" ;;
esac
exit "$failed"
