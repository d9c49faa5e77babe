/** JSON with one line for each thing that a reader looks at: an input, an effect, a step's timers. */

const WIDTH = 110;

export function format(value: unknown): string {
  return `${render(value, "", 0)}\n`;
}

function render(value: unknown, indent: string, used: number): string {
  const flat = inline(value);
  if (typeof value !== "object" || value === null) return flat;
  if (flat.length + indent.length + used <= WIDTH && !holdsSteps(value)) return flat;
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    return `[\n${value.map((item) => inner + render(item, inner, 1)).join(",\n")}\n${indent}]`;
  }
  const entries = Object.entries(value);
  // The input of a step stands on one line: everything but what it leads to.
  // So does each effect, however long it is.
  const lead = entries.filter(([key]) => key !== "effects" && key !== "timers");
  if (lead.length < entries.length) {
    const first = lead.map(([key, item]) => `${JSON.stringify(key)}: ${inline(item)}`).join(", ");
    const rest = entries.filter(([key]) => key === "effects" || key === "timers").map(pair);
    return `{\n${inner}${[first, ...rest].join(`,\n${inner}`)}\n${indent}}`;
  }
  return `{\n${inner}${entries.map(pair).join(`,\n${inner}`)}\n${indent}}`;

  function pair([key, item]: [string, unknown]): string {
    if (key === "effects" && Array.isArray(item)) {
      if (item.length === 0) return '"effects": []';
      const lines = item.map((effect) => `${inner}  ${inline(effect)}`);
      return `"effects": [\n${lines.join(",\n")}\n${inner}]`;
    }
    const label = `${JSON.stringify(key)}: `;
    return label + render(item, inner, label.length + 1);
  }
}

function holdsSteps(value: object): boolean {
  return (
    "steps" in value ||
    "scenarios" in value ||
    (Array.isArray(value) && value.some((item) => item?.steps))
  );
}

function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const parts = Object.entries(value).map(
    ([key, item]) => `${JSON.stringify(key)}: ${inline(item)}`,
  );
  return `{${parts.join(", ")}}`;
}
