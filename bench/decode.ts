import type { Device } from '../engine/index.ts';
import { Variable, bytesOf, compile, f32, sum } from '../engine/index.ts';
import { Generator } from '../models/generate.ts';
import { openSession } from '../trainer/session.ts';
import { DPO_FILES } from './dpoData.ts';
import { measure } from './measure.ts';
import { median } from './measurement.ts';

export interface DecodeTimes {
  /** Seconds of each token after the first few. */
  readonly tokens: readonly number[];
  /** Bytes of weights that each token reads. */
  readonly weightBytes: number;
  /** Bytes a second that the device sums up from memory. */
  readonly bandwidth: number;
}

const [PROMPT, WARM_UPS] = [16, 4];
/** Far more than any cache holds. */
const SUMMED = 64 << 20;

/** Greedy decoding of one stream with SmolLM2-135M in float32, and what memory gives. */
export async function timeDecoding(threads: number, count: number): Promise<DecodeTimes> {
  const { model, device } = await openSession({ model: DPO_FILES.model, device: 'wasm', threads });
  const generator = new Generator(model, device, 1, PROMPT + WARM_UPS + count);
  try {
    const times: number[] = [];
    await generator.generate([Array.from({ length: PROMPT }, (_, i) => 100 + i)], {
      ...{ maxNewTokens: WARM_UPS + count, temperature: 0, stopTokens: [], uniform: () => 0 },
      onToken: () => times.push(performance.now()),
    });
    const tokens = times.slice(WARM_UPS).map((t, i) => (t - (times[WARM_UPS + i - 1] ?? NaN)) / 1000);
    const weightBytes = model.parameters.reduce((n, p) => n + bytesOf(p.variable.type), 0);
    return { tokens, weightBytes, bandwidth: await bandwidthOf(device) };
  } finally {
    generator.dispose();
    await device.dispose();
  }
}

async function bandwidthOf(device: Device): Promise<number> {
  const x = new Variable('x', f32([SUMMED]));
  const executable = await device.load(compile('sum', {}, () => ({ outputs: { y: sum(x.tensor) } })));
  const seconds = await measure('sum', () => executable.run({}), { seconds: 1, samples: 5, warmups: 2 });
  return (4 * SUMMED) / median(seconds);
}
