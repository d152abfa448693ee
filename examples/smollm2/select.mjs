// @ts-check
// Writes pairs.jsonl (136) and heldout.jsonl (67) as prompt/chosen/rejected in ChatML without a system message of its
// own: prompts of up to 160 tokens (of a longer conversation the last turns that fit), answers of up to 48 tokens,
// longer ones cut after the last sentence that fits and without an end token; both of four words or more. Every third is
// held out.
// Usage: node examples/smollm2/select.mjs [FOLDER]   (default: runs/smollm2)
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openModelFiles } from 'prefgrad/models';

const [PROMPT, ANSWER, WORDS] = [160, 48, 4];
const folder = process.argv[2] ?? 'runs/smollm2';
const model = await openModelFiles(join(folder, 'SmolLM2-135M-Instruct.Q4_1.gguf'));
const { tokenizer } = model;
if (tokenizer === undefined) throw new Error('the model file has no tokenizer');

/** @typedef {{ from: string; value: string }} Turn */
const roles = new Map([
  ['human', 'user'],
  ['gpt', 'assistant'],
  ['system', 'system'],
]);
/** @param {readonly Turn[]} turns */
const chat = (turns) =>
  `${turns.map(({ from, value }) => `<|im_start|>${roles.get(from)}\n${value}<|im_end|>\n`).join('')}<|im_start|>assistant\n`;

/** @param {readonly Turn[]} turns @returns {string | undefined} */
function promptOf(turns) {
  const prompt = chat(turns);
  if (tokenizer !== undefined && tokenizer.encode(prompt).length <= PROMPT) return prompt;
  return turns.length < 2 ? undefined : promptOf(turns.slice(turns[0]?.from === 'system' ? 1 : 2));
}

/** @param {string} answer */
function cut(answer) {
  const text = answer.trim();
  const ids = tokenizer?.encode(text) ?? [];
  if (ids.length < ANSWER) return `${text}<|im_end|>`;
  const start = tokenizer?.decode(ids.slice(0, ANSWER)) ?? '';
  return /^[\s\S]*[.!?](?=\s|$)/.exec(start)?.[0] ?? '';
}

/** @param {string} text */
const words = (text) => text.split(/\s+/).filter((word) => /[a-z]/i.test(word)).length;

const rows = /** @type {{ conversations: Turn[]; chosen: Turn; rejected: Turn }[]} */ (
  JSON.parse(readFileSync(join(folder, 'dpo_en_demo.json'), 'utf8'))
);
const seen = new Set();
const pairs = rows.flatMap(({ conversations, chosen: better, rejected: worse }) => {
  const prompt = promptOf(conversations);
  if (prompt === undefined || seen.has(prompt)) return [];
  seen.add(prompt);
  const [chosen, rejected] = [cut(better.value), cut(worse.value)];
  const short = Math.min(words(chosen), words(rejected)) < WORDS;
  return chosen === rejected || short ? [] : [{ prompt, chosen, rejected }];
});
await model.close();

/** @param {string} name @param {typeof pairs} chosen */
const write = (name, chosen) =>
  writeFileSync(join(folder, name), chosen.map((pair) => `${JSON.stringify(pair)}\n`).join(''));
const heldOut = pairs.filter((_, i) => i % 3 === 2);
write('heldout.jsonl', heldOut);
write(
  'pairs.jsonl',
  pairs.filter((_, i) => i % 3 !== 2),
);
console.log(
  `${pairs.length} of ${rows.length} rows: ${pairs.length - heldOut.length} to train on, ${heldOut.length} held out`,
);
