import { Variable, add, detach, f32, gatherRows, mul, sub } from '../engine/index.ts';
import type { Tensor } from '../engine/index.ts';
import type { LanguageModel } from './model.ts';

/**
 * Looks tokens up in a table [V, C] as Transformers' Llamas do: the padding token's row gets no gradient from here, be
 * it padding or, where EOS is the padding token, not (PyTorch's `padding_idx`; below 0 it counts from the end).
 */
export function paddedEmbedding(
  table: Variable,
  padding: unknown,
): { embed: (tokens: Tensor) => Tensor; tables: LanguageModel['constants'] } {
  const [V = 0] = table.type.shape;
  const row = typeof padding === 'number' && padding < 0 ? V + padding : padding;
  const lookUp = (tokens: Tensor): Tensor => gatherRows(table.tensor, tokens);
  if (typeof row !== 'number' || row < 0 || row >= V) return { embed: lookUp, tables: [] };
  const learns = new Variable('padding.learns', f32([V, 1]));
  return {
    embed(tokens) {
      const rows = lookUp(tokens);
      const fixed = detach(rows);
      return add(fixed, mul(sub(rows, fixed), gatherRows(learns.tensor, tokens))); // rows
    },
    tables: [{ variable: learns, numbers: new Float32Array(V).fill(1).fill(0, row, row + 1) }],
  };
}
