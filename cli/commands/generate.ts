import type { TrainEvent } from '../../trainer/events.ts';
import { breakable } from '../interrupt.ts';
import { Progress } from '../progress.ts';
import type { Context, DeviceOptions } from './context.ts';

export interface GenerateOptions extends DeviceOptions {
  model: string;
  prompt: string;
  /** Whether the prompt is a user's message, put into the model's chat template. */
  chat: boolean;
  maxNewTokens: number;
  /** 0 is greedy. */
  temperature: number;
  topK?: number;
  topP?: number;
  seed: number;
  json: boolean;
}

export interface Generated {
  completion: string;
  /** Tokens generated, EOS not counted. */
  tokens: number;
  finishReason: 'eos' | 'length';
}

export interface GenerateWork {
  /** Calls `onText` with the completion's text as it grows; the pieces joined are the completion. */
  generate(
    options: GenerateOptions,
    run: { onText: (piece: string) => void; onEvent: (event: TrainEvent) => void },
  ): Promise<Generated>;
}

export async function runGenerate(
  options: GenerateOptions,
  context: Context,
  work: GenerateWork,
): Promise<number> {
  const { stdout } = context.terminal;
  const progress = new Progress(context.terminal, context.now);
  return breakable(
    context.signals,
    () => progress.stop(),
    async () => {
      let streamed = '';
      try {
        const { completion, tokens, finishReason } = await work.generate(options, {
          onText(piece) {
            progress.stop();
            streamed += piece;
            if (!options.json) stdout.write(piece);
          },
          onEvent: (event) => progress.onEvent(event),
        });
        if (options.json)
          stdout.write(`${JSON.stringify({ completion, tokens, finish_reason: finishReason })}\n`);
        else stdout.write(`${completion.slice(streamed.length)}\n`);
        return 0;
      } finally {
        progress.stop();
      }
    },
  );
}
