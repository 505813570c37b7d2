// Axes: from values to pixels, and round numbers for their marks.

function linearTicks(low, high, most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= rough) || rough;
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high * (1 + 1e-12) && ticks.length <= 2 * most;
       ++i)
    ticks.push(i * step);
  return ticks;
}

function logTicks(low, high) {
  const decades = Math.log10(high / low);
  const parts = decades < 1.2 ? [1, 2, 3, 5, 7] : decades < 3 ? [1, 3] : [1];
  const every = Math.max(1, Math.ceil(decades / 7));
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high));
       power += every) {
    for (const part of parts) ticks.push(part * 10 ** power);
  }
  return ticks.filter(tick => tick >= low && tick <= high);
}

class Scale {
  constructor(low, high, from, to, log) {
    if (!(high > low)) {
      const room = Math.abs(low) * 0.05 || 0.5;
      [low, high] = log ? [low / 1.1, low * 1.1] : [low - room, low + room];
    }
    Object.assign(this, {low, high, from, to, log});
  }
  place(value) {
    const share = this.log ? Math.log(value / this.low) / Math.log(this.high / this.low) :
                             (value - this.low) / (this.high - this.low);
    return this.from + share * (this.to - this.from);
  }
  valueAt(place) {
    const share = (place - this.from) / (this.to - this.from);
    return this.log ? this.low * (this.high / this.low) ** share :
                      this.low + share * (this.high - this.low);
  }
  ticks(most) {
    const round = this.log ? logTicks(this.low, this.high) : [];
    return round.length > 1 ? round : linearTicks(this.low, this.high, most);
  }
}

// The position of the last step that is not above `step`, or 0.
function positionOf(steps, step) {
  let low = 0, high = steps.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (steps[middle] <= step)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}
