// @ts-check
// Writes pairs-48.jsonl and heldout-48.jsonl, and the same with 96, as prompt/chosen/rejected in ChatML without a system
// message of its own: prompts of up to 160 tokens (of a longer conversation the last turns that fit), answers of up to
// 48 or 96 tokens, longer ones cut after the last sentence that fits and without an end token; both of four words or
// more. Every third is held out.
// Usage: node examples/smollm2/select.mjs [FOLDER]   (default: runs/smollm2)
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openModelFiles } from 'prefgrad/models';

const [PROMPT, ANSWERS, WORDS] = [160, [48, 96], 4];
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

/** @param {string} answer @param {number} most tokens */
function cut(answer, most) {
  const text = answer.trim();
  const ids = tokenizer?.encode(text) ?? [];
  if (ids.length < most) return `${text}<|im_end|>`;
  const start = tokenizer?.decode(ids.slice(0, most)) ?? '';
  return /^[\s\S]*[.!?](?=\s|$)/.exec(start)?.[0] ?? '';
}

/** @param {string} text */
const words = (text) => text.split(/\s+/).filter((word) => /[a-z]/i.test(word)).length;

const rows = /** @type {{ conversations: Turn[]; chosen: Turn; rejected: Turn }[]} */ (
  JSON.parse(readFileSync(join(folder, 'dpo_en_demo.json'), 'utf8'))
);
/** @param {number} most tokens of an answer */
function pairsOf(most) {
  const seen = new Set();
  return rows.flatMap(({ conversations, chosen: better, rejected: worse }) => {
    const prompt = promptOf(conversations);
    if (prompt === undefined || seen.has(prompt)) return [];
    seen.add(prompt);
    const [chosen, rejected] = [cut(better.value, most), cut(worse.value, most)];
    const short = Math.min(words(chosen), words(rejected)) < WORDS;
    return chosen === rejected || short ? [] : [{ prompt, chosen, rejected }];
  });
}

/** @param {string} name @param {ReturnType<typeof pairsOf>} pairs */
const write = (name, pairs) =>
  writeFileSync(join(folder, name), pairs.map((pair) => `${JSON.stringify(pair)}\n`).join(''));

for (const most of ANSWERS) {
  const pairs = pairsOf(most);
  const heldOut = pairs.filter((_, i) => i % 3 === 2);
  write(
    `pairs-${most}.jsonl`,
    pairs.filter((_, i) => i % 3 !== 2),
  );
  write(`heldout-${most}.jsonl`, heldOut);
  console.log(
    `answers of ${most} tokens: ${pairs.length} of ${rows.length} rows, ${heldOut.length} of them held out`,
  );
}
await model.close();
