/** Data as it is, for people who want to see it. */
export function Json({ value, label }: { value: unknown; label: string }) {
  return (
    <pre tabIndex={0} aria-label={label} role="region" className="max-h-64 overflow-auto rounded-md border bg-panel p-2 text-xs">
      {JSON.stringify(value, null, 2)}
    </pre>
  );
}
