// Puts the report together.

function chartOf(runs, chart) {
  const series = chart.series.map(({run, curve, marked, ...look}) => ({
                                    ...look,
                                    ...runs[run].curves[curve],
                                    resumed: marked ? runs[run].resumed : [],
                                    restarts: marked ? runs[run].restarts : []
                                  }));
  return new Chart(chart.title, series, chart.log);
}

function grid(charts) {
  return html('div', {class: 'charts'}, ...charts.map(chart => chart.figure));
}

function section(title, parts) {
  return parts.length ? [html('section', {}, html('h2', {}, title), ...parts)] : [];
}

function chartsOf(data, name) {
  const charts = data.charts.filter(chart => chart.section === name);
  return charts.length ? [grid(charts.map(chart => chartOf(data.runs, chart)))] : [];
}

function otherSection(data) {
  const charts = chartsOf(data, 'Other values');
  return charts.length ? [html('details', {}, html('summary', {}, 'More values'), ...charts)] : [];
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
      ...section('Learning', chartsOf(data, 'Learning')),
      ...section('Tasks', [...matrices, ...chartsOf(data, 'Tasks')]),
      ...section('Privacy', chartsOf(data, 'Privacy')),
      ...section('Federation', chartsOf(data, 'Federation')),
      ...section('Experts', [...chartsOf(data, 'Experts'), ...heatMaps]),
      ...section('Speed and memory', chartsOf(data, 'Speed and memory')),
      ...section('Other values', otherSection(data)),
      ...section('Restarts, warnings and errors', [...runs.flatMap(restartTable), ...runs.map(logTable)]),
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
