//! Where a classifier looked: the map of one class on the last feature maps.
use ndarray::Array3;
use radio_tensor::DuringStep;

use super::predict::Classifier;
use crate::error::{ClassError, Result};
use crate::features::images_tensor;

impl Classifier {
    /// Grad-CAM of `class`: how much each place of the last feature maps speaks for it, 0 where it does not.
    ///
    /// Behind the last maps there are only their mean and the linear head, so the gradient of the class's logit is the same
    /// everywhere on a map, its weight divided by the number of places, and Grad-CAM is the class activation map. Unscaled:
    /// without the cut at 0, the sum over places is the logit without its offset.
    ///
    /// # Shapes
    /// `images`: `[n, 3, s, s]` in [0, 1]; result: `[n, s / 32, s / 32]` (rounded up).
    /// # Errors
    /// If there is no such class, the trunk is a vision transformer (which has no such maps), or on another shape of images.
    /// # Source
    /// Selvaraju et al. 2017 (arXiv:1610.02391), eqs. 1 and 2 and section 3.1; Zhou et al. 2016 (arXiv:1512.04150).
    pub fn class_map(&self, images: ndarray::Array4<f32>, class: usize) -> Result<Array3<f32>> {
        if class >= self.classes.len() {
            return Err(ClassError::UnknownClass { row: 0, found: class, n_classes: self.classes.len() });
        }
        let [_, _, _, last] = self.trunk.pyramid(&images_tensor(images)?)?;
        let &[n, channels, height, width] = last.dims() else {
            return Err(ClassError::Length { what: "axes of the last maps", expected: 4, found: last.dims().len() });
        };
        let values: Vec<f32> = last.flatten_all().and_then(|maps| maps.to_vec1()).during("last maps of the trunk")?;
        let places = height * width;
        let weights = self.head.weights_of(class);
        Ok(Array3::from_shape_fn((n, height, width), |(image, row, col)| {
            let place = image * channels * places + row * width + col;
            let sum: f64 = (0..channels).map(|c| f64::from(weights[c]) * f64::from(values[place + c * places])).sum();
            (sum / places as f64).max(0.0) as f32
        }))
    }
}
