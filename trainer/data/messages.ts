import { parseJson } from './json.ts';
import type { Content, Message } from './rows.ts';

/** Why a row can not be used. It never leaves this folder: readers list it with the row's place. */
export class Unusable extends Error {
  override readonly name = 'Unusable';
}

/** Names that data sets give to the roles chat templates call user and assistant. */
const roles = new Map(
  Object.entries({
    human: 'user',
    gpt: 'assistant',
    chatgpt: 'assistant',
    bot: 'assistant',
    model: 'assistant',
    function_call: 'assistant',
    observation: 'tool',
  }),
);

/** A text, one message, or a list of messages; messages are `{role, content}` or ShareGPT's `{from, value}`. */
export function readContent(input: unknown, key: string): Content {
  if (typeof input === 'string') return input;
  if (!Array.isArray(input)) return [readMessage(input, key)];
  return input.map((message: unknown) => readMessage(message, key));
}

function readMessage(input: unknown, key: string): Message {
  if (typeof input !== 'object' || input === null) {
    throw new Unusable(`has ${kindOf(input)} under ${key}, expected a text or messages`);
  }
  const fields: Readonly<Record<string, unknown>> = { ...input };
  const role = fields['role'] ?? fields['from'];
  if (typeof role !== 'string') throw new Unusable(`has a message without role under ${key}`);
  const given = fields['content'] ?? fields['value'];
  const calls = role === 'function_call' ? callsOf(given, key) : fields['tool_calls'];
  const extra = {
    ...textsOf(fields, ['name', 'tool_call_id', 'reasoning_content']),
    ...(Array.isArray(calls) && calls.length > 0 ? { tool_calls: calls.map(withoutNulls) } : {}),
  };
  const content = role === 'function_call' ? '' : textOf(given ?? ('tool_calls' in extra ? '' : given));
  if (content === undefined) {
    throw new Unusable(
      `has a message of ${role} under ${key} whose content is ${kindOf(given)}, expected a text`,
    );
  }
  return { role: roles.get(role) ?? role, content, ...extra };
}

function textsOf(fields: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const key of keys) {
    const value = fields[key];
    if (typeof value === 'string') texts[key] = value;
  }
  return texts;
}

/** ShareGPT's `function_call`: a JSON text of one call or of a list, each `{name, arguments}`. */
function callsOf(value: unknown, key: string): unknown[] {
  const parsed = typeof value === 'string' ? parseJson(value) : { value };
  if ('problem' in parsed || typeof parsed.value !== 'object' || parsed.value === null)
    throw new Unusable(
      `has a function_call under ${key} that is no JSON, expected {"name": …, "arguments": …}`,
    );
  const calls: unknown[] = Array.isArray(parsed.value) ? parsed.value : [parsed.value];
  return calls.map((call) => ({ type: 'function', function: call }));
}

/** Arrow gives every struct the keys of all; those without a value were not there. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== null && inner !== undefined)
      .map(([key, inner]) => [key, withoutNulls(inner)]),
  );
}

/** Text, or OpenAI's list of parts where all of them are text. */
function textOf(content: unknown): string | undefined {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return undefined;
  let text = '';
  for (const part of content as unknown[]) {
    if (typeof part !== 'object' || part === null || !('text' in part) || typeof part.text !== 'string') {
      return undefined;
    }
    text += part.text;
  }
  return text;
}

export function asMessages(content: Content, role: 'user' | 'assistant'): readonly Message[] {
  return typeof content === 'string' ? [{ role, content }] : content;
}

export function isEmpty(content: Content): boolean {
  return typeof content === 'string'
    ? content === ''
    : content.every((message) => message.content === '' && message.tool_calls === undefined);
}

export function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
