/** JSON.stringify, which the engine's adaptations touch (guest/js/engine/json.c): the texts of many odd values. */
import { task } from "@capsule-run/sdk";
import { all } from "./json_cases.mjs";

export const main = task({ name: "main" }, (): string[] => all());
