// cpu.mjs in Node: node --jitless cpu_native.mjs ROUNDS prints the milliseconds of the last round.
import { measure } from "./cpu.mjs";

const rounds = Number(process.argv[2]);
for (let i = 1; i < rounds; i++) measure();
console.log(measure().all);
