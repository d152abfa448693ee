// @ts-check
// Picks conversations of one turn whose both answers fit max_length, and writes 48 for training and the rest as held-out
// ones as prompt/chosen/rejected in ChatML without a system message.
// Usage: node examples/smollm2/select.mjs [FOLDER]   (default: runs/smollm2)
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openModelFiles } from 'prefgrad/models';

const [TRAIN, MAX_LENGTH] = [48, 512];
const folder = process.argv[2] ?? 'runs/smollm2';
const model = await openModelFiles(join(folder, 'SmolLM2-135M-Instruct.Q4_1.gguf'));
const { tokenizer } = model;
if (tokenizer === undefined) throw new Error('the model file has no tokenizer');

const rows =
  /** @type {{ conversations: { value: string }[]; chosen: { value: string }; rejected: { value: string } }[]} */ (
    JSON.parse(readFileSync(join(folder, 'dpo_en_demo.json'), 'utf8'))
  );
const pairs = rows
  .filter(({ conversations }) => conversations.length === 1)
  .map(({ conversations, chosen, rejected }) => ({
    prompt: `<|im_start|>user\n${conversations[0]?.value}<|im_end|>\n<|im_start|>assistant\n`,
    chosen: `${chosen.value}<|im_end|>`,
    rejected: `${rejected.value}<|im_end|>`,
  }))
  .filter(({ prompt, chosen, rejected }) =>
    [chosen, rejected].every((text) => tokenizer.encode(prompt + text).length <= MAX_LENGTH),
  );
await model.close();

/** @param {string} name @param {typeof pairs} chosen */
const write = (name, chosen) =>
  writeFileSync(join(folder, name), chosen.map((pair) => `${JSON.stringify(pair)}\n`).join(''));
write('pairs.jsonl', pairs.slice(0, TRAIN));
write('heldout.jsonl', pairs.slice(TRAIN));
console.log(`${pairs.length} of ${rows.length} rows fit; ${TRAIN} to train on, the rest held out`);
