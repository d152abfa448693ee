"""gpt-step in PyTorch, from the weights and the batch that `bench export-step` wrote; prints milliseconds.

Ends with an error if its first losses are not those of prefgrad: another step would be no comparison.
"""

import argparse
import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from timing import Others, answer, sample

parser = argparse.ArgumentParser()
parser.add_argument("--step", required=True, help="the folder of export-step")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--seconds", type=float, default=4)
options, _ = parser.parse_known_args()

torch.set_num_threads(options.threads)
with open(os.path.join(options.step, "step.json")) as file:
    step = json.load(file)
shape = step["shape"]
layers, width, heads, length, batch = (shape[k] for k in ("layers", "width", "heads", "length", "batch"))

numbers = np.fromfile(os.path.join(options.step, "step.bin"), dtype="<f4")
weights, at = {}, 0
for entry in step["weights"]:
    size = int(np.prod(entry["shape"]))
    tensor = torch.from_numpy(numbers[at : at + size].reshape(entry["shape"]).copy())
    name = entry["name"].removeprefix("transformer.")
    if tensor.dim() == 2 and name.startswith("h."):  # F.linear wants [out, in]
        tensor = tensor.t().contiguous()
    weights[name] = tensor.requires_grad_()
    at += size
tokens = torch.tensor(step["tokens"]).view(batch, length)
labels = torch.tensor(step["labels"])
optimizer = torch.optim.SGD(weights.values(), lr=step["learningRate"])


def dense(x, name):
    return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def norm(x, name):
    return F.layer_norm(x, (width,), weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-5)


def loss():
    x = F.embedding(tokens, weights["wte.weight"]) + weights["wpe.weight"]
    for i in range(layers):
        name = f"h.{i}"
        qkv = dense(norm(x, f"{name}.ln_1"), f"{name}.attn.c_attn")
        q, k, v = (t.view(batch, length, heads, -1).transpose(1, 2) for t in qkv.split(width, dim=-1))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + dense(mixed.transpose(1, 2).reshape(batch, length, width), f"{name}.attn.c_proj")
        x = x + dense(F.gelu(dense(norm(x, f"{name}.ln_2"), f"{name}.mlp.c_fc"), approximate="tanh"), f"{name}.mlp.c_proj")
    logits = F.linear(norm(x, "ln_f"), weights["wte.weight"])
    return F.cross_entropy(logits.view(batch * length, -1), labels)


def run():
    optimizer.zero_grad(set_to_none=True)
    value = loss()
    value.backward()
    optimizer.step()
    return value.item()


for expected in step["losses"]:
    got = run()
    if abs(got - expected) > step["tolerance"]:
        sys.exit(f"PyTorch makes another step than prefgrad: loss {got}, not {expected}")
others = Others()
samples = sample(run, options.seconds)
answer("ms", [1000 * s for s in samples], others.cores())
