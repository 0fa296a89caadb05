import { task, files } from "@capsule-run/sdk";

export const main = task({
    name: "main",
    allowedFiles: ["./data"]
}, async () => {
    return await files.readText("./data/input.txt");
});
