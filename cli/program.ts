import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { version } from '../package.json';
import type { Context, DeviceOptions } from './commands/context.ts';
import { runDevices, type DevicesOptions, type DevicesWork } from './commands/devices.ts';
import { runEvaluate, type EvaluateOptions, type EvaluateWork } from './commands/evaluate.ts';
import { runGenerate, type GenerateOptions, type GenerateWork } from './commands/generate.ts';
import { runMerge, type MergeOptions, type MergeWork } from './commands/merge.ts';
import { runRewards, type RewardsWork } from './commands/rewards.ts';
import { runScore, type ScoreOptions, type ScoreWork } from './commands/score.ts';
import { runSweep, type SweepWork } from './commands/sweep.ts';
import { runTrain, type TrainWork } from './commands/train.ts';
import { reportError, UsageError } from './errors.ts';

/** What the commands do, in the layers below. */
export type Work = TrainWork &
  GenerateWork &
  ScoreWork &
  EvaluateWork &
  MergeWork &
  RewardsWork &
  SweepWork &
  DevicesWork;

const modelHelp =
  'a Hugging Face or PEFT folder, a .gguf file, or a hub id such as HuggingFaceTB/SmolLM2-135M-Instruct';

/**
 * Runs one command line (without the program's name) and returns its exit code: 0 when the work is done, 1 for an
 * error, 2 for a command line that cannot be understood, 130 after Ctrl-C. Errors are reported, not thrown.
 */
export async function runCli(argv: readonly string[], context: Context, work: Work): Promise<number> {
  let code = 0;
  const program = createProgram(context, work, (returned) => (code = returned));
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return 0; // --help or --version
    return reportError(error, context.terminal.stderr, version);
  }
}

function createProgram(context: Context, work: Work, done: (code: number) => void): Command {
  const { stdout, stderr } = context.terminal;
  const needed = new Set<Option>();
  const need = (flags: string, help: string) => {
    const option = new Option(flags, help);
    needed.add(option);
    return option;
  };
  const program = new Command('prefgrad')
    .description('Tunes small language models on preference pairs and any reward function.')
    .version(version, '--version', 'print the version')
    .helpOption('--help', 'print this help')
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: () => {}, // reportError says it
      getOutHelpWidth: () => Math.min(stdout.columns ?? 100, 110),
    });

  program
    .command('train')
    .description('train a model as a configuration says')
    .argument('<config>', 'a YAML file; see README.md for its keys')
    .argument('[key=value...]', 'settings that replace the file’s, such as learning_rate=1e-5 hpo.gamma=0.3')
    .option('--json', 'print the result as JSON', false)
    .option('--profile', 'measure each kernel (device wasm); writes profile.json, a Chrome trace', false)
    .action(async (config: string, overrides: string[], options: { json: boolean; profile: boolean }) =>
      done(await runTrain({ config, overrides, ...options }, context, work)),
    );

  program
    .command('rewards')
    .description('show the rewards of the training data, and what they have to do with the preferences')
    .argument('<config>', 'a training configuration')
    .argument('[key=value...]', 'settings that replace the file’s')
    .option('--json', 'print one JSON object', false)
    .action(async (config: string, overrides: string[], { json }: { json: boolean }) =>
      done(await runRewards({ config, overrides, json }, context, work)),
    );

  program
    .command('sweep')
    .description('train at several values of a key, and plot preference accuracy against auxiliary reward')
    .argument('<config>', 'a training configuration with method hpo, rewards and eval_data')
    .argument(
      '<key=a,b,c...>',
      'keys with the values to try, such as hpo.gamma=0.1,0.3,1; key=value holds for all',
    )
    .option('--seeds <seeds>', 'train each with these seeds, such as 1,2,3', wholeNumbers)
    .option('--keep-models', 'keep each run’s model and checkpoints when it is done', false)
    .option('--json', 'print the results as JSON', false)
    .action(
      async (
        config: string,
        args: string[],
        options: { seeds?: number[]; keepModels: boolean; json: boolean },
      ) => done(await runSweep({ config, args, ...options }, context, work)),
    );

  withDevice(program.command('generate').description('print a completion of a prompt'))
    .addOption(need('--model <model>', modelHelp))
    .addOption(need('--prompt <text>', 'what to continue'))
    .option('--chat', 'put the prompt into the model’s chat template, as a user’s message', false)
    .option('--max-new-tokens <n>', 'the most tokens to generate', wholeNumber(1), 128)
    .option('--temperature <t>', '0 takes the likeliest token each time', decimal(0), 0)
    .option('--top-k <k>', 'sample among the k likeliest tokens', wholeNumber(1))
    .option(
      '--top-p <p>',
      'sample among the likeliest tokens that have p of the probability together',
      decimal(0, 1),
    )
    .option('--seed <n>', 'of the sampling', wholeNumber(0), 0)
    .option('--json', 'print completion, tokens and finish_reason as JSON', false)
    .action(async (options: GenerateOptions) => done(await runGenerate(options, context, work)));

  withDevice(program.command('score').description('write the log-probability of each row’s completions'))
    .addOption(need('--model <model>', modelHelp))
    .addOption(need('--data <rows.jsonl>', 'preference pairs, or prompts with completions'))
    .addOption(need('--out <scores.jsonl>', 'gets a line per row'))
    .option('--max-length <n>', 'tokens of prompt and completion that are kept', wholeNumber(2))
    .option('--add-bos', 'put the BOS token before each prompt', false)
    .option('--json', 'print the number of rows as JSON', false)
    .action(async (options: ScoreOptions) => done(await runScore(options, context, work)));

  withDevice(
    program.command('evaluate').description('measure preference accuracy and rewards on held-out rows'),
  )
    .addOption(need('--model <model>', modelHelp))
    .addOption(need('--data <rows.jsonl>', 'preference pairs'))
    .option('--reference <model>', 'the model before training, for implicit rewards')
    .option('--config <config.yaml>', 'a training configuration, for its rewards, beta and lengths')
    .option('--max-length <n>', 'tokens of prompt and completion that are kept', wholeNumber(2))
    .option('--json', 'print one JSON object', false)
    .action(async (options: EvaluateOptions) => done(await runEvaluate(options, context, work)));

  withDevice(program.command('merge').description('make an adapter and its base model one model'))
    .addOption(need('--model <adapter>', 'a folder with adapter_config.json, which names the base model'))
    .addOption(need('--out <folder>', 'gets the model in Hugging Face’s layout'))
    .addOption(
      new Option('--dtype <dtype>', 'how weights are written').choices(['f32', 'f16', 'bf16']).default('f32'),
    )
    .option('--json', 'print base, adapter and out as JSON', false)
    .action(async (options: MergeOptions) => done(await runMerge(options, context, work)));

  program
    .command('devices')
    .description('list what can compute here')
    .option('--json', 'print a JSON list', false)
    .action(async (options: DevicesOptions) => done(await runDevices(options, context, work)));

  // not requiredOption: Commander would speak of the missing --model before the mistyped --modle
  program.hook('preAction', (_, command) => {
    const missing = command.options.find(
      (option) => needed.has(option) && command.getOptionValue(option.attributeName()) === undefined,
    );
    if (missing !== undefined) throw usage(`${command.name()} needs ${missing.flags}`, command);
  });
  for (const command of [program, ...program.commands]) {
    command.exitOverride((error) => {
      if (error.exitCode === 0) throw error;
      throw usage(error.code === 'commander.help' ? 'a command is missing' : error.message, command);
    });
  }
  return program;
}

function withDevice(command: Command): Command {
  const devices: DeviceOptions['device'][] = ['auto', 'webgpu', 'wasm', 'reference'];
  return command
    .addOption(new Option('--device <device>', 'where to compute').choices(devices).default('auto'))
    .option('--threads <n>', 'threads of the wasm device', wholeNumber(1));
}

function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`Expected a whole number of at least ${least}.`);
  };
}

/** `1,2,3` */
function wholeNumbers(text: string): number[] {
  const numbers = text.split(',').map(wholeNumber(0));
  if (new Set(numbers).size === numbers.length) return numbers;
  throw new InvalidArgumentError('Expected different whole numbers.');
}

function decimal(least: number, most = Infinity): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= least && value <= most && Number.isFinite(value)) return value;
    throw new InvalidArgumentError(
      `Expected a number ${most === Infinity ? `of at least ${least}` : `from ${least} to ${most}`}.`,
    );
  };
}

/** `unknown option '--modle' (Did you mean --model?); see prefgrad score --help` */
function usage(complaint: string, command: Command): UsageError {
  const text = complaint
    .replace(/^error: /, '')
    .replace(/\.?\s*\n/g, ' ')
    .replace(/\.$/, '');
  const name = command.parent === null ? command.name() : `${command.parent.name()} ${command.name()}`;
  return new UsageError(`${text}; see ${name} --help`);
}
