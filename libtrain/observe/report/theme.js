// Colors of what is drawn. They are attributes of the pictures, so that a saved one keeps them.

const themes = {
  light: {
    paper: '#ffffff',
    ink: '#1b1f24',
    faint: '#5f6873',
    line: '#d5dae0',
    even: [255, 255, 255],
    nothing: [0, 0, 0],
    series:
        ['#1f6fb9', '#c2410c', '#0f7b54', '#9333a8', '#946800', '#0e7490', '#be185d', '#4d5662'],
  },
  dark: {
    paper: '#1d2228',
    ink: '#e6e9ed',
    faint: '#9aa4b0',
    line: '#363d46',
    even: [45, 51, 59],
    nothing: [245, 217, 10],
    series:
        ['#5ca0e2', '#f08a4b', '#4cc38a', '#c98be0', '#d9b13b', '#4fc3d9', '#f277a8', '#aab4c0'],
  },
};
const dashes = ['', '6 3', '2 3', '8 3 2 3'];

const pictures = [];  // each has draw()

function theme() { return themes[document.documentElement.dataset.theme]; }

function colorOf(index) {
  const series = theme().series;
  return series[index % series.length];
}

function dashOf(index) { return dashes[Math.floor(index / theme().series.length) % dashes.length]; }

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
