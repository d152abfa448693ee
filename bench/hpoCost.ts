import { Trainer, loadModel } from '../trainer/index.ts';
import type { TrainingStep } from '../trainer/index.ts';
import { DPO_FILES } from './dpoData.ts';

/** Seconds of the same steps without and with HPO's other half. */
export interface HpoCost {
  readonly base: readonly number[];
  readonly hpo: readonly number[];
}

const LORA = { r: 16, loraAlpha: 32, targetModules: 'all-linear' };

/**
 * DPO and HPO on DPO over the 12 pairs, a step of each in turn, so that both meet the same machine: adapters of rank 16
 * on SmolLM2-135M, which two runs share. Rewards and reference log-probs are computed before.
 */
export async function timeHpo(threads: number): Promise<HpoCost> {
  const model = await loadModel(DPO_FILES.model, { device: 'wasm', threads, frozen: true });
  const shared = {
    ...{ model, data: DPO_FILES.pairs, lora: LORA, maxLength: 1024, perDeviceTrainBatchSize: 1 },
    ...{ numTrainEpochs: 1, trainSamplingStrategy: 'sequential' as const, learningRate: 1e-5 },
  };
  const brevity = { name: 'brevity', score: (_: string, completion: string) => 1 / completion.length };
  const runs = [
    await Trainer.create({ ...shared, method: 'dpo' }),
    await Trainer.create({
      ...{ ...shared, method: 'hpo', rewards: [brevity] },
      hpo: { base: 'dpo', gamma: 0.5, actorWarmupSteps: 0 },
    }),
  ] as const;
  const [base, hpo] = runs.map((run) => run[Symbol.asyncIterator]());
  if (base === undefined || hpo === undefined) throw new Error('there are two runs');
  const steps: [TrainingStep, TrainingStep][] = [];
  for (let i = 0; i < runs[0].totalSteps; i++) {
    const [one, other] = [await base.next(), await hpo.next()];
    if (one.value && other.value) steps.push([one.value, other.value]);
  }
  for (const run of runs) await run.dispose();
  await model.dispose();
  // The first steps are warm-ups.
  const measured = steps.slice(2);
  return { base: measured.map(([step]) => step.seconds), hpo: measured.map(([, step]) => step.seconds) };
}
