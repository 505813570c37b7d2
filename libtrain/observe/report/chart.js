// Chart: curves over the steps as SVG. Drag = zoom, double click = all again.

class Chart extends Picture {
  // series: [{label, color, steps, values, dash, lost, resumed, restarts}]
  constructor(title, series, log) {
    super(title);
    Object.assign(this, {series, log, view: null, width: 600, height: 280});
    const turn = () => {
      this.log = !this.log;
      this.draw();
    };
    this.logButton = html('button', {onclick: turn, title: 'logarithmic axis'}, 'log');
    this.resetButton =
        html('button', {onclick: () => this.zoom(null), title: 'show all steps'}, 'all');
    const legend = series.length > 1 ? [legendOf(series)] : [];
    this.figure = this.frame([this.resetButton, this.logButton], ...legend);
  }

  zoom(view) {
    this.view = view;
    this.draw();
  }

  // The points of a curve that are to be seen, with one more at each side.
  seen(curve) {
    if (!curve.steps.length) return [];
    const [low, high] = this.range;
    const from = positionOf(curve.steps, low),
          to = Math.min(curve.steps.length - 1, positionOf(curve.steps, high) + 1);
    const points = [];
    for (let i = from; i <= to; ++i) {
      if (!this.log || curve.values[i] > 0) points.push([curve.steps[i], curve.values[i]]);
    }
    return points;
  }

  setScales() {
    const ends = this.series.filter(s => s.steps.length)
                     .flatMap(s => [s.steps[0], s.steps[s.steps.length - 1]]);
    this.range = this.view || [Math.min(...ends), Math.max(...ends)];
    let low = Infinity, high = -Infinity;
    for (const curve of this.series) {
      for (const [step, value] of this.seen(curve)) {
        if (step < this.range[0] || step > this.range[1]) continue;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
    if (low > high) [low, high] = this.log ? [0.1, 1] : [0, 1];
    const room = this.log ? 0 : (high - low) * 0.04;
    this.x = new Scale(this.range[0], this.range[1], 62, this.width - 10, false);
    this.y = new Scale(low - room, high + room, this.height - 26, 12, this.log);
  }

  draw() {
    this.logButton.setAttribute('aria-pressed', this.log);
    this.resetButton.style.display = this.view ? '' : 'none';
    this.setScales();
    const colors = theme();
    this.begin(this.height, `${this.title} over the steps`);
    this.drawAxes(colors);
    this.drawCurves();
    this.listen(colors);
    this.host.replaceChildren(this.svg);
  }

  drawAxes(colors) {
    const {x, y} = this;
    for (const tick of y.ticks(5)) {
      const at = y.place(tick).toFixed(1);
      this.svg.append(
          svg('line', {x1: x.from, x2: x.to, y1: at, y2: at, stroke: colors.line}),
          svg('text', {x: x.from - 6, y: at, dy: '0.35em', 'text-anchor': 'end'}, shown(tick)));
    }
    for (const tick of x.ticks(6).filter(Number.isInteger)) {
      const at = x.place(tick), atEnd = at > this.width - 40;
      const look = {x: atEnd ? this.width - 4 : at, 'text-anchor': atEnd ? 'end' : 'middle'};
      this.svg.append(svg('text', {y: this.height - 8, ...look}, tick.toLocaleString('en')));
    }
    this.svg.append(
        svg('line', {x1: x.from, x2: x.to, y1: y.from, y2: y.from, stroke: colors.faint}));
  }

  drawCurves() {
    const {x, y} = this, id = `clip-${pictures.indexOf(this)}`;
    const inside = svg('rect', {x: x.from, y: 0, width: x.to - x.from, height: y.from + 1});
    const group = svg('g', {'clip-path': `url(#${id})`});
    for (const curve of this.series) {
      for (const step of curve.resumed)
        this.drawMark(group, step, `${curve.label}: resumed after step ${step}`, {
          stroke: colorOf(curve.color),
          'stroke-dasharray': '1 4',
          class: 'resumed'
        });
      for (const restart of curve.restarts)
        this.drawMark(group, restart.step, `${curve.label}: ${wordsOf(restart)}`, {
          stroke: theme().restart,
          'stroke-dasharray': '4 2',
          class: 'restart'
        });
      this.drawCurve(group, curve);
    }
    this.svg.append(svg('clipPath', {id}, inside), group);
  }

  drawMark(group, step, words, look) {
    const {x, y} = this, at = x.place(step);
    const place = {x1: at, x2: at, y1: y.to, y2: y.from};
    group.append(svg('line', {...place, ...look}, svg('title', {}, words)));
  }

  drawCurve(group, curve) {
    const {x, y} = this, color = colorOf(curve.color);
    const places = this.seen(curve).map(
        ([step, value]) => [x.place(step).toFixed(1), y.place(value).toFixed(1)]);
    if (places.length) {
      const d = 'M' + places.map(place => place.join(' ')).join('L');
      const look = {
        'stroke-width': 1.6,
        'stroke-linejoin': 'round',
        'stroke-dasharray': curve.dash
      };
      group.append(svg('path', {d, fill: 'none', stroke: color, class: 'curve', ...look}));
    }
    if (places.length <= 30) {
      for (const [cx, cy] of places) group.append(svg('circle', {cx, cy, r: 2.4, fill: color}));
    }
    const [lost, first] = curve.lost;
    if (lost === 0) return;
    const words = `${curve.label}: ${lost} values that are not finite, the first at step ${first}`;
    const look = {x: x.place(first), y: 11, fill: color, 'text-anchor': 'middle', class: 'lost'};
    group.append(svg('text', look, '×', svg('title', {}, words)));
  }

  listen(colors) {
    const line =
        svg('line', {y1: this.y.to, y2: this.y.from, stroke: colors.faint, visibility: 'hidden'});
    const chosen = svg('rect', {
      y: this.y.to,
      height: this.y.from - this.y.to,
      fill: colors.faint,
      opacity: 0.25,
      visibility: 'hidden'
    });
    this.svg.append(line, chosen);
    let start = null;
    const place = event => {
      const box = this.svg.getBoundingClientRect();
      return Math.min(
          this.x.to, Math.max(this.x.from, (event.clientX - box.left) * this.width / box.width));
    };
    this.svg.addEventListener('pointerdown', event => {
      start = place(event);
    });
    this.svg.addEventListener('pointermove', event => {
      const at = place(event);
      fill(line, {x1: at, x2: at, visibility: 'visible'}, []);
      this.showValues(this.x.valueAt(at), at);
      if (start !== null)
        fill(
            chosen, {x: Math.min(start, at), width: Math.abs(at - start), visibility: 'visible'},
            []);
    });
    this.svg.addEventListener('pointerup', event => {
      const at = place(event), from = start;
      start = null;
      chosen.setAttribute('visibility', 'hidden');
      if (from !== null && Math.abs(at - from) > 8)
        this.zoom([from, at].sort((a, b) => a - b).map(p => this.x.valueAt(p)));
    });
    this.svg.addEventListener('pointerleave', () => {
      start = null;
      for (const part of [line, chosen]) part.setAttribute('visibility', 'hidden');
      this.tip.style.display = 'none';
    });
    this.svg.addEventListener('dblclick', () => this.zoom(null));
  }

  // The value of each curve at the point next to `step`.
  showValues(step, at) {
    const rows = [];
    for (const curve of this.series) {
      if (!curve.steps.length) continue;
      let i = positionOf(curve.steps, step);
      if (i + 1 < curve.steps.length && curve.steps[i + 1] - step < step - curve.steps[i]) ++i;
      rows.push(html(
          'div', {}, swatch(curve.color, curve.dash),
          `${curve.label}: ${shown(curve.values[i])} (step ${
              curve.steps[i].toLocaleString('en')})`));
    }
    this.tip.replaceChildren(...rows.slice(0, 12));
    const right = at > this.width / 2;
    Object.assign(
        this.tip.style,
        {display: '', top: '2.6rem', left: right ? '5rem' : '', right: right ? '' : '1rem'});
  }
}

// A piece of the line that stands for a run.
function swatch(index, dash = '') {
  return svg('svg', {class: 'swatch', viewBox: '0 0 22 8'}, svg('line', {
               x1: 1,
               x2: 21,
               y1: 4,
               y2: 4,
               'stroke-width': 3,
               stroke: colorOf(index),
               'stroke-dasharray': dash,
               'data-index': index
             }));
}

function legendOf(series) {
  return html(
      'div', {class: 'legend'},
      ...series.map(s => html('span', {}, swatch(s.color, s.dash), s.label)));
}
