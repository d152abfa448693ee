"""bench/dpo.ts in TRL: an epoch of DPO over the same pairs from the same weights, in the same order; prints pairs a second.

The reference's log-probs are computed within each step, or (--reference apart) all of them before the first one.
"""

import argparse
import json
import os
import tempfile
import time
import warnings

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TQDM_DISABLE="1")

warnings.filterwarnings("ignore", category=FutureWarning)

import datasets
import torch
import transformers
from timing import Others, answer, peak_gib
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DPOConfig, DPOTrainer

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--pairs", required=True)
parser.add_argument("--batch", type=int, default=2)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--reference", choices=["included", "apart"], default="included")
parser.add_argument("--precision", choices=["float32", "bf16"], default="float32")
parser.add_argument("--lora", type=int, default=0)
parser.add_argument("--steps", type=int, default=-1, help="stop after so many; for a quick look")
options, _ = parser.parse_known_args()

torch.set_num_threads(options.threads)
transformers.logging.set_verbosity_error()
datasets.disable_progress_bars()

with open(options.pairs) as file:
    pairs = [json.loads(line) for line in file]


class Clock(TrainerCallback):
    """Seconds of each optimizer step, with all that it takes from the end of the one before."""

    def __init__(self):
        self.steps, self.last = [], None

    def on_train_begin(self, *_, **__):
        self.last = time.perf_counter()

    def on_step_end(self, *_, **__):
        now = time.perf_counter()
        self.steps.append(now - self.last)
        self.last = now


class TimedReference(DPOTrainer):
    reference_seconds = 0.0

    def _precompute_ref_logps(self, *args, **kwargs):
        start = time.perf_counter()
        result = super()._precompute_ref_logps(*args, **kwargs)
        self.reference_seconds += time.perf_counter() - start
        return result


adapters = None
if options.lora > 0:
    from peft import LoraConfig

    linear = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    adapters = LoraConfig(r=options.lora, lora_alpha=2 * options.lora, target_modules=linear, task_type="CAUSAL_LM")

with tempfile.TemporaryDirectory() as folder:
    config = DPOConfig(
        output_dir=folder,
        per_device_train_batch_size=options.batch,
        num_train_epochs=1,
        max_steps=options.steps,
        train_sampling_strategy="sequential",
        learning_rate=1e-6,
        lr_scheduler_type="constant",
        optim="adamw_torch",
        weight_decay=0.0,
        max_grad_norm=1.0,
        beta=0.1,
        max_length=1024,
        bf16=options.precision == "bf16",
        gradient_checkpointing=False,
        precompute_ref_log_probs=options.reference == "apart",
        use_cpu=True,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    others, clock = Others(), Clock()
    trainer = TimedReference(
        model=AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32),
        args=config,
        train_dataset=datasets.Dataset.from_list(pairs),
        processing_class=AutoTokenizer.from_pretrained(options.model),
        peft_config=adapters,
        callbacks=[clock],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()

measured = clock.steps[1:] or clock.steps
seconds_per_pair = sum(measured) / (options.batch * len(measured))
reference = trainer.reference_seconds / len(pairs)
also = {
    "seconds_per_pair": seconds_per_pair,
    "reference_seconds_per_pair": reference,
    "peak_gib": peak_gib(),
    "first_logps_chosen": trainer.state.log_history[0]["logps/chosen"],
}
answer(
    "pairs_per_second",
    [1 / (seconds_per_pair + reference)],
    others.cores(),
    also={name: float(f"{value:.4g}") for name, value in also.items()},
    steps=[float(f"{s:.4g}") for s in clock.steps],
)
