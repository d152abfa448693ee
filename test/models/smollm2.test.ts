import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../engine/index.ts';
import { WasmDevice, compile, gatherRows, i32, tokenLogProbs } from '../../engine/index.ts';
import type { ModelFiles } from '../../models/files/open.ts';
import { openModelFiles } from '../../models/files/open.ts';
import { Generator } from '../../models/generate.ts';
import type { LanguageModel } from '../../models/model.ts';
import { loadWeights, modelInputTypes } from '../../models/model.ts';
import { createModel } from '../../models/registry.ts';
import { fetched, needsFetched, needsShared, shared } from '../shared.ts';

/** What Transformers makes of the same file, dequantized to float32. */
interface Golden {
  readonly texts: readonly {
    readonly text: string;
    readonly ids: number[];
    readonly token_logps: number[];
  }[];
  readonly chat: readonly {
    readonly question: string;
    readonly ids: number[];
    readonly greedy: number[];
    readonly text: string;
  }[];
}

const path = fetched('SmolLM2-135M-Instruct.Q4_1.gguf') ?? '';
const fixture = shared('fixtures/smollm2/golden.json') ?? '';

describe.skipIf(path === '' || fixture === '')(
  `SmolLM2-135M-Instruct answers as in Transformers ${needsFetched} ${needsShared}`,
  () => {
    const golden = fixture === '' ? undefined : (JSON.parse(readFileSync(fixture, 'utf8')) as Golden);
    let device: Device;
    let files: ModelFiles;
    let model: LanguageModel;
    beforeAll(async () => {
      device = await WasmDevice.create({ threads: 2 });
      files = await openModelFiles(path);
      model = createModel(files.config, { maxPositions: 128 });
      await loadWeights(model, files, device);
    });
    afterAll(async () => {
      await files.close();
      await device.dispose();
    });

    it('with its log-probs, to 1e-3', async () => {
      const types = { ...modelInputTypes(32, 1), labels: i32([32], 'labels'), rows: i32([32], 'labels') };
      const program = compile('log-probs', types, (given) => ({
        outputs: {
          logps: tokenLogProbs(gatherRows(model.hidden(given), given.rows), model.head.tensor, given.labels),
        },
      }));
      const executable = await device.load(program);
      for (const { text, token_logps: want } of golden?.texts ?? []) {
        const tokens = files.tokenizer?.encode(text) ?? [];
        const n = tokens.length;
        const { logps } = await executable.run({
          ...{ tokens, positions: [...tokens.keys()], segments: [0, n, 0, n, 0, 0] },
          ...{ rows: [...tokens.keys()].slice(1).map((i) => i - 1), labels: tokens.slice(1) },
        });
        expect(logps?.length).toBe(want.length);
        want.forEach((logp, i) => expect(Math.abs((logps?.[i] ?? NaN) - logp), text).toBeLessThan(1e-3));
      }
      executable.dispose();
    });

    it('and its greedy answers', async () => {
      const chat = golden?.chat ?? [];
      const stop = files.tokenizer?.eosTokenId ?? NaN;
      const prompts = chat.map(({ question }) =>
        files.tokenizer?.encode(
          files.tokenizer.applyChatTemplate([{ role: 'user', content: question }], {
            addGenerationPrompt: true,
          }),
        ),
      );
      expect(prompts).toEqual(chat.map(({ ids }) => ids));
      const generator = new Generator(model, device, chat.length, 96);
      const generated = await generator.generate(
        chat.map(({ ids }) => ids),
        { maxNewTokens: 32, stopTokens: [stop] },
      );
      chat.forEach(({ greedy, text }, i) => {
        const { tokens, stopped } = generated[i];
        expect(stopped ? [...tokens, stop] : tokens).toEqual(greedy);
        expect(files.tokenizer?.decode(tokens, { skipSpecialTokens: true })).toBe(text);
      });
      generator.dispose();
    });
  },
);
