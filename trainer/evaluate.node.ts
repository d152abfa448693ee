import { PrefgradError } from '../engine/errors.ts';
import type { TrainConfig } from './config.ts';
import { parseSettings } from './config.ts';
import { findRows } from './data/find.node.ts';
import { loadRows } from './data/load.ts';
import { place } from './data/rows.ts';
import type { TokenizedRow } from './data/tokenized.ts';
import { Evaluator } from './evaluation.ts';
import type { Evaluation, TrainEvent } from './events.ts';
import { makeLoss } from './makeLoss.ts';
import { fileRewardCache } from './rewards/cache.node.ts';
import { createRewards } from './rewards/index.ts';
import { trainingNormalization } from './rewards/normalization.node.ts';
import { Scorer } from './score.ts';
import type { SessionOptions } from './session.ts';
import { openSession, stopTokensOf } from './session.ts';

export interface EvaluateFileOptions {
  readonly model: string;
  readonly data: string;
  /** The model before training; adds TRL's `rewards/…`. */
  readonly reference?: string;
  readonly maxLength?: number;
  readonly device: SessionOptions['device'];
  readonly threads?: number;
}

/** Measures a model on held-out rows; a training configuration gives rewards, β, lengths and sampling. */
export async function evaluateFile(
  options: EvaluateFileOptions,
  hooks: { readonly config?: TrainConfig | undefined; onEvent: (event: TrainEvent) => void },
): Promise<Evaluation> {
  const given = hooks.config ?? parseSettings({ method: 'dpo' }, { source: 'defaults' });
  const settings = { ...given, maxLength: options.maxLength ?? given.maxLength };
  const onProgress: SessionOptions['onProgress'] = (phase, done, total) =>
    hooks.onEvent({ type: 'progress', phase, done, total });
  const loss = makeLoss({
    ...settings,
    method: settings.method === 'hpo' ? settings.hpo.base : settings.method,
  });
  const reading = { onProgress: (done: number, total: number) => onProgress('data', done, total) };
  const file = await findRows(options.data, reading);
  const reference = await referenceScores();

  const session = await openSession({ ...options, frozen: true, onProgress });
  try {
    const { tokenizer, model, device } = session;
    const { rows, warnings } = await loadRows(file, tokenizer, model, settings, 'evaluate', reading);
    for (const message of warnings) hooks.onEvent({ type: 'warning', message });
    if (reference && reference.places.join() !== rows.map(({ origin }) => place(origin)).join())
      throw new PrefgradError(
        `--reference ${options.reference} can use other rows of ${options.data} than ${options.model}: ` +
          `${reference.places.length} against ${rows.length}; leave out the rows that only one of them can take`,
      );
    const rewards = await createRewards(settings.rewards);
    const rewardCache = fileRewardCache();
    const index = new Map<TokenizedRow, number>(rows.map((row, i) => [row, i]));
    const referenceOf = (row: TokenizedRow) => reference?.logps[index.get(row) ?? -1] ?? [];
    const evaluator = new Evaluator({
      model,
      device,
      tokenizer,
      rows,
      ...(reference || !loss.usesReference ? { loss: { loss, referenceOf } } : {}),
      batchSize: settings.perDeviceEvalBatchSize,
      rewards,
      normalization: await trainingNormalization(rewards, session, hooks.config, onProgress),
      rewardCache,
      sampling: settings.sampling,
      stopTokens: stopTokensOf(session),
      seed: settings.seed,
    });
    return await evaluator.evaluate(0, { onProgress });
  } finally {
    await session.dispose();
  }

  /** Log-probs of the reference for every row that it can use, its model loaded and gone before the other comes. */
  async function referenceScores(): Promise<{ places: string[]; logps: number[][] } | undefined> {
    if (options.reference === undefined || !loss.usesReference) return undefined;
    const before = await openSession({ ...options, model: options.reference, frozen: true, onProgress });
    try {
      const { rows } = await loadRows(file, before.tokenizer, before.model, settings, 'evaluate', reading);
      const scores = await new Scorer(before.model, before.device).score(
        rows.map((row) => loss.sequence(row)),
      );
      return {
        places: rows.map(({ origin }) => place(origin)),
        logps: scores.map((row) => row.map((s) => s.logp)),
      };
    } finally {
      await before.dispose();
    }
  }
}
