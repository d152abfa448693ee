import { PrefgradError } from '../engine/errors.ts';
import { saveModelFiles } from '../models/files/save.ts';
import type { TrainEvent } from './events.ts';
import { checkOutputFolder } from './outputFolder.node.ts';
import type { SessionOptions } from './session.ts';
import { openSession } from './session.ts';
import { savedModel } from './tuned.ts';

const dtypes = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const;

export interface MergeFilesOptions extends Pick<SessionOptions, 'device' | 'threads'> {
  readonly model: string;
  /** The folder that gets the model. */
  readonly out: string;
  readonly dtype: keyof typeof dtypes;
}

/** Writes an adapter and its base as one model, in Hugging Face's layout. Errors: a model that is no adapter. */
export async function mergeFiles(
  options: MergeFilesOptions,
  { onEvent }: { onEvent: (event: TrainEvent) => void },
): Promise<{ base: string }> {
  const { model, out, dtype } = options;
  await checkOutputFolder(out, 'model');
  const session = await openSession({
    ...options,
    onProgress: (phase, done, total) => onEvent({ type: 'progress', phase, done, total }),
  });
  try {
    const { adapter } = session.files;
    if (adapter === undefined)
      throw new PrefgradError(`${model}: is a whole model, expected a folder with adapter_config.json`);
    await saveModelFiles(out, savedModel(session), { dtype: dtypes[dtype] });
    return { base: adapter.base ?? '' };
  } finally {
    await session.dispose();
  }
}
