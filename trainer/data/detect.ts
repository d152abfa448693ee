import { columnsOf } from './columns.ts';
import { commonMessages, implicitPromptLength } from './implicitPrompt.ts';
import { parseJson } from './json.ts';
import { asMessages, isEmpty, kindOf, readContent, Unusable, withoutNulls } from './messages.ts';
import type { CompletionRow, Content, Origin, PairRow, Row, UnpairedRow } from './rows.ts';

type Fields = Readonly<Record<string, unknown>>;

const conversationKeys = ['conversations', 'messages'];
/** What other programs call the prompt; beside chosen and rejected it must not be passed over. */
const promptLike = ['question', 'instruction', 'input', 'query'];
const pictures = ['images', 'image'];
const keys = new Set([
  ...[
    'prompt',
    'chosen',
    'rejected',
    'completion',
    'label',
    'kto_tag',
    'system',
    'tools',
    'chat_template_kwargs',
  ],
  ...[...conversationKeys, ...promptLike, ...pictures],
]);

/** Whether a key is one that a row is made of; others need not be read. */
export const isRowKey = (key: string): boolean => keys.has(key);

/** Whether these keys are enough for a row. */
export function holdsRows(columns: readonly string[]): boolean {
  const has = (...needed: string[]) => needed.every((key) => columns.includes(key));
  return has('chosen', 'rejected') || has('prompt', 'completion') || conversationKeys.some((key) => has(key));
}

/** What `holdsRows` looks for. */
export const rowKeys = 'prompt, chosen and rejected, or prompt and completion, or conversations';

/**
 * One row in any of TRL's formats or ShareGPT's, told apart by its keys:
 * - `prompt`, `chosen`, `rejected`; without `prompt` it is what chosen and rejected begin with;
 * - `prompt`, `completion`, with or without `label`;
 * - `conversations` (or `messages`) with `chosen` and `rejected`; without them the last assistant message
 *   is the completion, with `label` (or `kto_tag`) a judged one.
 * A text beside messages becomes a user's prompt or an assistant's answer. `columns` are kept too. Throws `Unusable` with the
 * reason for a row that holds none of these.
 */
export function detectRow(input: unknown, origin: Origin, columns: readonly string[] = []): Row {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new Unusable(`is ${kindOf(input)}, expected an object`);
  }
  const fields: Fields = { ...input };
  for (const key of pictures) {
    const empty = isNothing(fields[key]) || (Array.isArray(fields[key]) && fields[key].length === 0);
    if (!empty) throw new Unusable(`has ${key}, which can not be used yet`);
  }
  const found = rowOf({ ...fields, ...parsedLists(fields) }, origin);
  const row = columns.length === 0 ? found : { ...found, columns: columnsOf(fields, found.kind, columns) };
  const template = templateOf(fields);
  if (template === undefined) return row;
  if (typeof row.prompt !== 'string') return { ...row, template };
  throw new Unusable(
    `has ${Object.keys(template).join(' and ')}, which chat templates read, but prompt and completion are texts; write them as messages`,
  );
}

function rowOf(fields: Fields, origin: Origin): Row {
  const has = (key: string) => fields[key] !== undefined && fields[key] !== null;
  const conversation = conversationKeys.find((key) => Array.isArray(fields[key]));
  if (has('chosen') && has('rejected')) {
    const promptKey = has('prompt') ? 'prompt' : conversation;
    return promptKey === undefined ? implicitPair(fields, origin) : pair(fields, promptKey, origin);
  }
  if (has('chosen')) throw new Unusable('has chosen without rejected');
  if (has('rejected')) throw new Unusable('has rejected without chosen');
  if (has('completion')) {
    if (!has('prompt')) throw new Unusable('has a completion without prompt');
    return completionRow(
      readContent(fields.prompt, 'prompt'),
      readContent(fields.completion, 'completion'),
      fields,
      origin,
    );
  }
  if (conversation !== undefined) return lastTurn(fields, conversation, origin);
  const given = Object.keys(fields).join(', ');
  throw new Unusable(`has ${given === '' ? 'no keys' : given}; expected ${rowKeys}`);
}

/** Conversations that a column of texts holds as JSON. */
function parsedLists(fields: Fields): Record<string, unknown> {
  const lists: Record<string, unknown> = {};
  for (const key of conversationKeys) {
    const text = fields[key];
    if (typeof text !== 'string' || text.trim() === '') continue;
    const parsed = parseJson(text);
    if (!('value' in parsed) || !Array.isArray(parsed.value))
      throw new Unusable(`has a text under ${key} that is no JSON list of messages`);
    lists[key] = parsed.value;
  }
  return lists;
}

/** `tools` and `chat_template_kwargs`, each as it is or as a JSON text; undefined for neither. */
function templateOf(fields: Fields): Readonly<Record<string, unknown>> | undefined {
  const read = (key: string, isRight: (value: unknown) => boolean, expected: string): unknown => {
    const given = fields[key];
    if (isNothing(given)) return undefined;
    const parsed = typeof given === 'string' ? parseJson(given) : { value: given };
    if ('value' in parsed && isRight(parsed.value)) return withoutNulls(parsed.value);
    throw new Unusable(`has ${kindOf(given)} under ${key}, expected ${expected}`);
  };
  const tools = read('tools', Array.isArray, 'a list of JSON schemas');
  const others = read('chat_template_kwargs', isMapping, 'a mapping');
  const template = {
    ...(isMapping(others) ? others : {}),
    ...(Array.isArray(tools) && tools.length > 0 ? { tools } : {}),
  };
  return Object.keys(template).length === 0 ? undefined : template;
}

const isNothing = (value: unknown) => value === undefined || value === null || value === '';
const isMapping = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function pair(fields: Fields, promptKey: string, origin: Origin): PairRow {
  const prompt = withSystem(readContent(fields[promptKey], promptKey), fields);
  const chosen = readContent(fields.chosen, 'chosen');
  const rejected = readContent(fields.rejected, 'rejected');
  // Some data sets have the prompt as a text and again at the start of both conversations.
  if (typeof prompt === 'string' && typeof chosen !== 'string' && typeof rejected !== 'string') {
    const shared = commonMessages(chosen, rejected);
    if (shared > 0) return splitPair(chosen, rejected, shared, origin);
  }
  return pairRow(prompt, chosen, rejected, origin);
}

function implicitPair(fields: Fields, origin: Origin): PairRow {
  const chosen = readContent(fields.chosen, 'chosen');
  const rejected = readContent(fields.rejected, 'rejected');
  if (isEmpty(chosen) || isEmpty(rejected))
    throw new Unusable(`has an empty ${isEmpty(chosen) ? 'chosen' : 'rejected'}`);
  if (JSON.stringify(chosen) === JSON.stringify(rejected)) {
    throw new Unusable('has no prompt, and chosen equals rejected, so nothing says where the prompt ends');
  }
  for (const key of promptLike) {
    const text = fields[key];
    if (typeof text === 'string' && text !== '' && typeof chosen === 'string' && !chosen.includes(text))
      throw new Unusable(`has no prompt, but ${key}; call it prompt if it is one, or leave it out`);
  }
  return splitPair(chosen, rejected, implicitPromptLength(chosen, rejected), origin);
}

function splitPair(chosen: Content, rejected: Content, length: number, origin: Origin): PairRow {
  return pairRow(chosen.slice(0, length), chosen.slice(length), rejected.slice(length), origin);
}

/** Brings the three parts to one kind and refuses empty ones. */
function pairRow(prompt: Content, chosen: Content, rejected: Content, origin: Origin): PairRow {
  if (isEmpty(chosen)) throw new Unusable('has an empty chosen');
  if (isEmpty(rejected)) throw new Unusable('has an empty rejected');
  if (typeof prompt === 'string' && typeof chosen === 'string' && typeof rejected === 'string') {
    return { kind: 'pair', origin, prompt, chosen, rejected };
  }
  return {
    kind: 'pair',
    origin,
    prompt: messagesOfPrompt(prompt),
    chosen: asMessages(chosen, 'assistant'),
    rejected: asMessages(rejected, 'assistant'),
  };
}

/** A whole conversation: its last assistant message is the completion. */
function lastTurn(fields: Fields, key: string, origin: Origin): UnpairedRow | CompletionRow {
  const messages = asMessages(withSystem(readContent(fields[key], key), fields), 'user');
  const last = messages.at(-1);
  if (last?.role !== 'assistant') {
    throw new Unusable(`has ${key} that end with ${last?.role ?? 'nothing'}, expected an assistant message`);
  }
  return completionRow(messages.slice(0, -1), [last], fields, origin);
}

function completionRow(
  prompt: Content,
  completion: Content,
  { label: ownLabel, kto_tag: tag }: Fields,
  origin: Origin,
): UnpairedRow | CompletionRow {
  if (isEmpty(completion)) throw new Unusable('has an empty completion');
  const texts = typeof prompt === 'string' && typeof completion === 'string';
  const given = texts
    ? { origin, prompt, completion }
    : { origin, prompt: messagesOfPrompt(prompt), completion: asMessages(completion, 'assistant') };
  const label = ownLabel ?? tag ?? undefined;
  if (label === undefined) return { kind: 'completion', ...given };
  if (label !== true && label !== false && label !== 1 && label !== 0) {
    throw new Unusable(`has ${JSON.stringify(label)} as label, expected true or false`);
  }
  return { kind: 'unpaired', ...given, label: Boolean(label) };
}

function messagesOfPrompt(prompt: Content) {
  const messages = asMessages(prompt, 'user');
  if (messages.length === 0) throw new Unusable('has no message before the completion');
  return messages;
}

/** ShareGPT's separate `system` text, before the conversation. */
function withSystem(prompt: Content, { system }: Fields): Content {
  if (typeof prompt === 'string' || typeof system !== 'string' || system === '') return prompt;
  return [{ role: 'system', content: system }, ...prompt];
}
