import { describe, expect, it } from 'vitest';
import { ReferenceDevice } from '../../engine/index.ts';
import { parseConfig, parseSettings } from '../../trainer/config.ts';
import { needsKl } from '../../trainer/config/losses.ts';
import { dpo, robust } from '../../trainer/losses/index.ts';
import type { Loss } from '../../trainer/losses/index.ts';
import { makeLoss } from '../../trainer/makeLoss.ts';
import { drawInputs, loadLoss } from './lossBatch.ts';
import { tokenPairs } from './tinyModel.ts';

const rewards = [{ name: 'length' }];

/** The sentences of the error that settings raise. */
function mistakes(settings: Readonly<Record<string, unknown>>): string[] {
  try {
    parseSettings({ method: 'dpo', ...settings }, { source: 'c' });
  } catch (error) {
    return error instanceof Error ? error.message.split('\n') : [];
  }
  return [];
}
const nameOf = (settings: Readonly<Record<string, unknown>>): string =>
  makeLoss(parseSettings({ method: 'dpo', ...settings })).name;

describe('loss_type', () => {
  it.each<[Record<string, unknown>, string]>([
    [{}, 'dpo'],
    [{ loss_type: 'hinge' }, 'hinge'],
    [{ loss_type: ['ipo'] }, 'ipo'],
    [
      { loss_type: ['sigmoid', 'bco_pair', 'sft'], loss_weights: [0.8, 0.2, 1] },
      '0.8 dpo + 0.2 bco_pair + sft',
    ],
    [{ loss_type: 'aot', loss_weights: [2] }, '2 aot'],
    [{ loss_type: ['sigmoid', 'nca_pair'], use_weighting: true }, 'weighted dpo + nca_pair'],
    [{ loss_type: 'ipo', ld_alpha: 0 }, 'length-desensitised ipo'],
    [{ loss_type: 'orpo', add_bos: true }, 'orpo'],
    [{ loss_type: 'simpo', cpo_alpha: 0, simpo_gamma: 1.5, beta: 2 }, 'simpo'],
    [{ method: 'kto', loss_type: 'apo_zero_unpaired', desirable_weight: 2 }, 'apo_zero_unpaired'],
    [{ method: 'sft' }, 'sft'],
  ])('%j is %s', (settings, name) => {
    expect(nameOf(settings)).toBe(name);
  });

  it.each<[Record<string, unknown>, string]>([
    [{ loss_type: 'hinje' }, 'loss_type: hinje is no loss of method dpo; did you mean hinge?'],
    [{ loss_type: 'kto' }, 'loss_type: kto is no loss of method dpo'],
    [{ method: 'kto', loss_type: ['kto', 'apo_zero_unpaired'] }, 'loss_type: kto is no part of a mixture'],
    [{ loss_type: ['sigmoid', 'simpo'] }, 'loss_type: simpo is no part of a mixture; name it alone'],
    [{ method: 'sft', loss_type: 'dft' }, 'loss_type: dft is not available in prefgrad; method sft has nll'],
    [
      { loss_type: ['sigmoid', 'sft'], loss_weights: [1] },
      'loss_weights: has 1 numbers for 2 losses (sigmoid, sft); give one for each',
    ],
    [
      { loss_type: 'orpo', loss_weights: [0.5] },
      'loss_weights: weigh the losses of a mixture, but loss_type is orpo',
    ],
  ])('%j is a mistake', (settings, sentence) => {
    expect(mistakes(settings)).toEqual([expect.stringContaining(sentence)]);
  });
});

describe('an option that the loss does not read is a mistake', () => {
  it.each<[Record<string, unknown>, string]>([
    [
      { loss_type: 'hinge', label_smoothing: 0.1 },
      'label_smoothing: is read by loss_type sigmoid, exo_pair, robust',
    ],
    [{ loss_type: 'nca_pair', f_divergence_type: 'forward_kl' }, 'but loss_type is nca_pair; leave it out'],
    [
      { loss_type: ['sigmoid', 'aot'], f_divergence_type: 'js_divergence' },
      'f_divergence_type: is read by loss_type sigmoid, hinge, ipo, exo_pair, robust, discopop or sigmoid_norm, but loss_type is aot',
    ],
    [{ loss_type: 'sft', f_divergence_type: 'js_divergence' }, 'but loss_type is sft'],
    [{ f_alpha_divergence_coef: 2 }, 'is read by f_divergence_type alpha_divergence, but that is reverse_kl'],
    [{ loss_type: 'aot_unpaired', use_weighting: true }, 'but loss_type is aot_unpaired'],
    [{ loss_type: ['sigmoid', 'sft'], use_weighting: true }, 'use_weighting: is read by loss_type'],
    [{ loss_type: 'cpo', use_weighting: true }, 'but loss_type is cpo'],
    [{ loss_type: 'simpo', ld_alpha: 0.5 }, 'but loss_type is simpo'],
    [{ loss_type: 'sft', ld_alpha: 0.5 }, 'but loss_type is sft'],
    [
      { discopop_tau: 1 },
      'discopop_tau: is read by loss_type discopop, but loss_type is sigmoid; leave it out',
    ],
    [{ simpo_gamma: 1 }, 'simpo_gamma: is read by loss_type simpo, but loss_type is sigmoid'],
    [
      { loss_type: 'orpo', cpo_alpha: 0 },
      'cpo_alpha: is read by loss_type cpo or simpo, but loss_type is orpo',
    ],
    [{ method: 'kto', label_smoothing: 0.1 }, 'but loss_type is kto'],
    [{ method: 'sft', ld_alpha: 0.5 }, 'but loss_type is nll'],
    [
      { loss_type: 'exo_pair' },
      'label_smoothing: must be above 0 for loss_type exo_pair; the paper takes 1e-3',
    ],
    [{ loss_type: 'ipo', beta: 0 }, 'beta: must be above 0 for loss_type ipo, got 0'],
    [{ loss_type: ['sft', 'sppo_hard'], beta: 0 }, 'beta: must be above 0 for loss_type sppo_hard'],
  ])('%j', (settings, sentence) => {
    expect(mistakes(settings)).toEqual([expect.stringContaining(sentence)]);
  });

  it.each<[Record<string, unknown>]>([
    [{ label_smoothing: 0.1 }],
    [{ loss_type: ['sft', 'hinge'], f_divergence_type: 'alpha_divergence', f_alpha_divergence_coef: 2 }],
    [{ loss_type: ['sft', 'aot'], ld_alpha: 0.5, label_smoothing: 0.1 }],
    [{ loss_type: ['discopop', 'ipo'], discopop_tau: 0.2, use_weighting: true }],
    [{ loss_type: 'orpo', loss_weights: [1] }],
    [{ method: 'kto', loss_type: 'apo_zero_unpaired', per_device_train_batch_size: 1 }],
  ])('%j is none', (settings) => {
    expect(mistakes(settings)).toEqual([]);
  });

  it('label smoothing is that of the losses that have it in TRL, where sigmoid is mixed with them', async () => {
    const device = new ReferenceDevice();
    const rows = tokenPairs(4, 9);
    const valueOf = async (loss: Loss) => {
      const loaded = await loadLoss(device, loss, rows);
      const { loss: value } = await loaded.run(drawInputs(loss, rows, () => [-20, -15], 5));
      loaded.dispose();
      return value;
    };
    const configured = (lossType: string[]) =>
      makeLoss(parseSettings({ method: 'dpo', loss_type: lossType, label_smoothing: 0.2 }));
    const [plain, conservative] = [await valueOf(dpo()), await valueOf(dpo({ labelSmoothing: 0.2 }))];
    expect(Math.abs(plain - conservative)).toBeGreaterThan(0.01);
    expect(await valueOf(configured(['sigmoid']))).toBe(conservative);
    const both = plain + (await valueOf(robust({ labelSmoothing: 0.2 })));
    expect(await valueOf(configured(['sigmoid', 'robust']))).toBeCloseTo(both, 12);
  });
});

describe('hpo.base', () => {
  const hpo = (base: unknown, more: Readonly<Record<string, unknown>> = {}) =>
    parseSettings({ method: 'hpo', hpo: { base }, rewards, ...more });

  it.each<[unknown, 'dpo' | 'kto', string[]]>([
    ['dpo', 'dpo', ['sigmoid']],
    ['kto', 'kto', ['kto']],
    ['apo_zero_unpaired', 'kto', ['apo_zero_unpaired']],
    ['hinge', 'dpo', ['hinge']],
    ['simpo', 'dpo', ['simpo']],
    [['sigmoid', 'sft'], 'dpo', ['sigmoid', 'sft']],
  ])('%j', (base, method, lossType) => {
    expect(hpo(base)).toMatchObject({ hpo: { base: method }, lossType });
  });

  it('follows loss_type where it is not given', () => {
    expect(parseSettings({ method: 'hpo', loss_type: 'kto', rewards }).hpo.base).toBe('kto');
    expect(parseSettings({ method: 'hpo', loss_type: ['ipo', 'sft'], rewards }).hpo.base).toBe('dpo');
    expect(hpo('dpo', { loss_type: 'ipo' }).lossType).toEqual(['ipo']);
  });

  it('must be known, and agree with loss_type', () => {
    expect(() => hpo('ppo')).toThrow('hpo.base: ppo is no preference loss; did you mean');
    expect(() => hpo('kto', { loss_type: 'sigmoid' })).toThrow(
      'sigmoid is no loss of method hpo on base kto',
    );
    expect(() => hpo('hinge', { loss_type: 'ipo' })).toThrow('name hinge and ipo; keep one of the two keys');
    expect(() => hpo('hinge', { label_smoothing: 0.1 })).toThrow('label_smoothing: is read by');
  });

  it('needs KL completions for KTO alone', () => {
    expect(needsKl(hpo('kto'))).toBe(true);
    expect(needsKl(hpo('apo_zero_unpaired'))).toBe(false);
    expect(needsKl(parseConfig({ model: 'm', data: 'd', method: 'kto' }))).toBe(true);
    expect(needsKl(hpo('dpo'))).toBe(false);
  });
});
