// Picture: what is drawn as SVG in a figure, again for each theme, and can be saved.

class Picture {
  constructor(title) {
    this.title = title;
    this.host = html('div');
    this.tip = html('div', {class: 'tip', style: {display: 'none'}});
    pictures.push(this);
  }

  // The figure with these parts between its caption and the picture.
  frame(buttons, ...parts) {
    const onclick = () => save(fileName(this.title), this.svgText(), 'image/svg+xml');
    const saveButton = html('button', {onclick, title: 'save as SVG'}, 'SVG');
    const caption = html('figcaption', {}, html('span', {}, this.title), ...buttons, saveButton);
    return html('figure', {}, caption, ...parts, this.host, this.tip);
  }

  begin(height, label) {
    this.svg = svg('svg', {
      viewBox: `0 0 ${this.width} ${height}`,
      role: 'img',
      'aria-label': label,
      'font-family': 'sans-serif',
      'font-size': 11,
      fill: theme().faint
    });
  }

  svgText() { return new XMLSerializer().serializeToString(this.svg); }
}
