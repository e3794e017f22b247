//! Our encoder as an ONNX graph, written by hand: five messages and seven operators are all it takes.
//!
//! Input `images`, float `[N, 3, H, W]` with values in [0, 1], every axis but the channels free; output `features`, `[N, features]`. A scaling of
//! the images is part of the graph. Batch norm stays an operator of its own: runtimes fold it themselves.
//!
//! Numbers of fields and enumerations are those of `onnx.proto` (ONNX 1.12, opset 17, IR version 8).
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use atomic_file::write_atomically;

use super::format_error;
use crate::checkpoint::Checkpoint;
use crate::error::{Result, TensorError};
use crate::protobuf::Message;
use crate::resnet::{BlockKind, ResNet};
use crate::trunk::Trunk;

/// Version of the operators.
pub const OPSET: i64 = 17;
/// Version of the file format that came with it.
const IR_VERSION: i64 = 8;
/// Protocol Buffers hold no larger message.
const LARGEST: usize = i32::MAX as usize;

const FLOAT: i64 = 1;

/// Writes the encoder; `properties` appear among the model's metadata.
///
/// # Errors
/// If the file cannot be written, the graph is larger than the format allows, or the encoder is a vision transformer (no graph yet).
pub fn to_onnx(trunk: &Trunk, properties: &BTreeMap<String, String>, path: &Path) -> Result<()> {
    let bytes = graph_bytes(trunk, properties)?;
    if bytes.len() > LARGEST {
        return Err(format_error(path, format!("{} bytes: ONNX ends at {LARGEST}", bytes.len())));
    }
    write_atomically(path, |file| file.write_all(&bytes)).map_err(|source| TensorError::CheckpointIo {
        action: "write",
        path: path.to_path_buf(),
        source,
    })
}

/// The whole file.
fn graph_bytes(trunk: &Trunk, properties: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let mut file = Checkpoint::default();
    file.put_trunk(trunk);
    let trunk = trunk.residual("ONNX graph")?;
    let mut graph = Graph { message: Message::default(), weights: file.tensors, epsilon: 0.0, values: 0 };
    graph.epsilon = trunk.config().depth.norm().epsilon as f32;
    let mut x = "images".to_owned();
    if let Some(scaling) = trunk.input_scaling() {
        let line = scaling.line();
        x = graph.per_channel("Mul", &x, "input_factor", line.map(|(factor, _)| factor))?;
        x = graph.per_channel("Add", &x, "input_offset", line.map(|(_, offset)| offset))?;
    }
    let last = match trunk.config().depth.block() {
        BlockKind::PreActivation => graph.pre_activation(trunk, x)?,
        kind => graph.post_activation(trunk, kind, x)?,
    };
    let axes = [ints("axes", &[2, 3]), int("keepdims", 0)];
    graph.node("ReduceMean", &[&last], "features", &axes);

    let features = trunk.config().features() as i64;
    let graph = graph
        .message
        .text(2, trunk.config().depth.name())
        .message(11, &value("images", &[Axis::Free("N"), Axis::Fixed(3), Axis::Free("H"), Axis::Free("W")]))
        .message(12, &value("features", &[Axis::Free("N"), Axis::Fixed(features)]));
    let opset = Message::default().text(1, "").int(2, OPSET);
    let mut model = Message::default()
        .int(1, IR_VERSION)
        .text(2, "radio-ssl")
        .text(3, env!("CARGO_PKG_VERSION"))
        .message(7, &graph)
        .message(8, &opset);
    for (key, value) in properties {
        model = model.message(14, &Message::default().text(1, key).text(2, value));
    }
    Ok(model.into_bytes())
}

struct Graph {
    message: Message,
    weights: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    epsilon: f32,
    values: usize,
}

impl Graph {
    fn post_activation(&mut self, trunk: &ResNet, kind: BlockKind, images: String) -> Result<String> {
        let x = self.conv("conv1", &images, 2, 3)?;
        let x = self.norm("bn1", &x)?;
        let x = self.one("Relu", &[&x], &[]);
        let mut x = self.max_pool(&x);
        for (stage, &count) in trunk.config().depth.blocks().iter().enumerate() {
            for index in 0..count {
                let name = format!("layer{}.{index}", stage + 1);
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                // (stride, padding) of each convolution
                let shapes: &[(i64, i64)] =
                    if kind == BlockKind::Bottleneck { &[(1, 0), (stride, 1), (1, 0)] } else { &[(stride, 1), (1, 1)] };
                let mut y = x.clone();
                for (i, &(stride, pad)) in shapes.iter().enumerate() {
                    if i > 0 {
                        y = self.one("Relu", &[&y], &[]);
                    }
                    y = self.conv(&format!("{name}.conv{}", i + 1), &y, stride, pad)?;
                    y = self.norm(&format!("{name}.bn{}", i + 1), &y)?;
                }
                if self.weights.contains_key(&format!("{name}.downsample.0.weight")) {
                    x = self.conv(&format!("{name}.downsample.0"), &x, stride, 0)?;
                    x = self.norm(&format!("{name}.downsample.1"), &x)?;
                }
                let sum = self.one("Add", &[&y, &x], &[]);
                x = self.one("Relu", &[&sum], &[]);
            }
        }
        Ok(x)
    }

    fn pre_activation(&mut self, trunk: &ResNet, images: String) -> Result<String> {
        self.weights.insert("bn_data.weight".into(), (vec![3], vec![1.0; 3]));
        let x = self.norm("bn_data", &images)?;
        let x = self.conv("conv0", &x, 2, 3)?;
        let x = self.norm("bn0", &x)?;
        let x = self.one("Relu", &[&x], &[]);
        let mut x = self.max_pool(&x);
        for (stage, &count) in trunk.config().depth.blocks().iter().enumerate() {
            for index in 0..count {
                let name = format!("stage{}_unit{}", stage + 1, index + 1);
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                let first = self.norm(&format!("{name}_bn1"), &x)?;
                let first = self.one("Relu", &[&first], &[]);
                let y = self.conv(&format!("{name}_conv1"), &first, stride, 1)?;
                let y = self.norm(&format!("{name}_bn2"), &y)?;
                let y = self.one("Relu", &[&y], &[]);
                let y = self.conv(&format!("{name}_conv2"), &y, 1, 1)?;
                if index == 0 {
                    x = self.conv(&format!("{name}_sc"), &first, stride, 0)?;
                }
                x = self.one("Add", &[&y, &x], &[]);
            }
        }
        let x = self.norm("bn1", &x)?;
        Ok(self.one("Relu", &[&x], &[]))
    }

    fn conv(&mut self, name: &str, x: &str, stride: i64, pad: i64) -> Result<String> {
        let weight = format!("{name}.weight");
        let side = self.constant(&weight)?.get(2).copied().unwrap_or(1) as i64;
        let attributes = [ints("kernel_shape", &[side; 2]), ints("strides", &[stride; 2]), ints("pads", &[pad; 4])];
        Ok(self.one("Conv", &[x, &weight], &attributes))
    }

    fn norm(&mut self, name: &str, x: &str) -> Result<String> {
        let inputs = ["weight", "bias", "running_mean", "running_var"].map(|kind| format!("{name}.{kind}"));
        for input in &inputs {
            self.constant(input)?;
        }
        let [scale, offset, mean, variance] = &inputs;
        let epsilon = Message::default().text(1, "epsilon").float(2, self.epsilon).int(20, 1);
        Ok(self.one("BatchNormalization", &[x, scale, offset, mean, variance], &[epsilon]))
    }

    fn max_pool(&mut self, x: &str) -> String {
        let attributes = [ints("kernel_shape", &[3; 2]), ints("strides", &[2; 2]), ints("pads", &[1; 4])];
        self.one("MaxPool", &[x], &attributes)
    }

    /// One number for each of three channels.
    fn per_channel(&mut self, operator: &str, x: &str, name: &str, values: [f32; 3]) -> Result<String> {
        self.weights.insert(name.into(), (vec![1, 3, 1, 1], values.to_vec()));
        self.constant(name)?;
        Ok(self.one(operator, &[x, name], &[]))
    }

    /// Moves a weight into the graph under its own name; returns its shape.
    fn constant(&mut self, name: &str) -> Result<Vec<usize>> {
        let (shape, values) = self.weights.remove(name).ok_or_else(|| TensorError::Shape {
            what: format!("ONNX: {name}"),
            expected: "a tensor used once".into(),
            found: Vec::new(),
        })?;
        let dims: Vec<i64> = shape.iter().map(|&axis| axis as i64).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let tensor = Message::default().ints(1, &dims).int(2, FLOAT).text(8, name).bytes(9, &bytes);
        self.message = std::mem::take(&mut self.message).message(5, &tensor);
        Ok(shape)
    }

    /// A node with one output, whose name is made up.
    fn one(&mut self, operator: &str, inputs: &[&str], attributes: &[Message]) -> String {
        self.values += 1;
        let output = format!("v{}", self.values);
        self.node(operator, inputs, &output, attributes);
        output
    }

    fn node(&mut self, operator: &str, inputs: &[&str], output: &str, attributes: &[Message]) {
        let node = inputs.iter().fold(Message::default(), |node, input| node.text(1, input));
        let node = node.text(2, output).text(4, operator);
        let node = attributes.iter().fold(node, |node, attribute| node.message(5, attribute));
        self.message = std::mem::take(&mut self.message).message(1, &node);
    }
}

fn int(name: &str, value: i64) -> Message {
    Message::default().text(1, name).int(3, value).int(20, 2)
}

fn ints(name: &str, values: &[i64]) -> Message {
    Message::default().text(1, name).ints(8, values).int(20, 7)
}

enum Axis {
    Free(&'static str),
    Fixed(i64),
}

/// Name and shape of an input or output.
fn value(name: &str, axes: &[Axis]) -> Message {
    let shape = axes.iter().fold(Message::default(), |shape, axis| {
        let axis = match axis {
            Axis::Free(name) => Message::default().text(2, name),
            Axis::Fixed(length) => Message::default().int(1, *length),
        };
        shape.message(1, &axis)
    });
    let tensor = Message::default().int(1, FLOAT).message(2, &shape);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}
