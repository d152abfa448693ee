import { PrefgradError } from '../engine/errors.ts';
import type { ChatMessage } from '../models/chatTemplate.ts';
import { Generator } from '../models/generate.ts';
import type { SamplingOptions } from '../models/sampler.ts';
import { Random } from './data/random.ts';
import type { Session } from './session.ts';
import { stopTokensOf } from './session.ts';

/** How a completion is sampled, and for how long. */
export interface CompleteOptions extends SamplingOptions {
  /** Tokens at most. Default 128. */
  readonly maxNewTokens?: number | undefined;
  /** Of the random numbers that sampling takes. Default 42. */
  readonly seed?: number | undefined;
  /** Aborted: no further token is computed, and the signal's reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

/** What a model wrote. */
export interface Completion {
  readonly text: string;
  readonly tokens: number;
  /** `eos`: the model ended it; `length`: the limit on new tokens, or the context. */
  readonly finishReason: 'eos' | 'length';
}

/**
 * Completes a prompt, or a conversation by the model's chat template, and tells `onText` each piece. An empty prompt
 * is the BOS token, and plain text begins with it where the tokenizer's configuration says so. Errors: a prompt
 * longer than the context, no chat template.
 */
export async function complete(
  session: Pick<Session, 'model' | 'device' | 'tokenizer' | 'files'>,
  prompt: string | readonly ChatMessage[],
  { maxNewTokens = 128, seed = 42, ...sampling }: CompleteOptions,
  onText: (piece: string) => void,
): Promise<Completion> {
  const { model, device, tokenizer } = session;
  const ids = promptIdsOf(prompt, session);
  const random = new Random(seed);
  const stream = tokenizer.stream({ skipSpecialTokens: true });
  let text = '';
  const say = (piece: string): void => {
    text += piece;
    if (piece !== '') onText(piece);
  };
  const generator = new Generator(model, device, 1, Math.min(model.contextLength, ids.length + maxNewTokens));
  try {
    const [generated] = await generator.generate([ids], {
      ...{ ...sampling, maxNewTokens },
      stopTokens: stopTokensOf(session),
      uniform: () => random.uniform(),
      onToken: (_, token) => say(stream.push(token)),
    });
    say(stream.end());
    return {
      text,
      tokens: generated?.tokens.length ?? 0,
      finishReason: generated?.stopped ? 'eos' : 'length',
    };
  } finally {
    generator.dispose();
  }
}

function promptIdsOf(
  prompt: string | readonly ChatMessage[],
  { model, tokenizer }: Pick<Session, 'model' | 'tokenizer'>,
): number[] {
  const chat = typeof prompt !== 'string';
  const text = chat ? tokenizer.applyChatTemplate(prompt, { addGenerationPrompt: true }) : prompt;
  const bos = tokenizer.bosTokenId;
  const addBos = !chat && bos !== undefined && (tokenizer.config['add_bos_token'] === true || text === '');
  const ids = [...(addBos ? [bos] : []), ...tokenizer.encode(text)];
  if (ids.length === 0)
    throw new PrefgradError('the prompt has no token and the tokenizer no BOS; give some text');
  if (ids.length >= model.contextLength)
    throw new PrefgradError(
      `the prompt has ${ids.length} tokens, but the model's context is ${model.contextLength}; shorten it`,
    );
  return ids;
}
