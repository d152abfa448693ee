import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '../trainer/config.ts';
import { train } from '../trainer/train.node.ts';
import { DPO_FILES, PAIRS } from './dpoData.ts';

/** One epoch of DPO over the 12 pairs, in their order: AdamW, float32, as bench/peers/trlDpo.py has it. */
export interface DpoRun {
  readonly batch: number;
  readonly threads: number;
  /** Rank of LoRA adapters on all linear layers; 0 trains the whole model. */
  readonly lora: number;
}

export interface DpoTimes {
  /** Seconds of each step; the first is a warm-up. */
  readonly steps: readonly number[];
  /** Of the reference's log-probs, before the first step. */
  readonly referenceSecondsPerPair: number;
  /** The most memory that the process had resident until the last step, GiB. */
  readonly peakGiB: number;
  /** Mean log-probability of the first step's chosen completions, which every program must agree on. */
  readonly firstLogps: number;
}

const LINEAR = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];

/** Trains for one epoch in this process, on what prepareDpoData wrote. */
export async function timeDpo({ batch, threads, lora }: DpoRun): Promise<DpoTimes> {
  const folder = await mkdtemp(join(tmpdir(), 'prefgrad-bench-'));
  // Reference log-probs are kept there: none of an earlier run may be found.
  process.env['HF_HOME'] = join(folder, 'cache');
  const config = parseConfig({
    ...{
      model: DPO_FILES.model,
      data: DPO_FILES.pairs,
      output_dir: join(folder, 'out'),
      method: 'dpo',
      beta: 0.1,
    },
    ...{ per_device_train_batch_size: batch, num_train_epochs: 1, train_sampling_strategy: 'sequential' },
    ...{ learning_rate: 1e-6, lr_scheduler_type: 'constant', max_grad_norm: 1, max_length: 1024 },
    ...{ logging_steps: 1, save_strategy: 'no', device: 'wasm', threads },
    ...(lora > 0 ? { lora: { r: lora, lora_alpha: 2 * lora, target_modules: LINEAR } } : {}),
  });
  const steps: number[] = [];
  let before = performance.now();
  let reference = 0;
  let peak = 0;
  let firstLogps = NaN;
  try {
    await train(config, {
      signal: new AbortController().signal,
      onEvent(event) {
        const now = performance.now();
        if (event.type === 'progress' && event.phase === 'reference') reference = now - before;
        else if (event.type === 'progress') before = now;
        if (event.type !== 'step') return;
        if (steps.length === 0) firstLogps = event.metrics['logps/chosen'] ?? NaN;
        steps.push(event.seconds);
        peak = process.resourceUsage().maxRSS / 2 ** 20;
      },
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return { steps, referenceSecondsPerPair: reference / 1000 / PAIRS, peakGiB: peak, firstLogps };
}

/** What the tables show, from the steps after the first. */
export function dpoSummary(
  { steps, referenceSecondsPerPair, peakGiB, firstLogps }: DpoTimes,
  batch: number,
): Record<string, number> {
  const measured = steps.slice(1);
  const secondsPerPair = measured.reduce((sum, s) => sum + s, 0) / (batch * measured.length);
  return {
    // The reference included: as if each pair's had been computed in its step.
    pairs_per_second: 1 / (secondsPerPair + referenceSecondsPerPair),
    seconds_per_pair: secondsPerPair,
    reference_seconds_per_pair: referenceSecondsPerPair,
    peak_gib: peakGiB,
    first_logps_chosen: firstLogps,
  };
}
