/** Text that is HTML already. Only the `markup` template makes it from strings, so nothing reaches a page unescaped. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  toString(): string {
    return this.text;
  }
}

type Part = Html | string | number | undefined | readonly Part[];

/**
 * A template whose strings and numbers are escaped; Html goes in as it is, undefined as nothing,
 * lists joined. (Not called `html`: Prettier would format what is inside, and white space matters in `pre-wrap`.)
 */
export function markup(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(strings.reduce((text, string, i) => text + render(parts[i - 1]) + string));
}

/** A script element's JSON: no `<` is left in it, so no text can close the element or open a comment. */
export function jsonScript(id: string, value: unknown): Html {
  const text = JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return new Html(`<script type="application/json" id="${escapeHtml(id)}">${text}</script>`);
}

/** A script or style element with our own source text, which must not hold its own end tag. */
export function inlineElement(tag: 'script' | 'style', source: string): Html {
  if (source.toLowerCase().includes(`</${tag}`))
    throw new Error(`report: the source of <${tag}> holds its end tag`);
  return new Html(`<${tag}>${source}</${tag}>`);
}

/** Text for element content and quoted attributes; control characters become visible (␀, ␛, or �). */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`).replace(/\p{Cc}/gu, visible);
}

function visible(control: string): string {
  const code = control.charCodeAt(0);
  if (control === '\n' || control === '\t') return control;
  if (control === '\r') return '&#13;';
  return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? '\u2421' : '\ufffd';
}

function render(part: Part): string {
  if (part === undefined) return '';
  if (part instanceof Html) return part.text;
  if (Array.isArray(part)) return part.map(render).join('');
  return escapeHtml(String(part));
}
