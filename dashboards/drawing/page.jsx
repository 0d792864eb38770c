// Draws a dashboard from what its queries returned: transformations, field options and panels by Grafana's own packages.
// State timelines and heat maps are not in the packages and are drawn plainly.
import { Component, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { firstValueFrom } from 'rxjs';
import {
  applyFieldOverrides, cacheFieldDisplayNames, createTheme, dateTime, FieldConfigOptionsRegistry, FieldType, getFieldDisplayName,
  standardTransformers, standardTransformersRegistry, ThemeContext, toDataFrame, transformDataFrame,
} from '@grafana/data';
import { BarGauge, BigValue, PanelChrome, TimeSeries } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

const { panels, range, title } = window.dashboard;
const theme = createTheme({ colors: { mode: 'dark' } });
const timeZone = 'utc';
const [from, to] = range.map((seconds) => dateTime(seconds * 1000));
const timeRange = { from, to, raw: { from, to } };

standardTransformersRegistry.setInit(() =>
  ['merge', 'organize'].map((id) => {
    const transformation = Object.values(standardTransformers).find((transformer) => transformer.id === id);
    return { id, name: id, transformation: async () => transformation, editor: () => null };
  })
);

// The options that the dashboards set, each taken as it is written.
const OPTIONS = ['displayName', 'unit', 'min', 'max', 'noValue', 'thresholds', 'mappings', 'color', 'links'];
const CUSTOM = ['width', 'cellOptions', 'fillOpacity', 'showPoints', 'stacking', 'lineWidth'];
const option = (id, path, isCustom) => ({ id, path, name: id, isCustom, process: (value) => value, shouldApply: () => true });
const fieldConfigRegistry = new FieldConfigOptionsRegistry(() => [
  ...OPTIONS.map((id) => option(id, id, false)),
  ...CUSTOM.map((id) => option(`custom.${id}`, id, true)),
]);

// NaN is drawn as a gap.
const number = (text) => (text === 'NaN' ? null : (({ '+Inf': Infinity, '-Inf': -Infinity })[text] ?? Number(text)));

// A table: a row a series, a column a label.
function tableFrame({ refId, series }, alone) {
  const labels = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const column = (name) => ({ name, type: FieldType.string, config: {}, values: series.map(({ metric }) => metric[name] ?? '') });
  return toDataFrame({
    refId,
    fields: [
      { name: 'Time', type: FieldType.time, config: {}, values: series.map(({ values }) => values[0][0] * 1000) },
      ...labels.map(column),
      { name: alone ? 'Value' : `Value #${refId}`, type: FieldType.number, config: {}, values: series.map(({ values }) => number(values[0][1])) },
    ],
  });
}

// A frame a series, named by the legend.
function seriesFrames({ refId, legendFormat, series }) {
  return series.map(({ metric, values }) => {
    const legend = legendFormat.replace(/\{\{(\w+)\}\}/g, (all, label) => metric[label] ?? '').trim();
    const displayNameFromDS = legendFormat === '__auto' ? undefined : legend;
    return toDataFrame({
      refId,
      fields: [
        { name: 'Time', type: FieldType.time, config: {}, values: values.map(([time]) => time * 1000) },
        { name: 'Value', type: FieldType.number, labels: metric, config: { displayNameFromDS }, values: values.map(([, value]) => number(value)) },
      ],
    });
  });
}

async function frames(panel) {
  const answered = panel.targets.filter(({ series }) => series.length > 0);
  const alone = panel.targets.length === 1;
  const raw = panel.type === 'table' ? answered.map((target) => tableFrame(target, alone)) : answered.flatMap(seriesFrames);
  const data = panel.transformations && raw.length ? await firstValueFrom(transformDataFrame(panel.transformations, raw)) : raw;
  const { defaults, overrides } = panel.fieldConfig;
  // The first threshold has no lower bound, which JSON cannot say.
  defaults.thresholds.steps[0].value = -Infinity;
  if (['timeseries'].includes(panel.type)) defaults.color = { mode: 'palette-classic' };
  const drawn = applyFieldOverrides({ data, fieldConfig: { defaults, overrides }, fieldConfigRegistry, replaceVariables: (text) => text, theme, timeZone });
  cacheFieldDisplayNames(drawn);
  return drawn;
}

const last = (field) => field.display(field.values[field.values.length - 1]);
const valueField = (frame) => frame.fields.find(({ type }) => type === FieldType.number);
const name = (frame, all) => getFieldDisplayName(valueField(frame), frame, all);

function Stats({ data, empty, width, height }) {
  const shown = data.length ? data.map((frame) => ({ ...last(valueField(frame)), title: data.length > 1 ? name(frame, data) : undefined })) : [{ text: empty, numeric: NaN }];
  const each = Math.floor(width / shown.length);
  return (
    <div style={{ display: 'flex' }}>
      {shown.map((value, index) => (
        <BigValue key={index} width={each} height={height} theme={theme} value={value} count={shown.length} colorMode="value" graphMode="none" textMode="auto" justifyMode="auto" />
      ))}
    </div>
  );
}

function Bars({ data, width, height }) {
  const each = Math.min(60, Math.floor(height / data.length) - 6);
  const values = data.map((frame) => ({ ...last(valueField(frame)), title: name(frame, data) }));
  const longest = (texts) => texts.reduce((one, other) => (other.length > one.length ? other : one), '');
  const alignment = { title: longest(values.map(({ title }) => title)), text: longest(values.map(({ text }) => text)) };
  return data.map((frame, index) => {
    const field = valueField(frame);
    // All bars have one scale, as in Grafana.
    const { min, max } = { ...field.state?.range, ...field.config };
    return (
      <div key={index} style={{ marginBottom: 6 }}>
        <BarGauge width={width} height={each} theme={theme} orientation="horizontal" displayMode="basic" field={{ ...field.config, min, max }} display={field.display} value={values[index]} alignmentFactors={alignment} />
      </div>
    );
  });
}

// A strip a series; where it changes, the colour does.
function States({ data, width }) {
  const left = 170;
  const x = (time) => left + ((time / 1000 - range[0]) / (range[1] - range[0])) * (width - left);
  return data.slice(0, 9).map((frame, index) => {
    const [{ values: times }] = frame.fields;
    const field = valueField(frame);
    const starts = [...times.keys()].filter((at) => at === 0 || field.values[at] !== field.values[at - 1]);
    return (
      <div key={index} style={{ position: 'relative', height: 26, fontSize: 12 }}>
        {name(frame, data)}
        {starts.map((at, index) => {
          const [left, end] = [x(times[at]), x(times[starts[index + 1]] ?? range[1] * 1000)];
          return <div key={at} style={{ position: 'absolute', top: 2, height: 20, left, width: end - left, background: field.display(field.values[at]).color, opacity: 0.7 }} />;
        })}
      </div>
    );
  });
}

// A row a bucket and a column a time; of the cumulative counts the difference is shown.
function Heat({ data, width, height }) {
  const buckets = data
    .map((frame) => ({ limit: number(valueField(frame).labels.le), times: frame.fields[0].values, counts: valueField(frame).values }))
    .sort((a, b) => a.limit - b.limit);
  const rows = buckets.map((bucket, index) => bucket.counts.map((count, at) => count - (index ? buckets[index - 1].counts[at] : 0)));
  const most = Math.max(...rows.flat(), 1e-9);
  const each = (height - 8) / rows.length;
  const cell = (width - 60) / rows[0].length;
  return (
    <svg width={width} height={height}>
      {rows.map((row, index) => {
        const top = height - 8 - (index + 1) * each;
        return [
          <text key={index} x={0} y={top + each / 2 + 4} fill={theme.colors.text.secondary} fontSize={11}>{Number.isFinite(buckets[index].limit) ? `${buckets[index].limit} s` : '+Inf'}</text>,
          ...row.map((count, at) => <rect key={`${index}.${at}`} x={60 + at * cell} y={top} width={cell + 0.5} height={each - 1} fill="#ff9830" opacity={count / most} />),
        ];
      })}
    </svg>
  );
}

function Body({ panel, data, width, height }) {
  const empty = panel.fieldConfig.defaults.noValue;
  if (panel.type === 'stat') return <Stats {...{ data, empty, width, height }} />;
  if (!data.length) {
    return <div style={{ height, display: 'grid', placeItems: 'center', color: theme.colors.text.secondary }}>{empty}</div>;
  }
  switch (panel.type) {
    case 'table':
      return <TableNG data={data[0]} width={width} height={height} sortBy={panel.options.sortBy} initialSortBy={panel.options.sortBy} structureRev={1} timeRange={timeRange} fieldConfig={panel.fieldConfig} getActions={() => []} replaceVariables={(text) => text} cellHeight="sm" />;
    case 'bargauge':
      return <Bars {...{ data, width, height }} />;
    case 'state-timeline':
      return <States {...{ data, width }} />;
    case 'heatmap':
      return <Heat {...{ data, width, height }} />;
    default:
      return <TimeSeries frames={data} width={width} height={height} timeRange={timeRange} timeZone={timeZone} legend={{ ...panel.options.legend, calcs: [] }} options={{}} />;
  }
}

// A panel that cannot be drawn says why in its place.
class Guard extends Component {
  state = {};
  static getDerivedStateFromError(error) {
    return { error };
  }
  render() {
    return this.state.error ? <pre style={{ color: 'red', whiteSpace: 'pre-wrap' }}>{String(this.state.error)}</pre> : this.props.children;
  }
}

function Panel({ panel }) {
  const [data, setData] = useState();
  const column = (window.innerWidth - 8) / 24;
  const { x, y, w, h } = panel.gridPos;
  const [width, height] = [w * column - 8, h * 38 - 8];
  useEffect(() => {
    if (panel.type !== 'row') frames(panel).then(setData);
  }, [panel]);
  const place = { position: 'absolute', left: 8 + x * column, top: 56 + y * 38, width, height };
  if (panel.type === 'row') {
    return <div style={{ ...place, paddingTop: 4, fontSize: 16, fontWeight: 500 }}>{panel.collapsed ? '›' : '⌄'} {panel.title}</div>;
  }
  return (
    <div style={place}>
      <PanelChrome title={panel.title} description={panel.description} width={width} height={height} hoverHeader={false}>
        {(innerWidth, innerHeight) => <Guard>{data && <Body panel={panel} data={data} width={innerWidth} height={innerHeight} />}</Guard>}
      </PanelChrome>
    </div>
  );
}

// Grafana's page sets these for all of its components, legends among them.
const { canvas } = theme.colors.background;
document.head.insertAdjacentHTML('beforeend', `<style>*{box-sizing:border-box}html{font-size:14px}body{margin:0;background:${canvas};color:${theme.colors.text.primary};font:14px/1.57 Inter,Helvetica,Arial,sans-serif}button{color:inherit;background:none;border:0;font:inherit}</style>`);
createRoot(document.getElementById('root')).render(
  <ThemeContext.Provider value={theme}>
    <div style={{ padding: '14px 16px', fontSize: 18 }}>{title}</div>
    {panels.map((panel) => <Panel key={panel.id} panel={panel} />)}
  </ThemeContext.Provider>
);
