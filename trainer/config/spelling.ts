/** `learning_rate` → `learningRate`. */
export function toCamel(key: string): string {
  return key.replace(/_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** `learningRate` → `learning_rate`, `adamBeta1` → `adam_beta1`. */
export function toSnake(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
