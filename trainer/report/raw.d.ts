/** A file's text, put into the bundle when it is built (Vite knows `?raw`; tsup learns it from rawText.ts). */
declare module '*?raw' {
  const text: string;
  export default text;
}
