import { Generator } from '../models/generate.ts';
import { Random } from './data/random.ts';
import { PrefgradError } from '../engine/errors.ts';
import type { TrainEvent } from './events.ts';
import { openSession, stopTokensOf } from './session.ts';

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

/**
 * A completion of one prompt, told piece by piece. An empty prompt is the BOS token, and plain text begins with it
 * where the tokenizer's configuration says so. Errors: a prompt longer than the context, no chat template.
 */
export async function generateText(
  options: GenerateTextOptions,
  hooks: { onText: (piece: string) => void; onEvent: (event: TrainEvent) => void },
): Promise<{ completion: string; tokens: number; finishReason: 'eos' | 'length' }> {
  const { prompt, chat, maxNewTokens, seed } = options;
  const session = await openSession({
    ...options,
    onProgress: (phase, done, total) => hooks.onEvent({ type: 'progress', phase, done, total }),
  });
  try {
    const { model, device, tokenizer } = session;
    const text = chat
      ? tokenizer.applyChatTemplate([{ role: 'user', content: prompt }], { addGenerationPrompt: true })
      : prompt;
    const bos = tokenizer.bosTokenId;
    const addBos = !chat && bos !== undefined && (tokenizer.config['add_bos_token'] === true || text === '');
    const ids = [...(addBos ? [bos] : []), ...tokenizer.encode(text)];
    if (ids.length === 0)
      throw new PrefgradError('the prompt has no token and the tokenizer no BOS; give some text');
    if (ids.length >= model.contextLength)
      throw new PrefgradError(
        `the prompt has ${ids.length} tokens, but the model's context is ${model.contextLength}; shorten it`,
      );
    const random = new Random(seed);
    const stream = tokenizer.stream({ skipSpecialTokens: true });
    const context = Math.min(model.contextLength, ids.length + maxNewTokens);
    const generator = new Generator(model, device, 1, context);
    let completion = '';
    const say = (piece: string): void => {
      completion += piece;
      if (piece !== '') hooks.onText(piece);
    };
    const [generated] = await generator.generate([ids], {
      ...options,
      stopTokens: stopTokensOf(session),
      uniform: () => random.uniform(),
      onToken: (_, token) => say(stream.push(token)),
    });
    say(stream.end());
    return {
      completion,
      tokens: generated?.tokens.length ?? 0,
      finishReason: generated?.stopped ? 'eos' : 'length',
    };
  } finally {
    await session.dispose();
  }
}
