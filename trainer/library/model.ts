import { PrefgradError } from '../../engine/errors.ts';
import type { ChatMessage } from '../../models/chatTemplate.ts';
import type { WrittenDtype } from '../../models/files/safetensorsWriter.ts';
import type { SavedFile } from '../../models/files/savedFiles.ts';
import { savedFiles } from '../../models/files/savedFiles.ts';
import type { LanguageModel } from '../../models/model.ts';
import type { Tokenizer } from '../../models/tokenizer.ts';
import type { CompleteOptions } from '../complete.ts';
import { loadRowsForScoring } from '../data/load.ts';
import { describeNotes } from '../data/rows.ts';
import type { Phase } from '../events.ts';
import type { CompletionScore, PairScore } from '../scoreRows.ts';
import { scoreRows } from '../scoreRows.ts';
import type { NamedBlobs, Session, SessionOptions } from '../session.ts';
import { openSession } from '../session.ts';
import { savedModel } from '../tuned.ts';
import type { CompletionData, DataRow, PairData } from './data.ts';
import { nameOf, openData } from './data.ts';
import { Generation } from './generation.ts';

/** A file of a model, as a page holds it. */
export type ModelFile = File | NamedBlobs['files'][number];

export interface LoadModelOptions {
  /** `auto` (the default) is WebGPU where there is a GPU, and WebAssembly on all cores else. */
  readonly device?: SessionOptions['device'];
  /** Threads of WebAssembly; one per core by default. */
  readonly threads?: number;
  /** The longest prompt and completion, in tokens, that it is to take; its whole context by default. */
  readonly maxLength?: number;
  /**
   * The weights will not be trained, but adapters on them may be: those of a .gguf file then stay in its blocks, where
   * the device can keep them. Default false.
   */
  readonly frozen?: boolean;
  /** What messages call a model that was given as files. */
  readonly name?: string;
  /** Told in bytes as files are downloaded, then in weights as they are loaded. */
  readonly onProgress?: (phase: Phase, done: number, total: number) => void;
}

export interface ScoreOptions {
  /** Tokens of prompt and completion that are kept; the model's context by default. */
  readonly maxLength?: number;
  /** Puts the BOS token before the prompt. */
  readonly addBos?: boolean;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Loads a model onto a device. In Node, Deno and Bun `source` is a folder in Hugging Face's layout, a .gguf file, a
 * folder of PEFT's, or a hub id, which is downloaded and kept; in a browser it is the files of such a folder, or one
 * .gguf file, as an input element, a drop or `fetch` gives them.
 *
 * Throws a PrefgradError that says what is wrong with the files or not available here.
 */
export async function loadModel(
  source: string | Iterable<ModelFile>,
  { device = 'auto', threads, maxLength, frozen, name = 'model', onProgress }: LoadModelOptions = {},
): Promise<Model> {
  const model =
    typeof source === 'string'
      ? source
      : {
          name,
          files: Array.from(source, (file) =>
            file instanceof Blob ? { name: nameOf(file, name), blob: file } : file,
          ),
        };
  return new Model(
    await openSession({ model, device, threads, frozen, maxPositions: maxLength, onProgress }),
  );
}

/** A language model with its weights on a device; `loadModel` makes it, and a `Trainer` changes it in place. */
export class Model {
  readonly #session: Session;
  readonly #files: (dtype: WrittenDtype) => SavedFile[];

  /** @internal What is saved is the whole model where `files` is not given. */
  constructor(session: Session, files?: () => SavedFile[]) {
    this.#session = session;
    this.#files = files ?? ((dtype) => savedFiles(savedModel(session), dtype));
  }

  /** Its folder, file or hub id. */
  get name(): string {
    return this.#session.files.name;
  }

  /** The device in words: backend, instruction set, threads. */
  get device(): string {
    return this.#session.device.description;
  }

  /** Tokens of prompt and completion together that it can take. */
  get contextLength(): number {
    return this.#session.model.contextLength;
  }

  get tokenizer(): Tokenizer {
    return this.#session.tokenizer;
  }

  /** The model's weights by name, and its graph. */
  get network(): LanguageModel {
    return this.#session.model;
  }

  /** @internal */
  get session(): Session {
    return this.#session;
  }

  /**
   * Completes a prompt, or a conversation by the model's chat template:
   * `for await (const piece of model.generate('Once')) …`, or `await model.generate('Once').text()`. Work begins when
   * it is asked for. By default it takes the likeliest token each time (temperature 0), 128 at most.
   */
  generate(prompt: string | readonly ChatMessage[], options: CompleteOptions = {}): Generation {
    return new Generation(this.#session, prompt, options);
  }

  /**
   * Log-probs in nats of completions after their prompts, summed over their tokens, and how many tokens they are. EOS
   * counts to a completion, as in training. Errors: a row that cannot be scored, with its number and why.
   */
  score(rows: readonly PairData[], options?: ScoreOptions): Promise<PairScore[]>;
  score(rows: readonly CompletionData[], options?: ScoreOptions): Promise<CompletionScore[]>;
  score(rows: readonly DataRow[], options?: ScoreOptions): Promise<(PairScore | CompletionScore)[]>;
  async score(
    rows: readonly DataRow[],
    { maxLength, addBos = false, onProgress, signal }: ScoreOptions = {},
  ): Promise<(PairScore | CompletionScore)[]> {
    const { tokenizer, model } = this.#session;
    const found = await openData(rows, 'rows');
    const limits = { maxLength: maxLength ?? null, addBos };
    const loaded = await loadRowsForScoring(found, tokenizer, model, limits, { signal });
    if (loaded.leftOut.length > 0)
      throw new PrefgradError(`score: ${describeNotes('cannot be scored', loaded.leftOut)}; leave them out`);
    return scoreRows(this.#session, loaded.rows, onProgress, signal);
  }

  /**
   * Writes the model as a Hugging Face folder that Transformers loads, or the trained adapters as one of PEFT's; in
   * Node, Deno and Bun. An interruption leaves no half of it.
   */
  async save(folder: string, { dtype = 'F32' }: { readonly dtype?: WrittenDtype } = {}): Promise<void> {
    const { saveFiles } = await import('../../models/files/save.node.ts');
    await saveFiles(folder, this.#files(dtype));
  }

  /** The same files in memory, to be downloaded or kept by a page; `loadModel` takes them. */
  async files({ dtype = 'F32' }: { readonly dtype?: WrittenDtype } = {}): Promise<NamedBlobs['files']> {
    const made: { name: string; blob: Blob }[] = [];
    for (const { name, write } of this.#files(dtype)) {
      const parts: Blob[] = [];
      await write({
        async write(bytes) {
          parts.push(new Blob([Uint8Array.from(bytes)]));
        },
      });
      made.push({ name, blob: new Blob(parts) });
    }
    return made;
  }

  /** Frees the device and closes the files. */
  async dispose(): Promise<void> {
    await this.#session.dispose();
  }
}
