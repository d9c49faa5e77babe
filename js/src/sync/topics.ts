/** What data follows, as the application writes it down. */

/** One topic or several; null: nothing; a function of the data where only that knows. */
export type Topics<T = unknown> =
  | string
  | readonly string[]
  | null
  | ((data: T | undefined) => string | readonly string[] | null);

/** The topics, each once and in order, so that equal lists are equal texts; empty: nothing is followed. */
export function topicsOf<T>(topics: Topics<T> | undefined, data: T | undefined): readonly string[] {
  const given = typeof topics === "function" ? topics(data) : topics;
  const names = typeof given === "string" ? [given] : (given ?? []);
  return [...new Set(names)].sort();
}
