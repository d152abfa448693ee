/** The part of the package that is used; it ships no types. */
declare module 'text-readability' {
  interface Readability {
    /** With `true` the grade as a number, else as words. */
    textStandard(text: string, floatOutput: true): number;
  }
  const readability: Readability;
  export default readability;
}
