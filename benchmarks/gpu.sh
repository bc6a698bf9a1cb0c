#!/usr/bin/env bash
# All that needs a CUDA machine, in one call under 10 minutes: equality, step times and ratios, a real training.
#
#   bash benchmarks/gpu.sh [OUT]            OUT: folder for the results (default benchmarks/results/gpu)
#
# Needs torch with CUDA and the packages of pyproject.toml; nothing is installed. Where jsonargparse is not there, lay
# its wheel and docstring-parser's into .gpu/ first:   pip download --no-deps -d .gpu jsonargparse docstring-parser
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-benchmarks/results/gpu}
mkdir -p "$out"
for wheel in .gpu/*.whl; do
  [ -e "$wheel" ] && python3 -m zipfile -e "$wheel" .gpu/site
done
export PYTHONPATH=src:.gpu/site
{
  date -u
  python3 -c 'import torch; print("torch", torch.__version__, torch.cuda.get_device_name())'
} | tee "$out/machine.txt"

echo "== equality and step times (float32)"
python3 benchmarks/forms.py --device cuda --size small --batch 8 --crop 256x512 --rounds 30 --json "$out/forms-small.json" \
  | tee "$out/forms-small.txt"
python3 benchmarks/forms.py --device cuda --size large --batch 2 --crop 512x1024 --rounds 15 --json "$out/forms-large.json" \
  | tee "$out/forms-large.txt"

echo "== a real training, with its control"
run=$(mktemp -d)/run
python3 -m wholenet fit scenes --out "$run" --size small --epochs 20 --batch 16 --crop 192x256 --lr 0.05 \
  --class-balance 0.3 --scale-min 0.6 --scale-max 1.2 --device cuda --workers 12 --control true | tee "$out/fit-scenes.txt"
python3 -m wholenet evaluate "$run" scenes --split test --json "$out/fit-scenes-test.json"
cp "$run"/metrics.jsonl "$out/fit-scenes-metrics.jsonl"
cp "$run"/predictions.png "$out/fit-scenes-predictions.png"
