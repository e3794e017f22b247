//! L-BFGS: the smallest value of a smooth function, from its gradient alone; in f64, in a fixed order, without a random number.
use std::collections::VecDeque;

/// Pairs of steps and gradient changes that are remembered.
const MEMORY: usize = 20;
/// Sufficient decrease and curvature of the Wolfe conditions.
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;
/// Trials of one line search.
const TRIALS: usize = 40;

/// Where the search ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimum {
    /// The place.
    pub at: Vec<f64>,
    /// The function there.
    pub value: f64,
    /// Largest component of the gradient there.
    pub gradient: f64,
    /// Steps taken.
    pub steps: usize,
}

/// Minimises `function`, which returns its value and writes its gradient, starting at `start`.
///
/// Ends when no component of the gradient is above `tolerance`, after `most_steps`, or where rounding allows no further
/// decrease; [`Minimum::gradient`] says how far it came.
///
/// # Source
/// Nocedal & Wright 2006, algorithms 7.4, 7.5, 3.5 and 3.6.
pub fn minimise(
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
    start: Vec<f64>,
    tolerance: f64,
    most_steps: usize,
) -> Minimum {
    let n = start.len();
    let mut at = start;
    let mut gradient = vec![0.0; n];
    let mut value = function(&at, &mut gradient);
    let mut memory: VecDeque<Pair> = VecDeque::with_capacity(MEMORY);
    let mut steps = 0;
    while steps < most_steps && largest(&gradient) > tolerance && value.is_finite() {
        let mut direction = downhill(&gradient, &memory);
        let mut slope = dot(&gradient, &direction);
        if slope >= 0.0 {
            memory.clear();
            direction = gradient.iter().map(|g| -g).collect();
            slope = dot(&gradient, &direction);
        }
        // Without a memory the length of a step is unknown: no further than 1.
        let first = if memory.is_empty() { (1.0 / dot(&gradient, &gradient).sqrt()).min(1.0) } else { 1.0 };
        let Some(found) = line_search(&mut function, &at, &direction, value, slope, first) else {
            if memory.is_empty() {
                break;
            }
            memory.clear(); // once more, straight down
            continue;
        };
        let step: Vec<f64> = direction.iter().map(|d| d * found.length).collect();
        let change: Vec<f64> = found.gradient.iter().zip(&gradient).map(|(new, old)| new - old).collect();
        let curvature = dot(&step, &change);
        at.iter_mut().zip(&step).for_each(|(x, s)| *x += s);
        (value, gradient) = (found.value, found.gradient);
        if curvature > 1e-12 * dot(&change, &change).sqrt() * dot(&step, &step).sqrt() {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back(Pair { step, change, curvature });
        }
        steps += 1;
    }
    Minimum { at, value, gradient: largest(&gradient), steps }
}

struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    curvature: f64,
}

/// Minus the inverse Hessian, as far as the memory knows it, times the gradient.
fn downhill(gradient: &[f64], memory: &VecDeque<Pair>) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut weights = Vec::with_capacity(memory.len());
    for pair in memory.iter().rev() {
        let weight = dot(&pair.step, &q) / pair.curvature;
        add(-weight, &pair.change, &mut q);
        weights.push(weight);
    }
    if let Some(last) = memory.back() {
        let scale = last.curvature / dot(&last.change, &last.change);
        q.iter_mut().for_each(|v| *v *= scale);
    }
    for (pair, weight) in memory.iter().zip(weights.into_iter().rev()) {
        let back = dot(&pair.change, &q) / pair.curvature;
        add(weight - back, &pair.step, &mut q);
    }
    q
}

struct Trial {
    length: f64,
    value: f64,
    slope: f64,
    gradient: Vec<f64>,
}

/// A step length that satisfies the strong Wolfe conditions, or the best one with enough decrease.
fn line_search(
    function: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
    at: &[f64],
    direction: &[f64],
    value: f64,
    slope: f64,
    first: f64,
) -> Option<Trial> {
    let mut place = vec![0.0; at.len()];
    let mut try_length = |length: f64| {
        place.iter_mut().zip(at.iter().zip(direction)).for_each(|(p, (x, d))| *p = x + length * d);
        let mut gradient = vec![0.0; at.len()];
        let value = function(&place, &mut gradient);
        let slope = dot(&gradient, direction);
        Trial { length, value, slope, gradient }
    };
    // Close to the minimum values differ by less than their rounding: then the slope alone decides.
    let rounding = 4.0 * f64::EPSILON * value.abs();
    let low_enough = |trial: &Trial| trial.value <= value + DECREASE * trial.length * slope + rounding;
    let flat_enough = |trial: &Trial| trial.slope.abs() <= -CURVATURE * slope;

    let mut low = Trial { length: 0.0, value, slope, gradient: Vec::new() };
    let mut high: Option<Trial> = None;
    let mut length = first;
    for _ in 0..TRIALS {
        let trial = try_length(length);
        if !trial.value.is_finite() || !low_enough(&trial) || (low.length > 0.0 && trial.value > low.value + rounding) {
            high = Some(trial);
        } else if flat_enough(&trial) {
            return Some(trial);
        } else {
            // The minimum lies on the side the slope falls to.
            let up = trial.slope >= 0.0;
            let passed = match &high {
                Some(high) => up == (high.length > trial.length),
                None => up,
            };
            if passed {
                high = Some(std::mem::replace(&mut low, trial));
            } else {
                low = trial;
            }
        }
        length = match &high {
            None => low.length.max(first) * 2.5,
            Some(high) => between(&low, high),
        };
        if (length - low.length).abs() <= 1e-16 * length.abs().max(first * 1e-3) {
            break;
        }
    }
    (low.length > 0.0).then_some(low)
}

/// Where a cubic through both ends has its minimum, kept off the ends; the middle if there is none.
fn between(low: &Trial, high: &Trial) -> f64 {
    let (a, b) = (low.length, high.length);
    let middle = 0.5 * (a + b);
    if !high.value.is_finite() || !high.slope.is_finite() {
        return middle;
    }
    let d1 = low.slope + high.slope - 3.0 * (low.value - high.value) / (a - b);
    let square = d1 * d1 - low.slope * high.slope;
    if square < 0.0 {
        return middle;
    }
    let d2 = (b - a).signum() * square.sqrt();
    let found = b - (b - a) * (high.slope + d2 - d1) / (high.slope - low.slope + 2.0 * d2);
    let margin = 0.1 * (b - a).abs();
    if found.is_finite() { found.clamp(a.min(b) + margin, a.max(b) - margin) } else { middle }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, value| value.abs().max(most))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(factor: f64, x: &[f64], y: &mut [f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ill_conditioned_bowl_and_the_valley_of_rosenbrock() {
        let bowl = |x: &[f64], g: &mut [f64]| {
            let scale = |i: usize| 10f64.powi(i as i32 - 3);
            (0..x.len()).for_each(|i| g[i] = scale(i) * (x[i] - i as f64));
            (0..x.len()).map(|i| 0.5 * scale(i) * (x[i] - i as f64).powi(2)).sum()
        };
        let found = minimise(bowl, vec![0.0; 7], 1e-10, 2000);
        assert!(found.gradient <= 1e-10, "{found:?}");
        assert!(found.at.iter().enumerate().all(|(i, x)| (x - i as f64).abs() < 1e-6), "{found:?}");

        let valley = |x: &[f64], g: &mut [f64]| {
            g[0] = -2.0 * (1.0 - x[0]) - 400.0 * x[0] * (x[1] - x[0] * x[0]);
            g[1] = 200.0 * (x[1] - x[0] * x[0]);
            (1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2)
        };
        let found = minimise(valley, vec![-1.2, 1.0], 1e-9, 500);
        assert!((found.at[0] - 1.0).abs() < 1e-8 && (found.at[1] - 1.0).abs() < 1e-8, "{found:?}");
        assert!(found.steps < 80, "{found:?}");
    }

    #[test]
    fn what_has_no_minimum_or_no_number_ends() {
        let slope = minimise(
            |_, g| {
                g[0] = 1.0;
                0.0
            },
            vec![0.0],
            1e-9,
            50,
        );
        assert!(slope.steps <= 50);
        let broken = minimise(
            |_, g| {
                g[0] = f64::NAN;
                f64::NAN
            },
            vec![0.0],
            1e-9,
            50,
        );
        assert!(broken.value.is_nan() && broken.steps == 0);
    }
}
