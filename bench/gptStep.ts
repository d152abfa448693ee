import type { Device, Executable } from '../engine/index.ts';
import {
  compile,
  f32,
  fill,
  grad,
  hyperValues,
  i32,
  mean,
  neg,
  optimize,
  tokenLogProbs,
} from '../engine/index.ts';
import type { Parameter } from '../models/index.ts';
import { createModel, initialiseWeights, modelInputTypes } from '../models/index.ts';
import { Random } from '../trainer/data/random.ts';

/** A GPT-2 of this size, and a batch of `batch` rows of `length` tokens. */
export interface StepShape {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly length: number;
  readonly batch: number;
  readonly vocab: number;
}

/** One training step of a GPT-2 from random weights: every token predicts its next one. */
export class GptStep {
  /** [batch · length]; each label is the token that follows. */
  readonly tokens: Int32Array;
  readonly labels: Int32Array;
  readonly learningRate = 0.1;
  readonly #inputs: Record<string, Int32Array | Float32Array>;

  private constructor(
    shape: StepShape,
    readonly parameters: readonly Parameter[],
    private readonly executable: Executable,
  ) {
    const { length, batch, vocab } = shape;
    const random = new Random(7);
    const rows = Array.from({ length: batch }, () =>
      Array.from({ length: length + 1 }, () => random.below(vocab)),
    );
    this.tokens = Int32Array.from(rows.flatMap((row) => row.slice(0, -1)));
    this.labels = Int32Array.from(rows.flatMap((row) => row.slice(1)));
    this.#inputs = {
      tokens: this.tokens,
      positions: Int32Array.from(rows.flatMap(() => Array.from({ length }, (_, i) => i))),
      segments: Int32Array.from(rows.flatMap((_, i) => [i * length, length, i * length, length, 0, 0])),
      labels: this.labels,
      hyper: hyperValues({ learningRate: this.learningRate }),
    };
  }

  /** The step as one program: loss, gradients, and SGD's update of every parameter. */
  static async load(shape: StepShape, device: Device): Promise<GptStep> {
    const { layers, width, heads, length, batch, vocab } = shape;
    const model = createModel({
      model_type: 'gpt2',
      n_layer: layers,
      n_embd: width,
      n_head: heads,
      n_positions: length,
      vocab_size: vocab,
    });
    const random = new Random(1);
    // Uniform, of variance 1: how large the weights are matters here, not their distribution.
    initialiseWeights(model, device, () => (random.uniform() - 0.5) * Math.sqrt(12));
    const T = batch * length;
    const types = {
      ...modelInputTypes(T, batch),
      labels: i32([T], 'tokens'),
      hyper: f32([hyperValues({}).length]),
    };
    const program = compile('gpt-step', types, (inputs) => {
      const head = model.head.tensor;
      const logps = tokenLogProbs(model.hidden(inputs), head, inputs.labels, { keepLogits: true });
      const loss = neg(mean(logps));
      const weights = model.parameters.map((p) => p.variable);
      const gradients = grad(
        loss,
        weights.map((w) => w.tensor),
      );
      const one = fill(f32([]), 1);
      return {
        outputs: { loss },
        updates: weights.flatMap((variable, i) => {
          const gradient = gradients[i];
          if (gradient === undefined) return [];
          const [value] = optimize('sgd', variable.tensor, gradient, [], inputs.hyper, one, false);
          return value ? [{ variable, value }] : [];
        }),
      };
    });
    return new GptStep(shape, model.parameters, await device.load(program));
  }

  /** Forward, backward, update; resolves with the loss before the update, in nats. */
  async run(): Promise<number> {
    const { loss } = await this.executable.run(this.#inputs);
    return loss?.[0] ?? NaN;
  }
}
