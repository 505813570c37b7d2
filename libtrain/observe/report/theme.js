// Colors of what is drawn (themes.json). They are attributes of the pictures, so that a saved one
// keeps them.

const pictures = [];  // each has draw()

function theme() { return themes[document.documentElement.dataset.theme]; }

function colorOf(index) {
  const series = theme().series;
  return series[index % series.length];
}

function drawAll() {
  for (const picture of pictures) picture.draw();
  for (const line of document.querySelectorAll('.swatch line'))
    line.setAttribute('stroke', colorOf(Number(line.dataset.index)));
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  drawAll();
}

function followTheme() {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  document.documentElement.dataset.theme = dark.matches ? 'dark' : 'light';
  dark.addEventListener('change', () => setTheme(dark.matches ? 'dark' : 'light'));
  let onScreen = '';
  addEventListener('beforeprint', () => {
    onScreen = document.documentElement.dataset.theme;
    setTheme('light');
  });
  addEventListener('afterprint', () => setTheme(onScreen));
}
