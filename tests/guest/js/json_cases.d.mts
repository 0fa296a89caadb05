export function all(): string[];
