// Elements of HTML and SVG. Text of others only ever becomes text nodes and attribute values.

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith('on'))
      element.addEventListener(name.slice(2), value);
    else if (name === 'style')
      Object.assign(element.style, value);
    else
      element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function html(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function shown(value) {
  if (typeof value !== 'number' || !isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 1e7 || (size > 0 && size < 1e-3))
    return Number(value.toPrecision(4)).toExponential().replace('e+', 'e');
  return Number(value.toPrecision(size >= 1000 ? 6 : 4)).toLocaleString('en', {
    maximumFractionDigits: 6
  });
}

function save(name, text, type) {
  const link = html('a', {href: URL.createObjectURL(new Blob([text], {type})), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function fileName(title) { return title.replace(/[^A-Za-z0-9_.-]+/g, '-').slice(0, 80) + '.svg'; }
