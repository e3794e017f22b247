//! Learnt positions on a grid of another size: bicubic, corners on corners, as torchvision's `interpolate_embeddings`.
use crate::resnet::Gradients;

/// One output place along an axis: four places of the learnt grid and their weights.
type Taps = [(usize, f32); 4];

/// From the learnt grid to that of the images; the class token keeps its own position.
pub(super) struct Positions {
    learnt: usize,
    width: usize,
    rows: Vec<Taps>,
    cols: Vec<Taps>,
}

impl Positions {
    /// From `learnt` × `learnt` places of `width` values to `rows` × `cols`.
    pub fn new(learnt: usize, (rows, cols): (usize, usize), width: usize) -> Self {
        Self { learnt, width, rows: taps(learnt, rows), cols: taps(learnt, cols) }
    }

    /// Positions of all tokens of the images, `[1 + rows * cols, width]`.
    pub fn of_images(&self, learnt: &[f32]) -> Vec<f32> {
        if self.is_learnt() {
            return learnt.to_vec();
        }
        let mut found = vec![0.0; (1 + self.rows.len() * self.cols.len()) * self.width];
        found[..self.width].copy_from_slice(&learnt[..self.width]);
        self.each(|token, place, weight| {
            let source = &learnt[place * self.width..][..self.width];
            found[token * self.width..].iter_mut().zip(source).for_each(|(to, from)| *to += weight * from);
        });
        found
    }

    /// The gradient of the learnt positions, for that of the images' own.
    pub fn backward(&self, gradient: Vec<f32>, place_of_gradient: usize, gradients: &mut Gradients) {
        if self.is_learnt() {
            gradients[place_of_gradient] = gradient;
            return;
        }
        let learnt = &mut gradients[place_of_gradient];
        learnt.resize((1 + self.learnt * self.learnt) * self.width, 0.0);
        learnt[..self.width].copy_from_slice(&gradient[..self.width]);
        self.each(|token, place, weight| {
            let source = &gradient[token * self.width..][..self.width];
            learnt[place * self.width..].iter_mut().zip(source).for_each(|(to, from)| *to += weight * from);
        });
    }

    fn is_learnt(&self) -> bool {
        self.rows.len() == self.learnt && self.cols.len() == self.learnt
    }

    /// Every token of a patch with every place it takes from, and the weight.
    fn each(&self, mut take: impl FnMut(usize, usize, f32)) {
        for (row, row_taps) in self.rows.iter().enumerate() {
            for (col, col_taps) in self.cols.iter().enumerate() {
                for (from_row, row_weight) in row_taps {
                    for (from_col, col_weight) in col_taps {
                        let place = 1 + from_row * self.learnt + from_col;
                        take(1 + row * self.cols.len() + col, place, row_weight * col_weight);
                    }
                }
            }
        }
    }
}

fn taps(learnt: usize, wanted: usize) -> Vec<Taps> {
    let step = if wanted > 1 { (learnt - 1) as f64 / (wanted - 1) as f64 } else { 0.0 };
    (0..wanted)
        .map(|place| {
            let at = place as f64 * step;
            let first = at.floor();
            let past = at - first;
            let distances = [1.0 + past, past, 1.0 - past, 2.0 - past];
            std::array::from_fn(|tap| {
                let from = (first as usize + tap).saturating_sub(1).min(learnt - 1);
                (from, cubic(distances[tap]) as f32)
            })
        })
        .collect()
}

/// Weight of a place at this distance (Keys 1981, with PyTorch's -0.75).
fn cubic(distance: f64) -> f64 {
    const A: f64 = -0.75;
    let x = distance;
    if x <= 1.0 { ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0 } else { ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A }
}
