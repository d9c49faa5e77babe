/** Two have changed the same thing (rule R13). */

const PRECONDITION_FAILED = 412;

/** The server refused a change because the entity is not any more what the change was made upon. */
export class ConflictError extends Error {
  readonly status: number = PRECONDITION_FAILED;
  readonly response: Response | null;

  constructor(response: Response | null = null) {
    super("Somebody else has changed this meanwhile.");
    this.name = "ConflictError";
    this.response = response;
  }
}

/** What the application decides upon. */
export interface Conflict<TVariables, TData> {
  readonly variables: TVariables;
  /** The data as this page would have it. */
  readonly local: TData;
  /** The data as the server has it now. */
  readonly remote: TData;
  readonly error: unknown;
}

/** Send the change again, with these variables, upon what the server has now; undefined: give it up. */
export type Decision<TVariables> = { readonly retry: TVariables } | undefined;

export type OnConflict<TVariables, TData> = (
  conflict: Conflict<TVariables, TData>,
) => Decision<TVariables> | Promise<Decision<TVariables>>;

/** Whether an error says 412, whatever library made it. */
export function isConflict(error: unknown): boolean {
  return statusOf(error) === PRECONDITION_FAILED;
}

/** The HTTP status that an error carries, by itself or in its response. */
export function statusOf(error: unknown): number | null {
  if (typeof error !== "object" || error === null) return null;
  const { status, response } = error as { status?: unknown; response?: { status?: unknown } };
  const found = status ?? response?.status;
  return typeof found === "number" ? found : null;
}
