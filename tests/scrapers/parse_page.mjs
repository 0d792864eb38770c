// Reads a page with parse-prometheus-text-format and prints its gauges and counters: folder of the package, URL.
import { createRequire } from "node:module";
import { writeSync } from "node:fs";

const [folder, url] = process.argv.slice(2);
const parser = createRequire(`${folder}/package.json`)("parse-prometheus-text-format");
const parse = parser.default ?? parser;
const page = await (await fetch(url, { headers: { accept: "text/plain" } })).text();

const escaped = (value) => value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
const lines = [];
for (const family of parse(page)) {
  for (const { labels, value } of family.metrics) {
    if (value === undefined) continue;
    const pairs = Object.entries(labels ?? {}).map(([name, text]) => `${name}="${escaped(text)}"`);
    lines.push(`${family.name}{${pairs.join(",")}} ${value}\n`);
  }
}
const bytes = Buffer.from(lines.join(""));
for (let sent = 0; sent < bytes.length; ) sent += writeSync(1, bytes, sent);
