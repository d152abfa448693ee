import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Device } from '../../engine/index.ts';
import { initialiseWeights, type LanguageModel } from '../../models/model.ts';
import { createModel } from '../../models/registry.ts';
import { writeSafetensors } from '../../models/files/safetensorsWriter.ts';
import { memorySink } from '../../models/files/source.ts';
import { ReferenceDevice } from '../../engine/index.ts';
import { Random } from '../../trainer/data/random.ts';
import type { TokenizedPair, TokenizedUnpaired } from '../../trainer/data/tokenized.ts';

// Tiny random models and data, made from seeds alone.

export const EOS = 256;

/** config.json of a byte-level model: 256 bytes and EOS. */
export function tinyConfig(
  type: 'llama' | 'gpt2' | 'qwen2' = 'llama',
  changes: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const common = {
    model_type: type,
    vocab_size: 257,
    bos_token_id: EOS,
    eos_token_id: EOS,
    initializer_range: 0.2,
  };
  return type === 'gpt2'
    ? { ...common, n_embd: 24, n_layer: 2, n_head: 3, n_positions: 96, ...changes }
    : {
        ...common,
        hidden_size: 24,
        intermediate_size: 40,
        num_hidden_layers: 2,
        num_attention_heads: 3,
        num_key_value_heads: 1,
        head_dim: 8,
        max_position_embeddings: 96,
        tie_word_embeddings: true,
        ...changes,
      };
}

/** N(0, 1) by Box and Muller. */
export function normalOf(random: Random): () => number {
  return () => Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
}

/** A model with random weights on a device: the same for the same seed, to the last bit of float32. */
export function tinyModel(device: Device, config = tinyConfig(), seed = 1): LanguageModel {
  const model = createModel(config);
  initialiseWeights(model, device, normalOf(new Random(seed)));
  return model;
}

/** Printable stand-ins of the bytes, as GPT-2's byte-level tokenizers have them. */
function byteCharacters(): string[] {
  const printable = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : next++));
}

/** tokenizer.json in which every byte is a token. */
const tokenizerJson = (): unknown => ({
  version: '1.0',
  added_tokens: [
    {
      id: EOS,
      content: '<eos>',
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    },
  ],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
  post_processor: null,
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    vocab: Object.fromEntries<number>([...byteCharacters(), '<eos>'].map((c, i) => [c, i])),
    merges: [],
  },
});

/** Writes a tiny random model as a Hugging Face folder. */
export async function writeTinyModel(folder: string, config = tinyConfig(), seed = 1): Promise<string> {
  const device = new ReferenceDevice();
  const model = tinyModel(device, config, seed);
  const sink = memorySink();
  await writeSafetensors(
    sink,
    model.parameters.map(({ variable }) => ({
      name: variable.name,
      shape: variable.type.shape,
      dtype: 'F32',
      data: async () => Float32Array.from(await device.read(variable)),
    })),
  );
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'model.safetensors'), sink.bytes());
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizerJson()));
  writeFileSync(
    join(folder, 'tokenizer_config.json'),
    JSON.stringify({ tokenizer_class: 'PreTrainedTokenizerFast', eos_token: '<eos>', bos_token: '<eos>' }),
  );
  return folder;
}

/** Text pairs of different lengths. */
export function textPairs(count: number, seed = 1): { prompt: string; chosen: string; rejected: string }[] {
  const random = new Random(seed);
  const words = ['river', 'lamp', 'ink', 'over', 'tall', 'seven', 'red', 'boat', 'sings', 'to'];
  const text = (most: number) =>
    Array.from({ length: 1 + random.below(most) }, () => words[random.below(words.length)]).join(' ');
  return Array.from({ length: count }, (_, i) => ({
    prompt: `${i}. ${text(4)}`,
    chosen: ` ${text(5)}`,
    rejected: ` ${text(5)}`,
  }));
}

/** Token pairs of different lengths, ids below `vocab`. */
export function tokenPairs(count: number, seed = 1, vocab = 257): TokenizedPair[] {
  const random = new Random(seed);
  const ids = (least: number, most: number) =>
    Array.from({ length: least + random.below(most - least + 1) }, () => random.below(vocab));
  return Array.from({ length: count }, (_, i): TokenizedPair => {
    const completion = () => ({ ids: ids(1, 17), text: `text ${random.below(1e9)}`, klIds: null });
    return {
      kind: 'pair',
      origin: { file: 'pairs.jsonl', line: i + 1 },
      promptIds: ids(1, 19),
      promptText: `prompt ${i}`,
      chosen: completion(),
      rejected: completion(),
    };
  });
}

/** The pairs as KTO takes them: judged one by one, each with the completion before it as its KL completion. */
export function judged(pairs: readonly TokenizedPair[]): TokenizedUnpaired[] {
  return pairs.map(({ origin, promptIds, promptText, chosen, rejected }, i) => ({
    kind: 'unpaired',
    origin,
    promptIds,
    promptText,
    label: i % 2 === 0,
    completion: { ...(i % 2 === 0 ? chosen : rejected), klIds: pairs.at(i - 1)?.chosen.ids ?? null },
  }));
}
