//! The target network: the online network's trunk and projector, following slowly.
//!
//! It holds weights and running statistics only. For its forward pass they change places with the trunk's, so that one
//! trunk, with one set of maps in memory, serves both networks.
use candle_core::Tensor;
use radio_tensor::checkpoint::{Checkpoint, Loaded};
use radio_tensor::parameter::Parameter;
use radio_tensor::resnet::Running;
use radio_tensor::trunk::Trunk;
use rayon::prelude::*;

use super::heads::project;
use crate::error::Result;

/// What stands before the names of the target's tensors in a checkpoint: like the optimiser's state they end with the training.
const PREFIX: &str = "optimizer.target.";
/// Weights of one piece of work.
const CHUNK: usize = 1 << 16;

/// Weights of the target network.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    pub(crate) trunk: TargetTrunk,
    pub(crate) projector: TargetProjector,
}

/// The trunk's part.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TargetTrunk {
    parameters: Vec<Parameter>,
    running: Vec<Running>,
}

/// The projector's part.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TargetProjector(Vec<Parameter>);

impl TargetTrunk {
    /// Features of views in training mode, `[n, features]`; `trunk` is the online one and is left as it was, except that a
    /// step under way is dropped.
    ///
    /// # Errors
    /// As [`Trunk::forward`].
    pub(crate) fn features(&mut self, trunk: &mut Trunk, views: &Tensor) -> Result<Tensor> {
        self.change_places(trunk);
        let features = trunk.forward(views);
        self.change_places(trunk);
        Ok(features?)
    }

    fn change_places(&mut self, trunk: &mut Trunk) {
        trunk.parameters_mut().swap_with_slice(&mut self.parameters);
        trunk.running_mut().swap_with_slice(&mut self.running);
    }
}

impl TargetProjector {
    /// Projections of the target's features, `[n, output]`, outside any graph.
    ///
    /// # Errors
    /// On another shape.
    pub(crate) fn project(&self, features: &Tensor) -> Result<Tensor> {
        project(features, &self.0)
    }
}

impl Target {
    /// A copy of the online network.
    pub fn of(trunk: &Trunk, projector: &[Parameter]) -> Self {
        let trunk = TargetTrunk { parameters: trunk.parameters().to_vec(), running: trunk.running().to_vec() };
        Self { trunk, projector: TargetProjector(projector.to_vec()) }
    }

    /// All weights, the trunk's first.
    pub fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.trunk.parameters.iter().chain(&self.projector.0)
    }

    fn parameters_mut(&mut self) -> impl Iterator<Item = &mut Parameter> {
        self.trunk.parameters.iter_mut().chain(&mut self.projector.0)
    }

    /// Moves every weight towards the online network's: `momentum * target + (1 - momentum) * online`, in f64.
    pub fn follow<'a>(&mut self, online: impl IntoIterator<Item = &'a Parameter>, momentum: f64) {
        for (target, online) in self.parameters_mut().zip(online) {
            let pieces = target.values.par_chunks_mut(CHUNK).zip(online.values.par_chunks(CHUNK));
            pieces.for_each(|(target, online)| {
                for (target, online) in target.iter_mut().zip(online) {
                    *target = (momentum * f64::from(*target) + (1.0 - momentum) * f64::from(*online)) as f32;
                }
            });
        }
    }

    /// Adds the weights and statistics to a checkpoint.
    pub fn put(&self, file: &mut Checkpoint) {
        let mut put = |name: String, shape: Vec<usize>, values: Vec<f32>| {
            file.tensors.insert(format!("{PREFIX}{name}"), (shape, values));
        };
        self.parameters().for_each(|p| put(p.name.clone(), p.shape.clone(), p.to_torch()));
        for r in &self.trunk.running {
            put(format!("{}.running_mean", r.name), vec![r.mean.len()], r.mean.clone());
            put(format!("{}.running_var", r.name), vec![r.mean.len()], r.variance.clone());
        }
    }

    /// Reads them back.
    ///
    /// # Errors
    /// If a tensor is absent or has another shape.
    pub fn load(&mut self, file: &Loaded) -> Result<()> {
        for p in self.parameters_mut() {
            p.set_from_torch(file.tensor(&format!("{PREFIX}{}", p.name), &p.shape)?)?;
        }
        for r in &mut self.trunk.running {
            let shape = [r.mean.len()];
            r.mean = file.tensor(&format!("{PREFIX}{}.running_mean", r.name), &shape)?.to_vec();
            r.variance = file.tensor(&format!("{PREFIX}{}.running_var", r.name), &shape)?.to_vec();
        }
        Ok(())
    }
}
