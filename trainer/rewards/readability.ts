/** What the formulas are made of. */
interface Counts {
  /** Without white space, in code points. */
  readonly characters: number;
  /** The same without punctuation. */
  readonly letters: number;
  /** Between white space, punctuation taken away. */
  readonly words: number;
  readonly sentences: number;
  readonly syllables: number;
  /** Words of three syllables or more. */
  readonly polysyllables: number;
  /** Distinct words that fourth graders do not know, and those among them of three syllables or more. */
  readonly difficult: number;
  readonly difficultPolysyllables: number;
  /** The first hundred words, as Linsear Write has them. */
  readonly linsear: { readonly easy: number; readonly difficult: number; readonly sentences: number };
}

/** Longer runs without a space are no words: their syllables are those of their start. */
const LONGEST_WORD = 64;
/** Python's \w, and its negation. */
const SIGN = /[^\p{L}\p{N}_\s]/gu;
const WORD = /[\p{L}\p{N}_='‘’]+/gu;

const split = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');
const size = (text: string): number => Array.from(text).length;

/** Grades English texts; hyphenation (TeX's patterns, package `hyphen`) counts syllables, `dale-chall` has the easy words. */
export class Readability {
  readonly #syllables = new Map<string, number>();

  private constructor(
    private readonly hyphenate: (word: string) => string,
    private readonly easy: ReadonlySet<string>,
  ) {}

  /** Loads the patterns and the word list. */
  static async load(): Promise<Readability> {
    const [{ default: createHyphenator }, { default: patterns }, { daleChall }] = await Promise.all([
      import('hyphen'),
      import('hyphen/patterns/en-us.js'),
      import('dale-chall'),
    ]);
    const hyphenate = createHyphenator(patterns, { hyphenChar: '\n', minWordLength: 4, html: false });
    return new Readability(hyphenate, new Set(daleChall));
  }

  /**
   * US school grade of an English text: the most frequent of the roundings of eight formulas, as the Python package
   * textstat 0.7.3 has it in `text_standard`. Null for a text without a Latin letter, for which no formula means
   * anything. Not equal to textstat's where its hyphenation dictionary (LibreOffice's) divides another way than TeX's
   * patterns: 2.7 % of the distinct words of 728 completions.
   */
  grade(text: string): number | null {
    return /\p{Script=Latin}/u.test(text) ? mostFrequent(grades(this.#count(text))) : null;
  }

  /**
   * The middle of the formulas' grades: a number that changes a little where a text does, while the consensus jumps
   * between whole grades, and is decided by ties where a text has few sentences. Null as for `grade`.
   */
  medianGrade(text: string): number | null {
    return /\p{Script=Latin}/u.test(text) ? median(formulas(this.#count(text))) : null;
  }

  #count(text: string): Counts {
    const words = split(text);
    const syllables = words.map((word) => this.#syllablesOf(word));
    const distinct = new Set(text.toLowerCase().match(WORD));
    const difficult = [...distinct].filter((word) => !this.easy.has(word));
    const first = words.slice(0, 100);
    const easy = first.filter((_, i) => syllables[i] < 3).length;
    return {
      characters: size(words.join('')),
      letters: size(words.join('').replace(SIGN, '')),
      words: split(text.replace(SIGN, '')).length,
      sentences: sentencesOf(text),
      syllables: syllables.reduce((sum, count) => sum + count, 0),
      polysyllables: syllables.filter((count) => count >= 3).length,
      difficult: difficult.length,
      difficultPolysyllables: difficult.filter((word) => this.#syllablesOf(word) >= 3).length,
      linsear: { easy, difficult: first.length - easy, sentences: sentencesOf(first.join(' ')) },
    };
  }

  #syllablesOf(written: string): number {
    const word = written.toLowerCase().replace(SIGN, '').slice(0, LONGEST_WORD);
    const known = this.#syllables.get(word);
    if (known !== undefined) return known;
    const count = word === '' ? 0 : this.hyphenate(word).split('\n').length;
    this.#syllables.set(word, count);
    return count;
  }
}

/** Ends are full stops, exclamation and question marks; two words or fewer are no sentence. */
function sentencesOf(text: string): number {
  const parts = text.split(/[.!?]+/).filter((part) => split(part.replace(SIGN, '')).length > 2);
  return Math.max(parts.length, 1);
}

/** To so many decimals, halves up, as textstat rounds each number on the way. */
function round(value: number, decimals = 0): number {
  const scale = 10 ** decimals;
  return Math.floor(value * scale + (value < 0 ? -0.5 : 0.5)) / scale;
}

/** What textstat's formulas say, each rounded as it does. */
function scores(n: Counts) {
  const perSentence = round(n.words / n.sentences, 1);
  const perWord = round(n.syllables / n.words, 1);
  const kincaid = round(0.39 * perSentence + 11.8 * perWord - 15.59, 1);
  const ease = round(206.835 - 1.015 * perSentence - 84.6 * perWord, 2);
  const smog =
    n.sentences < 3 ? 0 : round(1.043 * Math.sqrt((30 * n.polysyllables) / n.sentences) + 3.1291, 1);
  const [letters, sentences] = [n.letters, n.sentences].map((x) => round(100 * round(x / n.words, 2), 2));
  const coleman = round(0.058 * letters - 0.296 * sentences - 15.8, 2);
  const automated = round(
    4.71 * round(n.characters / n.words, 2) + 0.5 * round(n.words / n.sentences, 2) - 21.43,
    1,
  );
  const share = 100 - ((n.words - n.difficult) / n.words) * 100;
  const daleChall = round(0.1579 * share + 0.0496 * perSentence + (share > 5 ? 3.6365 : 0), 2);
  const weight = (n.linsear.easy + 3 * n.linsear.difficult) / n.linsear.sentences;
  const linsear = (weight <= 20 ? weight - 2 : weight) / 2;
  const fog = round(0.4 * (perSentence + (n.difficultPolysyllables / n.words) * 100), 2);
  return { kincaid, ease, smog, coleman, automated, daleChall, linsear, fog };
}

/** The formulas' grades in textstat's order, most of them rounded and rounded up. */
function grades(n: Counts): number[] {
  const { kincaid, ease, smog, coleman, automated, daleChall, linsear, fog } = scores(n);
  const both = (value: number) => [Math.trunc(round(value)), Math.trunc(Math.ceil(value))];
  return [
    ...both(kincaid),
    ...easeGrades(ease),
    ...[smog, coleman, automated, daleChall, linsear, fog].flatMap(both),
  ].map((grade) => grade + 0);
}

/** Those that give a grade; SMOG wants three sentences. */
function formulas(n: Counts): number[] {
  const { kincaid, smog, coleman, automated, daleChall, linsear, fog } = scores(n);
  return [kincaid, coleman, automated, daleChall, linsear, fog, ...(n.sentences < 3 ? [] : [smog])];
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Grades of Flesch's reading ease; 100 and more count as the hardest, as in textstat. */
function easeGrades(ease: number): number[] {
  if (ease >= 100 || ease < 30) return [13];
  const byTens = [[12], [11], [10], [8, 9], [7], [6], [5]];
  return byTens[Math.floor(ease / 10) - 3];
}

/** The first of the most frequent. */
function mostFrequent(values: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  let [best, most] = [0, 0];
  for (const [value, count] of counts) if (count > most) [best, most] = [value, count];
  return best;
}
