/** Keys and what they do. */
export function KeyList({ keys }: { keys: readonly (readonly [string, string])[] }) {
  return (
    <dl className="facts">
      {keys.map(([key, what]) => (
        <div key={key} style={{ display: "contents" }}>
          <dt>
            <kbd>{key}</kbd>
          </dt>
          <dd>{what}</dd>
        </div>
      ))}
    </dl>
  );
}
