/** The part of the package that is used; it ships no types. */
declare module 'hyphen' {
  const createHyphenator: (
    patterns: unknown,
    options: { hyphenChar: string; minWordLength: number; html: boolean },
  ) => (text: string) => string;
  export default createHyphenator;
}
declare module 'hyphen/patterns/en-us.js' {
  const patterns: unknown;
  export default patterns;
}
