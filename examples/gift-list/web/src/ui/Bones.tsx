/** Grey bars in the place of what is being loaded. */
export function Bones({ rows, label }: { rows: number; label: string }) {
  return (
    <div className="bones" role="status">
      <span className="sr-only">{label}</span>
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the bars have no identity and never move.
        <div key={row} className="bone" aria-hidden="true" />
      ))}
    </div>
  );
}
