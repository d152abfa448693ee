import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openModelFiles } from '../models/index.ts';
import { saveModelFiles } from '../models/files/save.node.ts';

/** What examples/smollm2/fetch.sh brings. */
const SOURCE = join('runs', 'smollm2');
const GGUF = join(SOURCE, 'SmolLM2-135M-Instruct.Q4_1.gguf');
const ROWS = join(SOURCE, 'dpo_en_demo.json');

const FOLDER = join('bench', 'build', 'dpo');
/** Where they are written: a model's folder and a file of pairs, the same for prefgrad and TRL. */
export const DPO_FILES = {
  model: join(FOLDER, 'SmolLM2-135M-Instruct'),
  pairs: join(FOLDER, 'pairs.jsonl'),
} as const;
export const PAIRS = 12;
const MAX_TOKENS = 512;

/** What must be done before the end-to-end runs can be measured, or nothing. */
export const missingDpoData = (): string | undefined =>
  existsSync(GGUF) && existsSync(ROWS)
    ? undefined
    : `${SOURCE} has no model and pairs; bash examples/smollm2/fetch.sh brings them`;

interface DemoRow {
  readonly conversations: readonly { readonly value: string }[];
  readonly chosen: { readonly value: string };
  readonly rejected: { readonly value: string };
}

/**
 * Writes SmolLM2-135M-Instruct as Transformers' folder in float32, and the first 12 real pairs of one turn whose
 * prompt and completion have at most 512 tokens on both sides, in ChatML. What is there is left as it is.
 */
export async function prepareDpoData(): Promise<void> {
  if (existsSync(join(DPO_FILES.model, 'config.json')) && existsSync(DPO_FILES.pairs)) return;
  const missing = missingDpoData();
  if (missing !== undefined) throw new Error(missing);
  const files = await openModelFiles(GGUF);
  try {
    const { config, generationConfig, tokenizer } = files;
    if (tokenizer === undefined) throw new Error(`${GGUF} has no tokenizer`);
    const rows = JSON.parse(await readFile(ROWS, 'utf8')) as DemoRow[];
    const pairs = rows
      .filter(({ conversations }) => conversations.length === 1)
      .map(({ conversations: [turn], chosen, rejected }) => ({
        prompt: `<|im_start|>user\n${turn?.value}<|im_end|>\n<|im_start|>assistant\n`,
        chosen: `${chosen.value}<|im_end|>\n`,
        rejected: `${rejected.value}<|im_end|>\n`,
      }))
      .filter(({ prompt, chosen, rejected }) =>
        [chosen, rejected].every((text) => tokenizer.encode(prompt + text).length <= MAX_TOKENS),
      )
      .slice(0, PAIRS);
    await mkdir(FOLDER, { recursive: true });
    await writeFile(DPO_FILES.pairs, pairs.map((pair) => `${JSON.stringify(pair)}\n`).join(''));
    const tensors = files.tensorNames().map((name) => ({
      ...{ name, shape: files.shape(name) },
      data: () => files.read(name),
    }));
    await saveModelFiles(DPO_FILES.model, { config, generationConfig, tokenizer, tensors });
  } finally {
    await files.close();
  }
}
