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
  const fields: { role?: unknown; from?: unknown; content?: unknown; value?: unknown } = input;
  const role = fields.role ?? fields.from;
  if (typeof role !== 'string') throw new Unusable(`has a message without role under ${key}`);
  const content = textOf(fields.content ?? fields.value);
  if (content === undefined) {
    throw new Unusable(
      `has a message of ${role} under ${key} whose content is ${kindOf(fields.content)}, expected a text`,
    );
  }
  return { role: roles.get(role) ?? role, content };
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
  return typeof content === 'string' ? content === '' : content.every((message) => message.content === '');
}

export function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
