//! The residual units of the released encoders: batch norm and ReLU before every convolution, nothing behind the sum
//! (He et al. 2016, "Identity mappings in deep residual networks"; reference-facts D4 (a)).
use super::layers::{PreActivation, Unit};
use super::pass::{Incoming, Normalised, Updates, add};
use super::{Gradients, ResNet};
use crate::batch_norm::{self, Shortcut};
use crate::element::Element;
use crate::nhwc::Map;

/// What one unit leaves for its backward.
pub(super) struct SavedUnit<E> {
    /// The unit's input, before its first batch norm.
    input: Normalised<E>,
    /// Behind its first ReLU.
    pub first: Map<E>,
    /// The first convolution's output, before its batch norm.
    middle: Normalised<E>,
    /// Behind the second ReLU.
    second: Map<E>,
}

/// What all units and the last batch norm leave for their backward.
pub(super) struct SavedUnits<E> {
    pub units: Vec<SavedUnit<E>>,
    last: Normalised<E>,
}

impl<E> SavedUnits<E> {
    pub fn into_maps(self) -> Vec<Map<E>> {
        let units = self.units.into_iter().flat_map(|u| [u.input.map, u.first, u.middle.map, u.second]);
        units.chain([self.last.map]).collect()
    }
}

impl ResNet {
    /// Training pass from the pooled map to the last.
    pub(super) fn train_units<E: Element>(
        &self,
        layers: &PreActivation,
        mut x: Map<E>,
        updates: &mut Updates,
    ) -> (SavedUnits<E>, Map<E>) {
        let mut units = Vec::with_capacity(layers.units.len());
        for unit in &layers.units {
            let moments = batch_norm::moments(&x);
            let input = self.with_statistics(&unit.first, x, &moments, updates);
            let first = self.activated(&input);
            let middle = self.convolve(&unit.conv1, &first, updates);
            let second = self.activated(&middle);
            x = self.convolved(&unit.conv2, &second);
            self.add_shortcut(unit, &input.map, &first, &mut x);
            units.push(SavedUnit { input, first, middle, second });
        }
        let moments = batch_norm::moments(&x);
        let last = self.with_statistics(&layers.last, x, &moments, updates);
        let output = self.activated(&last);
        (SavedUnits { units, last }, output)
    }

    /// From the gradient of the last map to that of the pooled one.
    pub(super) fn units_backward<E: Element>(
        &self,
        layers: &PreActivation,
        saved: SavedUnits<E>,
        output: Map<E>,
        incoming: Incoming<E>,
        gradients: &mut Gradients,
    ) -> Map<E> {
        let SavedUnits { units, mut last } = saved;
        let Incoming { output: mut d_output, mut taps } = incoming;
        self.norm_backward(&layers.last, &mut last, &output, &mut d_output, gradients);
        self.workspace.give(output);
        self.workspace.give(d_output);
        let mut dy = last.map;
        for (unit, saved) in layers.units.iter().zip(units).rev() {
            let tap = if unit.starts_stage { taps.pop() } else { None };
            dy = self.unit_backward(unit, saved, dy, tap, gradients);
        }
        dy
    }

    /// From the gradient `dy` of a unit's output to that of its input; `tap` is one of the first ReLU's output.
    fn unit_backward<E: Element>(
        &self,
        unit: &Unit,
        saved: SavedUnit<E>,
        dy: Map<E>,
        tap: Option<Map<E>>,
        gradients: &mut Gradients,
    ) -> Map<E> {
        let SavedUnit { mut input, first, mut middle, second } = saved;
        let mut d_second = self.like(&second);
        self.conv_backward(&unit.conv2, &second, &dy, Some((&mut d_second, false)), gradients);
        self.norm_backward(&unit.conv1.norm, &mut middle, &second, &mut d_second, gradients);
        let mut d_first = self.like(&first);
        self.conv_backward(&unit.conv1.conv, &first, &middle.map, Some((&mut d_first, false)), gradients);
        if let Some(shortcut) = &unit.shortcut {
            self.conv_backward(shortcut, &first, &dy, Some((&mut d_first, true)), gradients);
        }
        if let Some(tap) = tap {
            add(&tap, &mut d_first);
            self.workspace.give(tap);
        }
        self.norm_backward(&unit.first, &mut input, &first, &mut d_first, gradients);
        if unit.shortcut.is_none() {
            add(&dy, &mut input.map);
        }
        for map in [dy, first, middle.map, second, d_second, d_first] {
            self.workspace.give(map);
        }
        input.map
    }

    /// Evaluation from the pooled map to the last; `tap` is shown the first ReLU's output of stages 2 to 4.
    pub(super) fn evaluate_units<E: Element>(
        &self,
        layers: &PreActivation,
        mut x: Map<E>,
        mut tap: impl FnMut(&Map<E>),
    ) -> Map<E> {
        for unit in &layers.units {
            let mut first = self.like(&x);
            batch_norm::apply_relu(&x, &self.running_affine(&unit.first), Shortcut::None, &mut first);
            if unit.starts_stage {
                tap(&first);
            }
            let second = self.evaluate(&unit.conv1, &first, Shortcut::None);
            let mut y = self.convolved(&unit.conv2, &second);
            self.add_shortcut(unit, &x, &first, &mut y);
            for map in [std::mem::replace(&mut x, y), first, second] {
                self.workspace.give(map);
            }
        }
        let mut output = self.like(&x);
        batch_norm::apply_relu(&x, &self.running_affine(&layers.last), Shortcut::None, &mut output);
        self.workspace.give(x);
        output
    }

    /// Batch norm and ReLU with the statistics of the batch.
    fn activated<E: Element>(&self, before: &Normalised<E>) -> Map<E> {
        let mut behind = self.like(&before.map);
        batch_norm::apply_relu(&before.map, &before.affine, Shortcut::None, &mut behind);
        behind
    }

    /// Adds the unit's input, or the convolution of its first ReLU's output.
    fn add_shortcut<E: Element>(&self, unit: &Unit, input: &Map<E>, first: &Map<E>, y: &mut Map<E>) {
        match &unit.shortcut {
            None => add(input, y),
            Some(layer) => {
                let own = self.convolved(layer, first);
                add(&own, y);
                self.workspace.give(own);
            }
        }
    }
}
