import { PrefgradError } from '../engine/errors.ts';

/** What a model can be given: so many positions, and ids below its vocabulary's size. `LanguageModel` has it. */
export interface ModelLimits {
  readonly contextLength: number;
  readonly vocabSize: number;
}

/**
 * Throws a PrefgradError for tokens that are no input of the model, which its kernels would not notice. `where` is
 * what the message calls them.
 */
export function checkTokens(
  ids: readonly number[],
  where: string,
  { contextLength, vocabSize }: ModelLimits,
): void {
  if (ids.length > contextLength)
    throw new PrefgradError(
      `${where}: has ${ids.length} tokens, but the model's context is ${contextLength}; cut it, or set max_length`,
    );
  const wrong = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabSize));
  if (wrong !== undefined)
    throw new PrefgradError(
      `${where}: has token ${wrong}, but the model's vocab_size is ${vocabSize}; is the tokenizer of this model?`,
    );
}
