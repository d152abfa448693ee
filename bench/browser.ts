import { WasmDevice } from '../engine/index.ts';
import type { GemmShape } from './gemm.ts';
import { Gemm } from './gemm.ts';
import type { StepShape } from './gptStep.ts';
import { GptStep } from './gptStep.ts';
import type { Effort } from './measure.ts';

// The part of the bench that runs inside of a page. `benchmark` times with the millisecond clock there, so this has a
// loop of its own.

export type PageJob = {
  readonly threads: number;
  readonly simd: 'auto' | 'plain' | 'relaxed';
  readonly effort: Effort;
} & (
  | { readonly kind: 'gemm'; readonly shape: GemmShape }
  | { readonly kind: 'gpt-step'; readonly shape: StepShape }
);

async function sample(run: () => Promise<unknown>, { seconds, samples, warmups }: Effort): Promise<number[]> {
  for (let i = 0; i < warmups; i++) await run();
  const times: number[] = [];
  const began = performance.now();
  while (times.length < samples || performance.now() - began < 1000 * seconds) {
    const start = performance.now();
    await run();
    times.push((performance.now() - start) / 1000);
  }
  return times;
}

/** Seconds of each run. Errors: threads that the page does not get. */
export async function measureInPage(job: PageJob): Promise<number[]> {
  const { threads, simd, effort } = job;
  const device = await WasmDevice.create({ threads, simd });
  try {
    if (device.threads !== threads) throw new Error(`the page has ${device.threads} thread, not ${threads}`);
    const loaded =
      job.kind === 'gemm' ? await Gemm.load(job.shape, device) : await GptStep.load(job.shape, device);
    return await sample(() => loaded.run(), effort);
  } finally {
    await device.dispose();
  }
}
