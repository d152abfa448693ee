import { PrefgradError } from '../../engine/errors.ts';
import { place, type Content, type Message, type Origin, type Row } from './rows.ts';

/** What of a tokenizer the data needs; `models/tokenizer.ts` has it. */
export interface TextTokenizer {
  /** Token ids; no special tokens are added. */
  encode(text: string): number[];
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  readonly chatTemplate: string | undefined;
  applyChatTemplate(
    messages: readonly Message[],
    options: { addGenerationPrompt: boolean; variables?: Readonly<Record<string, unknown>> },
  ): string;
}

/** A prompt and what may follow it, uncut. */
export interface Encoded {
  promptIds: number[];
  promptText: string;
  /** In the order of the completions given. */
  completions: { ids: number[]; text: string }[];
  /** Whether the prompt's last tokens change when a completion follows: they then count to the completion. */
  merged: boolean;
}

/**
 * The ids TRL 1.16 makes of a row: the prompt's are those of the prompt alone as far as prompt and
 * prompt + completion agree (for a pair, both), a completion's are the rest. EOS ends every plain-text
 * completion; messages end as their chat template ends them.
 */
export function encodeRow(
  { origin, prompt, template }: Pick<Row, 'origin' | 'prompt' | 'template'>,
  completions: readonly Content[],
  tokenizer: TextTokenizer,
): Encoded {
  const render: Render = (messages, addGenerationPrompt) =>
    renderMessages(messages, { addGenerationPrompt, variables: template ?? {} }, tokenizer, origin);
  const alone = typeof prompt === 'string' ? prompt : render(prompt, true);
  const promptIds = tokenizer.encode(alone);
  const whole = completions.map((completion) => wholeIds(prompt, completion, tokenizer, origin, render));
  const shared = Math.min(...whole.map((ids) => commonPrefixLength(promptIds, ids)));
  return {
    promptIds: promptIds.slice(0, shared),
    promptText: alone,
    completions: whole.map((ids, index) => ({ ids: ids.slice(shared), text: plainText(completions[index]) })),
    merged: shared < promptIds.length,
  };
}

type Render = (messages: readonly Message[], addGenerationPrompt: boolean) => string;

/** Prompt and completion together; the two are of one kind. */
function wholeIds(
  prompt: Content,
  completion: Content,
  tokenizer: TextTokenizer,
  origin: Origin,
  render: Render,
): number[] {
  if (typeof prompt === 'string' || typeof completion === 'string') {
    const ids = tokenizer.encode(plainText(prompt) + plainText(completion));
    const eos = tokenizer.eosTokenId;
    if (eos === undefined) {
      throw new PrefgradError(
        `${place(origin)}: a completion in plain text ends with the tokenizer's EOS, but this one has none; set eos_token in tokenizer_config.json`,
      );
    }
    return ids.at(-1) === eos ? ids : [...ids, eos];
  }
  return tokenizer.encode(render([...prompt, ...completion], false));
}

function renderMessages(
  messages: readonly Message[],
  options: { addGenerationPrompt: boolean; variables: Readonly<Record<string, unknown>> },
  tokenizer: TextTokenizer,
  origin: Origin,
): string {
  if (tokenizer.chatTemplate === undefined) {
    throw new PrefgradError(
      `${place(origin)}: has messages, but the model's tokenizer has no chat template; write prompt and completion as texts, or take a chat model`,
    );
  }
  try {
    return tokenizer.applyChatTemplate(messages, options);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new PrefgradError(`${place(origin)}: the chat template does not take these messages: ${detail}`);
  }
}

function plainText(content: Content): string {
  return typeof content === 'string' ? content : content.map((message) => message.content).join('\n');
}

function commonPrefixLength(a: readonly number[], b: readonly number[]): number {
  const shorter = Math.min(a.length, b.length);
  let length = 0;
  while (length < shorter && a[length] === b[length]) length++;
  return length;
}
