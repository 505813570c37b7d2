// Puts the report together.

const panels = [
  {section: 'Learning', title: 'Loss', keys: ['loss', 'valid_loss']},
  {section: 'Learning', title: 'Validation accuracy', keys: ['valid_accuracy']},
  {section: 'Learning', title: 'Learning rate', keys: ['learning_rate']},
  {section: 'Learning', title: 'Gradient norm', keys: ['grad_norm'], log: true},
  {section: 'Speed and memory', title: 'Tokens a second', keys: ['tokens_per_s']},
  {section: 'Speed and memory', title: 'Seconds of a step', keys: ['step_s']},
  {
    section: 'Speed and memory',
    title: 'Seconds of waiting since the last row',
    keys: ['sync_wait_s', 'checkpoint_s']
  },
  {section: 'Speed and memory', title: 'Peak memory of the chief, MB', keys: ['memory_peak_mb']},
  {
    section: 'Experts',
    title: 'Busiest expert above the mean (max_violation)',
    keys: ['max_violation']
  },
  {section: 'Experts', title: 'Experts without a token', keys: ['dead_experts']},
  {section: 'Experts', title: 'Share of dropped choices', keys: ['dropped_fraction']},
  {section: 'Privacy', title: 'Epsilon spent', keys: ['epsilon']},
  {section: 'Federation', title: 'Round', keys: ['round']},
  {section: 'Federation', title: 'Loss of each silo', pattern: /^silo_(.*)_loss$/},
  {section: 'Tasks', title: 'Task under way', keys: ['task']},
];

function seriesOf(runs, keys) {
  const series = [];
  runs.forEach((run, i) => keys.forEach((key, k) => {
    const curve = curveOf(run, key);
    if (!curve) return;
    const label = runs.length > 1 && keys.length > 1 ? `${run.name} ${key}` :
        runs.length > 1 ? run.name :
                          key;
    series.push({
      label,
      color: i,
      dash: k > 0 ? '5 3' : dashOf(i),
      steps: curve.steps,
      values: curve.values,
      lost: curve.lost,
      marks: k ? [] : run.resumed
    });
  }));
  return series;
}

function matchingSeries(runs, pattern) {
  const series = [];
  for (const run of runs) {
    for (const curve of run.curves.filter(c => pattern.test(c.name))) {
      const name = pattern.exec(curve.name)[1];
      series.push({
        label: runs.length > 1 ? `${run.name} ${name}` : name,
        color: series.length,
        dash: dashOf(series.length),
        steps: curve.steps,
        values: curve.values,
        lost: curve.lost
      });
    }
  }
  return series;
}

function chartOf(runs, panel) {
  const series = panel.pattern ? matchingSeries(runs, panel.pattern) : seriesOf(runs, panel.keys);
  const some = series.some(curve => curve.steps.length || curve.lost[0] > 0);
  return some ? new Chart(panel.title, series, {log: panel.log, legend: series.length > 1}) : null;
}

// Values that no panel has, each by itself.
function otherCharts(runs) {
  const names = [...new Set(runs.flatMap(run => run.curves.map(curve => curve.name)))];
  const isOther = name =>
      !panels.some(panel => panel.pattern ? panel.pattern.test(name) : panel.keys.includes(name));
  return names.filter(isOther)
      .map(name => chartOf(runs, {title: name, keys: [name]}))
      .filter(Boolean);
}

function grid(charts) {
  return html('div', {class: 'charts'}, ...charts.map(chart => chart.figure));
}

function section(title, parts) {
  return parts.length ? [html('section', {}, html('h2', {}, title), ...parts)] : [];
}

function chartsOf(runs, name) {
  const charts = panels.filter(panel => panel.section === name)
                     .map(panel => chartOf(runs, panel))
                     .filter(Boolean);
  return charts.length ? [grid(charts)] : [];
}

function otherSection(runs) {
  const charts = otherCharts(runs);
  return charts.length ?
      [html('details', {}, html('summary', {}, `${charts.length} other values`), grid(charts))] :
      [];
}

function show(data) {
  const runs = data.runs;
  const heatMaps =
      runs.filter(run => run.loads)
          .map(run => new HeatMap(`Load of the experts of ${run.name}`, run.loads).figure);
  const matrices = runs.filter(run => run.tasks).flatMap(taskMatrix);
  document.title = `${runs.map(run => run.name).join(', ').slice(0, 100)} - Moesaic report`;
  document.getElementById('controls')
      .append(
          html(
              'button', {
                onclick: () =>
                    setTheme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark')
              },
              'dark or light'),
          ' ', html('span', {class: 'note'}, `moesaic ${data.version}`));
  document.getElementById('main').append(
      ...section('Runs', [summaryTable(runs), ...remarksOf(runs)]),
      ...section('Learning', chartsOf(runs, 'Learning')),
      ...section('Tasks', [...matrices, ...chartsOf(runs, 'Tasks')]),
      ...section('Privacy', chartsOf(runs, 'Privacy')),
      ...section('Federation', chartsOf(runs, 'Federation')),
      ...section('Experts', [...chartsOf(runs, 'Experts'), ...heatMaps]),
      ...section('Speed and memory', chartsOf(runs, 'Speed and memory')),
      ...section('Other values', otherSection(runs)),
      ...section('Starts, warnings and errors', runs.map(logTable)),
      ...section(
          runs.length > 1 ? 'Recipes, and where they differ' : 'Recipe',
          [...differenceTable(runs, data.differences), ...runs.map(recipeOf)]),
      html(
          'p', {class: 'note'},
          'Drag over a chart to zoom, double-click to see all steps again. ' +
              'Of long runs the curves are thinned; each keeps its extremes.'));
  drawAll();
}

followTheme();
show(JSON.parse(document.getElementById('data').textContent));
