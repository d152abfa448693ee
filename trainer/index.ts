export type { HpoSettings, Method, SamplingSettings, TrainConfig, TrainSettings } from './config.ts';
export { parseConfig, parseSettings } from './config.ts';
export * from './data/index.ts';
export type { Evaluation, TrainEvent } from './events.ts';
export { Evaluator } from './evaluation.ts';
export * from './losses/index.ts';
export { referenceLogps } from './reference.ts';
export * from './rewards/index.ts';
export { Scorer } from './score.ts';
export type { CompleteOptions, Completion } from './complete.ts';
export type { CompletionData, ConversationData, DataInput, DataRow, PairData } from './library/data.ts';
export { Generation } from './library/generation.ts';
export type { Metrics } from './library/metrics.ts';
export type { LoadModelOptions, ModelFile, ScoreOptions } from './library/model.ts';
export { loadModel, Model } from './library/model.ts';
export type {
  HpoTrainerSettings,
  LossName,
  NamedReward,
  RewardFunction,
  TrainerSettings,
} from './library/settings.ts';
export type { TrainerCallbacks, TrainerOptions, TrainingStep, TrainResult } from './library/trainer.ts';
export { Trainer } from './library/trainer.ts';
export type { CompletionScore, PairScore } from './scoreRows.ts';
export type { NamedBlobs } from './session.ts';
export type { StepResult, TrainingLoopOptions } from './trainingLoop.ts';
export { TrainingLoop } from './trainingLoop.ts';
export { ValueHead } from './valueHead.ts';
export type { ParseOptions } from './config/parse.ts';
export type { DataPart, LoraSettings } from './config/types.ts';
export type { Encoded } from './data/encode.ts';
export type { EvaluationOptions } from './evaluation.ts';
export type { AuxiliaryMeans, MemoryPlan, Phase, RunEnd, RunStart } from './events.ts';
export type { AotOptions } from './losses/aot.ts';
export type { CpoOptions } from './losses/cpo.ts';
export type { DiscopopOptions } from './losses/discopop.ts';
export type { DpoOptions } from './losses/dpo.ts';
export type { ExoOptions } from './losses/exo.ts';
export type { HingeOptions } from './losses/hinge.ts';
export type { IpoOptions } from './losses/ipo.ts';
export type { HostBatch, LossNumbers } from './losses/loss.ts';
export type { MixturePart } from './losses/mixture.ts';
export type { BetaOptions } from './losses/pairs.ts';
export type { RobustOptions } from './losses/robust.ts';
export type { SftOptions } from './losses/sft.ts';
export type { SigmoidNormOptions } from './losses/sigmoidNorm.ts';
export type { SimpoOptions } from './losses/simpo.ts';
export type { UnpairedOptions } from './losses/unpaired.ts';
export type { MetricsLine, StepMetrics } from './metrics.ts';
export type { Capacity, Sequence } from './pack.ts';
export type { ReferenceCache } from './reference.ts';
export type { ActorWeights } from './rewards/actorWeights.ts';
export type { BuiltinReward } from './rewards/builtin.ts';
export type { Distribution, Side } from './rewards/summary.ts';
export type { Score } from './score.ts';
export type { SweepPoint } from './sweep/plan.ts';
export type { RunResult, SweepResult } from './sweep/results.ts';
export type { StepsOptions, TrainingPosition } from './trainingLoop.ts';
export type { ValueHeadStart } from './valueHead.ts';
export type { HpoOptions } from './losses/hpo.ts';
export type { BestEvaluation } from './events.ts';
export type { Rewarded } from './losses/hpo.ts';
export type { PackedBatch } from './pack.ts';
export type { Measured, Spread } from './sweep/results.ts';
