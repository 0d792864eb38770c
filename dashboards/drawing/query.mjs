// Runs the queries of a dashboard as Grafana does, with the variables as the dashboard opens.
//   node query.mjs PROMETHEUS DASHBOARD OUTPUT
// The output is a script with the panels and what their queries returned. Prints the height of the picture in pixels.
import { readFileSync, writeFileSync } from 'node:fs';

const [prometheus, file, output] = process.argv.slice(2);
const dashboard = JSON.parse(readFileSync(file));
const UNITS = { m: 60, h: 3600, d: 86400 };

async function api(path, parameters) {
  const answer = await fetch(`${prometheus}/api/v1/${path}`, { method: 'POST', body: new URLSearchParams(parameters) });
  const { status, error, data } = await answer.json();
  if (status !== 'success') throw new Error(`${error}: ${parameters.query}`);
  return data.result;
}

const end = Math.floor(Date.now() / 1000);
const [, count, unit] = dashboard.time.from.match(/^now-(\d+)([mhd])$/);
const range = Number(count) * UNITS[unit];
// The time between samples: of live ones, or else of a history.
let interval = 60;
for (const seconds of [12 * 3600, 300]) {
  const samples = await api('query', { query: `max(count_over_time(swr_up[${seconds}s])) > 1`, time: end });
  if (samples.length) interval = Math.ceil(seconds / Number(samples[0].value[1]));
}

const values = { __range: `${range}s` };
const texts = {};
function fill(text, step) {
  const known = { ...values, __rate_interval: `${Math.max(4 * interval, step + interval)}s`, __interval: `${step}s` };
  return text
    .replace(/\$\{(\w+):text\}/g, (all, name) => texts[name] ?? all)
    .replace(/\$(\w+)/g, (all, name) => known[name] ?? all);
}
for (const variable of dashboard.templating.list) {
  const current = variable.current?.value;
  if (typeof current === 'string' && current) {
    values[variable.name] = current;
    texts[variable.name] = variable.current.text;
  } else if (variable.allValue) {
    values[variable.name] = variable.allValue;
  }
}
for (const variable of dashboard.templating.list.filter((variable) => variable.hide === 2)) {
  const query = fill(variable.query.query.match(/^query_result\((.*)\)$/)[1], 60);
  const result = await api('query', { query, time: end });
  values[variable.name] = result[0]?.metric.by ?? '';
}

async function results(panel) {
  const step = Math.max(15, Math.ceil(range / (panel.maxDataPoints ?? 600)));
  return Promise.all(
    panel.targets.map(async (target) => {
      const query = fill(target.expr, step);
      const time = target.instant ? { time: end } : { start: end - range, end, step };
      const series = await api(target.instant ? 'query' : 'query_range', { query, ...time });
      return { ...target, series: series.map(({ metric, value, values }) => ({ metric, values: values ?? [value] })) };
    })
  );
}

// What is folded is not drawn.
const panels = [];
for (const panel of dashboard.panels) {
  panels.push({ ...panel, title: fill(panel.title, 60), targets: panel.targets ? await results(panel) : [] });
}
const rows = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h));
const height = rows * 38 + 64;
const data = { title: dashboard.title, range: [end - range, end], panels };
writeFileSync(output, `window.dashboard = ${JSON.stringify(data)};`);
console.log(height);
