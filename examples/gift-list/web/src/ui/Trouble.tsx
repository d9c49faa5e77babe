/** Something could not be loaded: what, and a way on. */
export function Trouble({ error, onRetry }: { error: Error; onRetry: () => void }) {
  return (
    <div className="trouble" role="alert">
      <p>{error.message}</p>
      <button type="button" className="button" onClick={onRetry}>
        Try again
      </button>
    </div>
  );
}
