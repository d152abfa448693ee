import type { Work } from './program.ts';

/** What the commands do, each loaded when it is called for. */
export const work: Work = {
  async train(config, hooks) {
    const { train } = await import('../trainer/train.node.ts');
    return train(config, hooks);
  },
  async generate(options, hooks) {
    const { generateText } = await import('../trainer/generate.node.ts');
    return generateText(options, hooks);
  },
  async score(options, hooks) {
    const { scoreFile } = await import('../trainer/score.node.ts');
    return scoreFile(options, hooks);
  },
  async evaluate(options, hooks) {
    const { evaluateFile } = await import('../trainer/evaluate.node.ts');
    return evaluateFile(options, hooks);
  },
  async merge(options, hooks) {
    const { mergeFiles } = await import('../trainer/merge.node.ts');
    return mergeFiles(options, hooks);
  },
  async rewards(config, hooks) {
    const { inspectRewards } = await import('../trainer/rewards.node.ts');
    return inspectRewards(config, hooks);
  },
  async sweep(options, hooks) {
    const { sweep } = await import('../trainer/sweep/sweep.node.ts');
    return sweep(options, hooks);
  },
  async devices() {
    const { describeDevices } = await import('../engine/describeDevices.ts');
    return describeDevices();
  },
};
