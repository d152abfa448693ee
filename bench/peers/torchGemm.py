"""The same matrix product in PyTorch; prints GFLOP/s as bench/main.ts does."""

import argparse

import torch
from timing import Others, answer, sample

parser = argparse.ArgumentParser()
parser.add_argument("--n", type=int, default=1024)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--seconds", type=float, default=4)
options, _ = parser.parse_known_args()

torch.set_num_threads(options.threads)
n = options.n
a, b = torch.rand(n, n) - 0.5, torch.rand(n, n) - 0.5
others = Others()
samples = sample(lambda: torch.matmul(a, b), options.seconds)
answer("gflops", [2e-9 * n**3 / s for s in samples], others.cores())
