"""Runs one measurement: main.py torch-step --threads 2 …, as bench/main.ts has its commands."""

import os
import runpy
import sys

PROGRAMS = {"torch-gemm": "torchGemm.py", "torch-step": "torchStep.py", "trl-dpo": "trlDpo.py"}

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
runpy.run_path(os.path.join(here, PROGRAMS[sys.argv.pop(1)]), run_name="__main__")
