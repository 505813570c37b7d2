// What a report says in words and numbers.

function curveOf(run, name) { return run.curves.find(curve => curve.name === name); }

function lastOf(run, name) {
  const curve = curveOf(run, name);
  return curve ? curve.values[curve.values.length - 1] : NaN;
}

function bestOf(run, name) {
  const curve = curveOf(run, name);
  if (!curve || !curve.values.length) return '–';
  let best = 0;
  curve.values.forEach((value, i) => {
    if (value < curve.values[best]) best = i;
  });
  return `${shown(curve.values[best])} (step ${curve.steps[best].toLocaleString('en')})`;
}

function middleOf(run, name) {
  const curve = curveOf(run, name);
  return curve && curve.values.length ?
      [...curve.values].sort((a, b) => a - b)[curve.values.length >> 1] :
      NaN;
}

function summaryTable(runs) {
  const numbers =
      ['steps', 'loss', 'lowest validation loss', 'tokens/s (median)', 'memory, MB', 'starts', 'restarts'];
  const head = html(
      'tr', {}, html('th', {}, 'run'), html('th', {}, 'state'),
      ...numbers.map(name => html('th', {class: 'number'}, name)));
  const rows = runs.map((run, i) => {
    const steps = run.step.toLocaleString('en') +
        (run.last_step ? ` of ${run.last_step.toLocaleString('en')}` : '');
    const values = [
      steps, shown(lastOf(run, 'loss')), bestOf(run, 'valid_loss'),
      shown(middleOf(run, 'tokens_per_s')), shown(lastOf(run, 'memory_peak_mb')), run.starts || '–',
      run.restarts.length || '–'
    ];
    return html(
        'tr', {}, html('td', {title: run.folder}, swatch(i), run.name),
        html('td', {class: run.state.startsWith('failed') ? 'error' : ''}, run.state),
        ...values.map(value => html('td', {class: 'number'}, value)));
  });
  return html(
      'div', {class: 'scroll'},
      html('table', {id: 'summary'}, html('thead', {}, head), html('tbody', {}, ...rows)));
}

function remarksOf(runs) {
  const remarks =
      runs.flatMap(run => run.remarks.map(remark => html('li', {}, `${run.name}: ${remark}`)));
  return remarks.length ? [html('ul', {class: 'remarks'}, ...remarks)] : [];
}

// From 0, the worst of the matrix, to 1, the best.
function shadeOf(value, matrix, metric) {
  const values = matrix.flat().filter(Number.isFinite);
  const low = metric === 'accuracy' ? 0 : Math.min(...values),
        high = metric === 'accuracy' ? 1 : Math.max(...values);
  const share = high > low ? (value - low) / (high - low) : 0;
  return metric === 'accuracy' ? share : 1 - share;
}

function taskMatrix(run) {
  const {tasks, matrix, metric} = run.tasks;
  const head = html(
      'tr', {}, html('th', {}, metric), ...tasks.map(task => html('th', {class: 'number'}, task)));
  const rows = matrix.map(
      (row, i) => html(
          'tr', {}, html('th', {}, i === 0 ? 'before' : `after ${tasks[i - 1]}`),
          ...row.map((value, j) => {
            const known = Number.isFinite(value);
            const shade = known ? 0.65 * shadeOf(value, matrix, metric) : 0;
            const style = {background: `rgba(var(--shade), ${shade.toFixed(3)})`};
            return html('td', {class: i === j + 1 ? 'learned' : '', style}, shown(value));
          })));
  const derived =
      ['average', 'backward_transfer', 'forgetting', 'forward_transfer', 'intransigence']
          .filter(name => Number.isFinite(run.tasks[name]))
          .map(name => `${name.replace('_', ' ')} ${shown(run.tasks[name])}`);
  return [
    html('h3', {}, run.name),
    html('div', {class: 'scroll'}, html('table', {class: 'matrix'}, head, ...rows)),
    html(
        'p', {class: 'note'}, derived.join(', ') || 'The last task is not done yet.',
        ' The frames show what each task had just been learned to.')
  ];
}

function logTable(run) {
  const bad = run.log.filter(line => line.level === 'warning' || line.level === 'error').length;
  const rows = run.log.map(
      line => html(
          'tr', {class: line.level}, html('td', {}, shownTime(line.time)),
          html('td', {}, line.level), html('td', {}, line.text)));
  const details = html(
      'details', {},
      html('summary', {}, `${run.name}: ${run.starts} starts, ${bad} warnings and errors`),
      html('div', {class: 'scroll'}, html('table', {}, ...rows)));
  details.open = run.log.some(line => line.level === 'error');
  return details;
}

function wordsOf(restart) {
  const who = restart.rank < 0 ? 'the job' : `rank ${restart.rank}`;
  return `started again after a ${restart.kind || 'failure'} of ${who} in step ${restart.step}` +
      (restart.message ? `: ${restart.message}` : '');
}

function shownTime(time) { return time.replace('T', ' ').slice(0, 19); }

function restartTable(run) {
  if (!run.restarts.length) return [];
  const names = ['time', 'kind', 'rank', 'step', 'message', 'newest checkpoint'];
  const rows = run.restarts.map(restart => {
    const rank = restart.rank < 0 ? '–' : `${restart.rank}${restart.host ? ` on ${restart.host}` : ''}`;
    const values = [
      shownTime(restart.time), restart.kind, rank, restart.step.toLocaleString('en'),
      restart.message, restart.checkpoint || '–'
    ];
    return html('tr', {}, ...values.map(value => html('td', {}, value)));
  });
  const head = html('tr', {}, ...names.map(name => html('th', {}, name)));
  return [
    html('h3', {}, `Restarts of ${run.name}`),
    html('div', {class: 'scroll'}, html('table', {class: 'restarts'}, head, ...rows))
  ];
}

function differenceTable(runs, differences) {
  if (runs.length < 2) return [];
  if (!differences.length) return [html('p', {class: 'note'}, 'The recipes do not differ.')];
  const head = html(
      'tr', {}, html('th', {}, 'key'),
      ...runs.map((run, i) => html('th', {}, swatch(i), run.name)));
  const rows = differences.map(
      d => html(
          'tr', {}, html('td', {}, d.key),
          ...d.values.map(value => html('td', {}, value === null ? '–' : value))));
  return [html('div', {class: 'scroll'}, html('table', {id: 'differences'}, head, ...rows))];
}

function recipeOf(run) {
  return html(
      'details', {}, html('summary', {}, `Recipe of ${run.name}`),
      html('pre', {}, run.recipe || 'There is none in the folder.'));
}
