import { describe, expect, it } from 'vitest';
import { openDevice } from '../../engine/index.ts';
import { openModelFiles } from '../../models/files/open.ts';
import { Generator } from '../../models/generate.ts';
import { loadWeights } from '../../models/model.ts';
import { createModel } from '../../models/registry.ts';
import { prefgrad } from '../cli/realCli.ts';
import { needsShared, shared } from '../shared.ts';

const folder = shared('models/stories260K') ?? '';

/** What llama2.c's documentation prints (github.com/karpathy/llama2.c, doc/stories260K.md), greedy from BOS. */
const story = `Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.
Lily's mom said, "Lily, let's go to the park." Lily was sad and didn't know what to do. She said, "I want to play with your ball, but I can't find it."
Lily was sad and didn't know what to do. She said, "I'm sorry, Lily. I didn't know what to do."
Lily didn't want to help her mom, so she said, "I'm sorry, mom. I didn't know what to do." Her mom said, "Don't worry, Lily. We can help you."
`;

describe.skipIf(folder === '')(`stories260K tells its published story ${needsShared}`, () => {
  for (const kind of ['wasm', 'reference'] as const)
    it(`through the generator on ${kind}`, async () => {
      const device = await openDevice({ device: kind, threads: 1 });
      const files = await openModelFiles(folder);
      const model = createModel(files.config);
      await loadWeights(model, files, device);
      const generator = new Generator(model, device, 1, 300);
      // The reference device takes its time: the first sentences alone.
      const [generated] = await generator.generate([[1]], { maxNewTokens: kind === 'wasm' ? 260 : 60 });
      const tokens = [1, ...(generated?.tokens ?? [])];
      const text = files.tokenizer?.decode(tokens, { skipSpecialTokens: true }) ?? '';
      const length = Math.min(text.length, story.length);
      expect(text.slice(0, length)).toBe(story.slice(0, length));
      expect(length).toBeGreaterThan(kind === 'wasm' ? story.length - 1 : 120);
      await files.close();
      await device.dispose();
    });

  it('through the command line', async () => {
    const argv = ['generate', '--model', folder, '--prompt', '', '--max-new-tokens', '260', '--threads', '2'];
    const { code, out } = await prefgrad(...argv);
    expect(code).toBe(0);
    expect(out.slice(0, story.length)).toBe(story);
    const json = await prefgrad(...argv, '--json');
    expect(JSON.parse(json.out)).toEqual({
      completion: out.slice(0, -1),
      tokens: 260,
      finish_reason: 'length',
    });
  });
});
