import type { Completion } from './complete.ts';
import { complete } from './complete.ts';
import type { TrainEvent } from './events.ts';
import { openSession } from './session.ts';

export interface GenerateTextOptions {
  readonly model: string;
  readonly prompt: string;
  /** The prompt is a user's message, put into the model's chat template. */
  readonly chat: boolean;
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed: number;
  readonly device: 'auto' | 'webgpu' | 'wasm' | 'reference';
  readonly threads?: number;
}

/** Opens a model and completes one prompt, told piece by piece. Errors: as `complete`. */
export async function generateText(
  options: GenerateTextOptions,
  hooks: { onText: (piece: string) => void; onEvent: (event: TrainEvent) => void },
): Promise<{ completion: string } & Omit<Completion, 'text'>> {
  const { prompt, chat } = options;
  const session = await openSession({
    ...options,
    frozen: true,
    onProgress: (phase, done, total) => hooks.onEvent({ type: 'progress', phase, done, total }),
  });
  try {
    const asked = chat ? [{ role: 'user', content: prompt }] : prompt;
    const { text, ...rest } = await complete(session, asked, options, hooks.onText);
    return { completion: text, ...rest };
  } finally {
    await session.dispose();
  }
}
