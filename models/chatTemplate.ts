import { Template } from '@huggingface/jinja';
import { PrefgradError } from '../engine/errors.ts';

/** One message of a conversation, as chat templates read it. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface ChatTemplateOptions {
  /** Ends the text where the assistant's next message begins. */
  readonly addGenerationPrompt?: boolean;
  /** What else the template reads: `tools` (a list of JSON schemas), `enable_thinking`, … */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** Renders conversations as one text; `tokens` are what a template may name, e.g. bos_token. */
export class ChatTemplate {
  readonly source: string;
  readonly #template: Template;
  readonly #tokens: Readonly<Record<string, string>>;

  /** Throws a PrefgradError for a template that is not valid Jinja. */
  constructor(source: string, tokens: Readonly<Record<string, string>> = {}) {
    this.source = source;
    this.#tokens = tokens;
    try {
      this.#template = new Template(source);
    } catch (error) {
      throw new PrefgradError(
        `the chat template is not valid Jinja (${message(error)}); correct it in the tokenizer's files`,
      );
    }
  }

  /** The conversation as text. What the template refuses (say, two user turns in a row) is a PrefgradError. */
  render(
    messages: readonly ChatMessage[],
    { addGenerationPrompt = false, variables = {} }: ChatTemplateOptions = {},
  ): string {
    try {
      // Transformers always passes tools, None where there are none.
      return this.#template.render({
        ...this.#tokens,
        tools: null,
        ...variables,
        messages: messages.map((turn) => ({ ...turn })),
        add_generation_prompt: addGenerationPrompt,
      });
    } catch (error) {
      throw new PrefgradError(
        `the chat template refuses the messages with roles ${messages.map(({ role }) => role).join(', ')}: ${message(error)}`,
      );
    }
  }
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
