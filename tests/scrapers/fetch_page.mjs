// Prints a page as fetch decompresses it: folder of packages (not used), URL, Accept, encoding.
const [, url, accept, encoding] = process.argv.slice(2);
const answer = await fetch(url, { headers: { accept, "accept-encoding": encoding } });
if (answer.headers.get("content-encoding") !== encoding) throw new Error("not the encoding that was asked for");
process.stdout.write(await answer.text());
