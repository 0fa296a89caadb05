/** Owns places in a program, as `Error.stack` tells them. */

/** A place in a program. */
export interface Place {
  file: string;
  line: number;
  column: number;
}

const FRAME = /^\s*at (?:.*?\()?([^()]+?):(\d+)(?::(\d+))?\)?$/;

function framesOf({ stack }: Error): Place[] {
  const matches = String(stack)
    .split("\n")
    .map((line) => FRAME.exec(line));
  return matches.flatMap((match) => {
    if (match === null) return [];
    const [, file, line, column] = match;
    return [{ file: file!, line: Number(line), column: Number(column ?? 1) }];
  });
}

/** The file that an error was made in. */
export function fileOf(error: Error): string | undefined {
  return framesOf(error)[0]?.file;
}

/** Where the function was called that made `error` and is in the file `own`; frames of that file may be left out. */
export function callerOf(error: Error, own: string | undefined): Place {
  const frames = framesOf(error);
  return frames.find((frame) => frame.file !== own) ?? frames.at(-1) ?? { file: "?", line: 0, column: 0 };
}
