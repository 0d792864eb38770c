// Reads a page with fetch and parse-prometheus-text-format and prints its samples: folder of the package, URL, Accept, encoding.
import { createRequire } from "node:module";
import { writeSync } from "node:fs";

const [folder, url, accept, encoding] = process.argv.slice(2);
const parse = createRequire(`${folder}/package.json`)("parse-prometheus-text-format");
const parsePage = parse.default ?? parse;
const answer = await fetch(url, { headers: { accept, "accept-encoding": encoding } });
const page = await answer.text();

const escaped = (value) => value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
const written = (name, labels, value) => {
  const pairs = Object.entries(labels ?? {}).map(([key, text]) => `${key}="${escaped(text)}"`);
  return `${name}{${pairs.join(",")}} ${value}\n`;
};
let lines = [];
for (const family of parsePage(page)) {
  for (const metric of family.metrics) {
    if (metric.buckets) {
      for (const [bound, count] of Object.entries(metric.buckets)) {
        lines.push(written(`${family.name}_bucket`, { ...metric.labels, le: bound }, count));
      }
      lines.push(written(`${family.name}_sum`, metric.labels, metric.sum), written(`${family.name}_count`, metric.labels, metric.count));
    } else {
      lines.push(written(family.name, metric.labels, metric.value));
    }
  }
}
const bytes = Buffer.from(lines.join(""));
for (let sent = 0; sent < bytes.length; ) sent += writeSync(1, bytes, sent);
