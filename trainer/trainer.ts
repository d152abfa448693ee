// bench/gpu has the loop by its former name.
export { TrainingLoop as Trainer } from './trainingLoop.ts';
