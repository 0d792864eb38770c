// Prints a page as fetch decompresses it: folder of packages (not used), URL, Accept, encoding.
import { writeSync } from "node:fs";

const [, url, accept, encoding] = process.argv.slice(2);
const answer = await fetch(url, { headers: { accept, "accept-encoding": encoding } });
if (answer.headers.get("content-encoding") !== encoding) throw new Error("not the encoding that was asked for");
const bytes = Buffer.from(await answer.text());
for (let sent = 0; sent < bytes.length; ) sent += writeSync(1, bytes, sent);
