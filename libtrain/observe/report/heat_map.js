// HeatMap: what each expert of each layer gets over time. One panel a layer, one row an expert.

const levels = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

// Of a character of the cells: how many times its even share an expert gets.
function shareOf(character) {
  const level = levels.indexOf(character);
  return level === 0 ? 0 : 2 ** ((level - 1) / 10 - 3);
}

function colorOfShare(character) {
  const level = levels.indexOf(character), {even, nothing, above, below} = theme();
  if (level === 0) return nothing;
  const power = (level - 31) / 30, end = power > 0 ? above : below;
  return even.map((from, i) => Math.round(from + Math.abs(power) * (end[i] - from)));
}

class HeatMap extends Picture {
  constructor(title, loads) {
    super(title);
    Object.assign(this, {loads, width: 900, left: 62});
    this.high = Math.max(1, Math.min(12, Math.floor(96 / loads.experts)));  // pixels of an expert
    this.panel = loads.experts * this.high + 6;
    this.figure = this.frame([]);
  }

  // The panel of a layer as a picture of one pixel a cell.
  panelImage(layer) {
    const {columns, experts, cells} = this.loads;
    const canvas = html('canvas', {width: columns, height: experts});
    const context = canvas.getContext('2d'), image = context.createImageData(columns, experts);
    for (let c = 0; c < columns; ++c) {
      for (let e = 0; e < experts; ++e)
        image.data.set([...this.colors[cells[c][layer * experts + e]], 255], 4 * (e * columns + c));
    }
    context.putImageData(image, 0, 0);
    return canvas.toDataURL();
  }

  draw() {
    const {layers} = this.loads;
    this.colors = Object.fromEntries([...levels].map(c => [c, colorOfShare(c)]));
    this.begin(layers * this.panel + 40, this.title);
    for (let layer = 0; layer < layers; ++layer) {
      const y = layer * this.panel;
      this.svg.append(
          svg('image', {
            x: this.left,
            y,
            width: this.width - this.left - 10,
            height: this.panel - 6,
            href: this.panelImage(layer),
            preserveAspectRatio: 'none',
            style: {imageRendering: 'pixelated'},
            class: 'panel'
          }),
          svg('text',
              {x: this.left - 6, y: y + (this.panel - 6) / 2, dy: '0.35em', 'text-anchor': 'end'},
              `layer ${layer}`));
    }
    this.drawLegend(layers * this.panel + 8);
    this.svg.addEventListener('pointermove', event => this.showCell(event));
    this.svg.addEventListener('pointerleave', () => {
      this.tip.style.display = 'none';
    });
    this.host.replaceChildren(this.svg);
  }

  drawLegend(y) {
    const entries =
        [['0', 'nothing'], ['1', 'an eighth'], ['V', 'its even share'], ['z', 'eight times']];
    entries.forEach(([character, label], i) => {
      const x = this.left + i * 130;
      this.svg.append(
          svg('rect', {
            x,
            y,
            width: 12,
            height: 12,
            fill: `rgb(${this.colors[character].join(',')})`,
            stroke: theme().faint
          }),
          svg('text', {x: x + 18, y: y + 10}, label));
    });
    this.svg.append(
        svg('text', {x: this.width - 10, y: y + 10, 'text-anchor': 'end'},
            `steps 0 to ${this.loads.last.toLocaleString('en')}`));
  }

  showCell(event) {
    const {columns, experts, layers, cells, last} = this.loads;
    const box = this.svg.getBoundingClientRect(), unit = this.width / box.width;
    const x = (event.clientX - box.left) * unit, y = (event.clientY - box.top) * unit;
    const c = Math.floor((x - this.left) / (this.width - this.left - 10) * columns);
    const layer = Math.floor(y / this.panel), e = Math.floor((y - layer * this.panel) / this.high);
    const inside = c >= 0 && c < columns && layer < layers && e < experts;
    this.tip.style.display = inside ? '' : 'none';
    if (!inside) return;
    const share = shareOf(cells[c][layer * experts + e]),
          step = Math.round(last * (c + 0.5) / columns);
    this.tip.textContent = `layer ${layer}, expert ${e}, about step ${step.toLocaleString('en')}: ${
        shown(share)} x its even share`;
    Object.assign(this.tip.style, {top: '2.6rem', right: '1rem'});
  }
}
