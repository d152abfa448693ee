import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { PrefgradError } from '../../engine/errors.ts';
import { latestCheckpoint } from '../checkpointManifest.node.ts';
import { loadConfig } from '../config.node.ts';
import { toCamel } from '../config/spelling.ts';
import type { TrainConfig } from '../config.ts';
import { contentHash } from '../data/hash.ts';
import type { RunEnd, TrainEvent } from '../events.ts';
import { train } from '../train.node.ts';
import { renderSweep } from './page.ts';
import { accuracyFiles, paretoPlot } from './plot.ts';
import type { SweepPlan, SweepPoint } from './plan.ts';
import { planSweep } from './plan.ts';
import type { Measured, RunResult, SweepResult } from './results.ts';
import { measured, placed, rewardsOf, summarize } from './results.ts';

export interface SweepOptions {
  /** A training configuration's path. */
  readonly config: string;
  /** `key=a,b,c` and `key=value` arguments. */
  readonly args: readonly string[];
  /** Every point is trained once with each; the configuration's seed by default. */
  readonly seeds?: readonly number[] | undefined;
  /** Whether runs keep their models and checkpoints when they are done. */
  readonly keepModels: boolean;
}

/** One training of a sweep. */
export interface SweepRun {
  readonly point: SweepPoint;
  readonly seed: number;
  readonly config: TrainConfig;
}

export type SweepEvent =
  /** Before the first run; `reused` are done already. */
  | { type: 'plan'; total: number; reused: number }
  | { type: 'run'; run: SweepRun; index: number; resumed: boolean }
  | { type: 'result'; run: SweepRun; index: number; result: RunResult }
  /** What the run that goes on tells. */
  | { type: 'train'; event: TrainEvent };

export interface SweepHooks {
  /** Aborted: the run that goes on saves a checkpoint and stops, and what is done is reported. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: SweepEvent) => void;
}

export interface SweepOutcome {
  readonly status: 'done' | 'stopped';
  readonly done: number;
  readonly total: number;
  readonly results: readonly SweepResult[];
  readonly outputs: readonly { readonly label: string; readonly path: string }[];
}

/**
 * Trains a configuration at every point of `key=a,b,c`, with every seed, one run after the other, in
 * `<output_dir>/sweep/<point>/seed-<seed>`, and reports preference accuracy against auxiliary reward. A run that is done
 * is not run again, unless its configuration or its data have changed; one that was stopped goes on from its last
 * checkpoint. Errors: as `loadConfig`, for every point before the first run; a configuration whose runs would measure
 * nothing.
 */
export async function sweep(options: SweepOptions, { signal, onEvent }: SweepHooks): Promise<SweepOutcome> {
  const plan = planSweep(options.args);
  const base = loadConfig(options.config, plan.common);
  checkMeasures(base);
  const folder = join(base.outputDir, 'sweep');
  const seeds = options.seeds ?? [base.seed];
  const runs = seeds.flatMap((seed) =>
    plan.points.map((point): SweepRun => {
      const overrides = [...plan.common, ...point.overrides, `seed=${seed}`];
      const config = loadConfig(options.config, overrides);
      return { point, seed, config: { ...config, outputDir: join(folder, folderOf(point), `seed-${seed}`) } };
    }),
  );
  for (const { config } of runs) checkMeasures(config);
  const results = await Promise.all(runs.map(finished));
  onEvent({ type: 'plan', total: runs.length, reused: results.filter((one) => one !== undefined).length });
  const report = () => writeReport(folder, options, plan, base, runs, results);
  let stopped = false;
  for (const [index, run] of runs.entries()) {
    if (results[index] !== undefined) continue;
    if (signal.aborted) stopped = true;
    else results[index] = await runOne(run, index, { signal, onEvent });
    const result = results[index];
    if (result === undefined) stopped = true;
    if (stopped || result === undefined) break;
    if (!options.keepModels) await removeModels(run.config.outputDir);
    onEvent({ type: 'result', run, index, result });
    await report();
  }
  const { summary, outputs } = await report();
  const done = results.filter((one) => one !== undefined).length;
  return { status: stopped ? 'stopped' : 'done', done, total: runs.length, results: summary, outputs };
}

/** `hpo.gamma=0.5 beta=0.1` → `hpo.gamma=0.5,beta=0.1`, with nothing that a file system minds. */
const folderOf = ({ label }: SweepPoint): string => label.replaceAll(' ', ',').replace(/[^\w.,=+-]+/g, '_');

/** A sweep compares two numbers; a configuration without one of them is refused before hours of training. */
function checkMeasures({ method, evalData, sampling, hpo, maxSteps }: TrainConfig): void {
  const refuse = (why: string) =>
    new PrefgradError(`a sweep plots held-out accuracy against rewards of samples: ${why}`);
  if (method !== 'hpo')
    throw refuse(
      `method ${method} has no rewards; set method: hpo (hpo.gamma: 0 trains the base loss alone)`,
    );
  if (evalData === null) throw refuse('eval_data is missing; give held-out pairs');
  if (sampling.prompts === 0) throw refuse('sampling.prompts is 0; set how many prompts get a completion');
  if (maxSteps > 0 && hpo.actorWarmupSteps >= maxSteps)
    throw refuse(
      `hpo.actor_warmup_steps ${hpo.actorWarmupSteps} leaves none of max_steps ${maxSteps} to the actor loss, so that every point would be the base loss; lower it`,
    );
}

/** A run's own file: what it is of, and how far it is. */
interface Marker {
  readonly key: string;
  readonly before: Measured | null;
  /** The model that would be saved: after the last evaluation, or after the best one where that is asked for. */
  readonly after: Measured | null;
  readonly done: boolean;
  readonly seconds: number;
}

const markerPath = ({ config }: SweepRun): string => join(config.outputDir, 'run.json');

async function readMarker(run: SweepRun): Promise<Marker | undefined> {
  const text = await readFile(markerPath(run), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && 'key' in value && 'done' in value)
      return value as Marker;
  } catch {
    // Said below.
  }
  throw new PrefgradError(`${markerPath(run)}: is no file of a sweep's run; move the folder away`);
}

async function writeMarker(run: SweepRun, marker: Marker): Promise<void> {
  await writeWhole(markerPath(run), JSON.stringify(marker));
}

/** Changes with what the run's numbers depend on, and not with where and on how many threads it runs. */
async function keyOf({ config }: SweepRun): Promise<string> {
  const { outputDir: _, threads: __, resumeFromCheckpoint: ___, ...rest } = config;
  const { data, evalData, rewards, model } = config;
  const paths = [data, evalData ?? []].flatMap((one) =>
    typeof one === 'string' ? one : one.map(({ path }) => path),
  );
  const files = await Promise.all(
    [model, ...paths, ...rewards.flatMap(({ module }) => module ?? [])].map(async (path) => {
      const found = await stat(path).catch(() => undefined);
      return found === undefined ? path : [path, found.size, found.mtimeMs];
    }),
  );
  return contentHash({ rest, files });
}

/** The result of a run that is done; undefined for one that is not, or that was another one. */
async function finished(run: SweepRun): Promise<RunResult | undefined> {
  const marker = await readMarker(run);
  const { before = null, after = null, done = false, seconds = 0 } = marker ?? {};
  if (marker === undefined || !done || before === null || after === null) return undefined;
  const { point, seed } = run;
  return marker.key === (await keyOf(run))
    ? { label: point.label, role: point.role, seed, before, after, seconds }
    : undefined;
}

/** Trains; undefined where it was stopped. */
async function runOne(
  run: SweepRun,
  index: number,
  { signal, onEvent }: SweepHooks,
): Promise<RunResult | undefined> {
  const { point, seed, config } = run;
  const key = await keyOf(run);
  const earlier = await readMarker(run);
  const same = earlier !== undefined && earlier.key === key;
  if (earlier !== undefined && !same) await rm(config.outputDir, { recursive: true });
  const resumed = same && earlier.before !== null && (await latestCheckpoint(config.outputDir)) !== undefined;
  let marker: Marker = resumed ? earlier : { key, before: null, after: null, done: false, seconds: 0 };
  await mkdir(config.outputDir, { recursive: true });
  await writeMarker(run, marker);
  onEvent({ type: 'run', run, index, resumed });
  const began = performance.now();
  const seconds = () => marker.seconds + (performance.now() - began) / 1000;
  let end: RunEnd | undefined;
  let saved = Promise.resolve();
  try {
    await train(resumed ? { ...config, resumeFromCheckpoint: true } : config, {
      signal,
      onEvent(event) {
        if (event.type === 'evaluation') {
          const now = measured(event.evaluation);
          if (event.evaluation.step === 0) marker = { ...marker, before: now };
          if (!config.loadBestModelAtEnd || event.evaluation.best === true)
            marker = { ...marker, after: now };
          // Kept at once: a resumed run does not measure again what lies before it.
          saved = saved.then(() => writeMarker(run, marker));
        }
        if (event.type === 'end') end = event;
        onEvent({ type: 'train', event });
      },
    });
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
  }
  await saved;
  marker = { ...marker, seconds: seconds(), done: end?.status === 'done' };
  await writeMarker(run, marker);
  const { before, after, done } = marker;
  if (!done || before === null || after === null) return undefined;
  return { label: point.label, role: point.role, seed, before, after, seconds: marker.seconds };
}

/** What is large of a run that is done: its numbers and its report stay. */
async function removeModels(folder: string): Promise<void> {
  for (const name of await readdir(folder))
    if (/^checkpoint-|\.safetensors$/.test(name)) await rm(join(folder, name), { recursive: true });
}

/** pareto.svg, sweep.json and sweep.html of what is done. */
async function writeReport(
  folder: string,
  { config: path, seeds }: SweepOptions,
  { axes }: SweepPlan,
  base: TrainConfig,
  runs: readonly SweepRun[],
  results: readonly (RunResult | undefined)[],
): Promise<{ summary: SweepResult[]; outputs: { label: string; path: string }[] }> {
  const known = results.flatMap((one) => one ?? []);
  const summary = summarize(known);
  await mkdir(folder, { recursive: true });
  const outputs: { label: string; path: string }[] = [];
  const write = async (label: string, name: string, text: string) => {
    await writeWhole(join(folder, name), text);
    outputs.push({ label, path: join(folder, name) });
  };
  const reports = new Map<string, { seed: number; path: string }[]>();
  for (const [i, { point, seed, config }] of runs.entries()) {
    if (results[i] === undefined) continue;
    const own = reports.get(point.label) ?? [];
    own.push({ seed, path: relative(folder, join(config.outputDir, 'report.html')).replaceAll('\\', '/') });
    reports.set(point.label, own);
  }
  const title = `${axes.map(({ key }) => key).join(' and ')}: preference accuracy against auxiliary reward`;
  const settings = shared(base, ['seed', 'outputDir', ...axes.map(({ key }) => key)]);
  await write(
    'report',
    'sweep.html',
    renderSweep({ title, results: summary, done: known.length, total: runs.length, settings, reports }),
  );
  const [reward] = rewardsOf(summary);
  for (const [accuracy, name] of accuracyFiles) {
    const svg = reward === undefined ? undefined : paretoPlot(summary, reward, accuracy);
    if (svg !== undefined) await write('plot', name, `${svg.text}\n`);
  }
  const front = (accuracy: 'accuracy' | 'implicitAccuracy') =>
    Object.fromEntries(
      rewardsOf(summary).map((name) => [
        name,
        placed(summary, name, accuracy).flatMap((point) => (point.front ? point.result.label : [])),
      ]),
    );
  const json = {
    config: path,
    axes,
    seeds: seeds ?? [base.seed],
    done: known.length,
    total: runs.length,
    results: summary,
    pareto_front: { accuracy: front('accuracy'), implicit_accuracy: front('implicitAccuracy') },
    runs: known,
  };
  await write('numbers', 'sweep.json', `${JSON.stringify(json, undefined, 1)}\n`);
  return { summary, outputs };
}

/** A configuration without what differs between its runs. */
function shared(config: TrainConfig, keys: readonly string[]): Record<string, unknown> {
  const settings: Record<string, unknown> = { ...config };
  for (const key of keys) {
    const [outer, inner] = key.split('.').map(toCamel);
    const section = settings[outer];
    if (inner === undefined) delete settings[outer];
    else if (typeof section === 'object' && section !== null)
      settings[outer] = Object.fromEntries(Object.entries(section).filter(([name]) => name !== inner));
  }
  return settings;
}

async function writeWhole(path: string, text: string): Promise<void> {
  await writeFile(`${path}.partial`, text);
  await rename(`${path}.partial`, path);
}
