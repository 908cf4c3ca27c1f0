/** Numbers and plurals of one language, for its messages. */

export interface Counting {
  readonly number: (n: number) => string;
  /** The number with the word that stands beside it: "1 image", "1,200 images". */
  readonly counted: (n: number, one: string, many: string) => string;
}

export function counting(locale: string): Counting {
  const format = new Intl.NumberFormat(locale);
  const rules = new Intl.PluralRules(locale);
  const number = (n: number) => format.format(n);
  return {
    number,
    counted: (n, one, many) => `${number(n)} ${rules.select(n) === "one" ? one : many}`,
  };
}
