//! The transformer against torchvision's, against differences, on any number of threads, and on sizes it cannot have.
use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{ViT, ViTConfig};
use crate::TensorError;
use crate::kernel::Kernel;
use crate::parameter::to_torch_order;
use crate::resnet::{Gradients, InputScaling, Precision};

const TINY: ViTConfig = ViTConfig { size: 8, patch: 4, width: 6, blocks: 2, heads: 2, hidden: 10 };

fn moved(config: ViTConfig) -> ViT {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut vit = ViT::new(config, &mut rng).unwrap();
    for p in vit.parameters_mut() {
        p.values.iter_mut().for_each(|v| *v += rng.random_range(-0.2..0.2));
    }
    vit
}

fn tensor(shape: &[usize], seed: u64) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

/// torchvision 0.29.2 with PyTorch 2.15.0, in f64: `VisionTransformer(image_size=8, patch_size=4, num_layers=2, num_heads=2, hidden_dim=6,
/// mlp_dim=10)` without its head, all numbers by `fill`. Features of two images, the norm of every gradient, and of every
/// gradient the value two thirds of the way through.
struct Golden {
    sides: (usize, usize),
    features: [f64; 12],
    norms: [f64; 30],
    values: [f64; 30],
}

#[rustfmt::skip]
const GOLDEN: [Golden; 2] = [
    Golden {
        sides: (8, 8),
        features: [
            0.15197485, 0.21478951, 0.14448717, 0.22007445, -0.52905472, -0.40562477,
            0.15333778, 0.21364061, 0.1512757, 0.21499108, -0.53098356, -0.40612275,
        ],
        norms: [
            0.2081297, 0.04484588, 0.00723402, 0.2082725, 0.009456553, 0.01013827, 0.06795515, 0.09006542, 0.2288179, 0.1999112,
            0.02106292, 0.02578206, 0.07953703, 0.1065699, 0.1271884, 0.1978832, 0.009834496, 0.01330468, 0.08796435, 0.09765246,
            0.2682662, 0.2069075, 0.03670851, 0.04341279, 0.1267642, 0.1192709, 0.1463294, 0.2166781, 0.4210503, 0.6158031,
        ],
        values: [
            0.0415554, 8.22819e-05, 0.00342711, 0.000567018, -0.0007485, -0.00313674, 0.00783128, 0.0199307, 0.000991129, 0.0397634,
            0.0104304, -0.00942461, -0.00105938, -0.00162867, 4.97629e-06, 0.0439176, 0.0087825, -0.00604354, 0.00740428, -0.0262183,
            0.0191174, 0.0437593, 0.0166072, -0.0106307, 0.000132266, -0.00112436, 0.0114267, 0.0410694, 0.229124, -0.190168,
        ],
    },
    // Positions interpolated: `interpolate(mode="bicubic", align_corners=True)`.
    Golden {
        sides: (12, 20),
        features: [
            0.15356548, 0.21342713, 0.15238454, 0.21506981, -0.5312883, -0.40615269,
            0.15412307, 0.21300351, 0.15519856, 0.21255224, -0.53208758, -0.40637459,
        ],
        norms: [
            0.2088585, 0.00593707, 0.0006966118, 0.2088596, 0.006162877, 0.009951799, 0.06988894, 0.0909585, 0.2434814, 0.205965,
            0.02115097, 0.02590747, 0.08092322, 0.1100265, 0.1303606, 0.2037281, 0.01737818, 0.01302273, 0.08338027, 0.09671291,
            0.2636304, 0.2069396, 0.03667534, 0.04341092, 0.1267011, 0.1194754, 0.1460245, 0.2167301, 0.4199921, 0.6158031,
        ],
        values: [
            0.0399587, -0.000796213, -3.89349e-05, -4.2321e-05, 0.00439998, -0.00274146, 0.00722015, 0.0195281, 0.00111852, 0.0384536,
            0.0105987, -0.00949275, -0.000311507, -0.00314062, -5.45562e-05, 0.0425911, 0.0129254, -0.00582669, 0.00707519, -0.0254214,
            0.0182873, 0.0434631, 0.0167279, -0.010634, 0.000165179, -0.000968118, 0.0112657, 0.0407864, 0.229012, -0.190168,
        ],
    },
];

fn fill(n: usize, k: usize, scale: f64) -> Vec<f32> {
    (0..n).map(|i| (scale * (1.0 + 0.7 * i as f64 + 1.3 * k as f64).sin()) as f32).collect()
}

#[test]
fn golden_features_and_gradients_of_torchvision() {
    let mut vit = ViT::new(TINY, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
    for (k, p) in vit.parameters_mut().iter_mut().enumerate() {
        p.set_from_torch(&fill(p.values.len(), k, 0.4)).unwrap();
    }
    let gradient = Tensor::from_vec(fill(12, 41, 0.4), (2, 6), &Device::Cpu).unwrap();
    for Golden { sides: (h, w), features, norms, values } in &GOLDEN {
        let images = Tensor::from_vec(fill(6 * h * w, 40, 1.0), (2, 3, *h, *w), &Device::Cpu).unwrap();
        for (got, want) in flat(&vit.forward(&images).unwrap()).iter().zip(features) {
            assert!((f64::from(*got) - want).abs() < 2e-6, "{got} {want}");
        }
        let gradients = vit.backward(&gradient).unwrap();
        assert_eq!(gradients.len(), norms.len());
        for (((p, got), length), value) in vit.parameters().iter().zip(&gradients).zip(norms).zip(values) {
            let (found, one) = (norm(got), to_torch_order(&p.shape, got)[got.len() * 2 / 3]);
            assert!((found - length).abs() < 2e-5 * length + 2e-7, "{}: {found} {length}", p.name);
            assert!((f64::from(one) - value).abs() < 2e-5 * length + 2e-7, "{}: {one} {value}", p.name);
        }
    }
}

/// Every gradient along its own direction, by central differences of the evaluation pass; images of another size, scaled.
#[test]
fn gradients_by_finite_differences() {
    let made = || {
        let mut vit = moved(TINY);
        vit.set_input_scaling(Some(InputScaling { scale: 1.5, mean: [0.1, 0.2, 0.3], std: [0.5, 1.0, 2.0] })).unwrap();
        vit
    };
    let (mut vit, images, gradient) = (made(), tensor(&[3, 3, 8, 12], 1), tensor(&[3, 6], 2));
    let features = vit.forward(&images).unwrap();
    assert_eq!(flat(&features), flat(&vit.embed(&images).unwrap()));
    let gradients = vit.backward(&gradient).unwrap();
    let loss = |vit: &ViT| -> f64 {
        let features = flat(&vit.embed(&images).unwrap());
        features.iter().zip(flat(&gradient)).map(|(f, g)| f64::from(*f) * f64::from(g)).sum()
    };
    let mut seen = 0;
    for (place, gradient) in gradients.iter().enumerate() {
        let norm = norm(gradient);
        let at = |step: f64| {
            let mut moved = made();
            let scale = (step / norm.max(1e-12)) as f32;
            let values = &mut moved.parameters_mut()[place].values;
            values.iter_mut().zip(gradient).for_each(|(v, g)| *v += scale * g);
            loss(&moved)
        };
        let difference = (at(3e-3) - at(-3e-3)) / 6e-3;
        let name = &vit.parameters()[place].name;
        assert!((difference - norm).abs() < 0.02 * norm + 1e-3, "{name}: difference {difference}, gradient {norm}");
        seen += usize::from(norm > 0.05);
    }
    assert!(seen >= 24, "{seen} of {} gradients are large enough to be seen", gradients.len());
}

fn step(vit: &mut ViT) -> (Vec<f32>, Gradients) {
    let features = vit.forward(&tensor(&[5, 3, 32, 48], 5)).unwrap();
    let gradients = vit.backward(&tensor(&[5, 96], 6)).unwrap();
    (flat(&features), gradients)
}

/// The same bits on one thread and on five, in both precisions, and again with recycled memory.
#[test]
fn the_number_of_threads_does_not_matter() {
    for precision in [Precision::F32, Precision::Bf16] {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut vit = moved(ViTConfig::tiny(32, 8));
                vit.set_precision(precision);
                let first = step(&mut vit);
                assert!(first == step(&mut vit), "a second step on {threads} threads");
                first
            })
        };
        assert!(run(1) == run(5), "{precision:?}");
    }
}

/// Kernels agree to rounding, bf16 with f32 to its own.
#[test]
fn kernels_and_precisions_agree() {
    let of = |kernel: Kernel, precision: Precision| {
        let mut vit = moved(ViTConfig::tiny(32, 8));
        vit.set_kernel(kernel).unwrap();
        vit.set_precision(precision);
        step(&mut vit)
    };
    let apart = |a: &[f32], b: &[f32]| {
        let difference: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        norm(&difference) / norm(b)
    };
    let (features, gradients) = of(Kernel::Portable, Precision::F32);
    for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()) {
        for (precision, tolerance) in [(Precision::F32, 1e-5), (Precision::Bf16, 0.05)] {
            let (found, found_gradients) = of(kernel, precision);
            assert!(apart(&found, &features) < tolerance, "{kernel:?} {precision:?}: {}", apart(&found, &features));
            for (found, wanted) in found_gradients.iter().zip(&gradients) {
                assert!(apart(found, wanted) < 2.0 * tolerance, "{kernel:?} {precision:?}: {}", apart(found, wanted));
            }
        }
    }
}

/// An image's features do not depend on the images beside it, and a NaN stays in its image.
#[test]
fn images_do_not_touch_each_other() {
    let vit = moved(TINY);
    let images = tensor(&[3, 3, 8, 8], 7);
    let all = flat(&vit.embed(&images).unwrap());
    let one = flat(&vit.embed(&images.narrow(0, 1, 1).unwrap()).unwrap());
    assert_eq!(all[6..12], one[..]);
    let mut values = flat(&images);
    values[3 * 64 + 5] = f32::NAN;
    let spoiled = flat(&vit.embed(&Tensor::from_vec(values, (3, 3, 8, 8), &Device::Cpu).unwrap()).unwrap());
    assert!(spoiled[6..12].iter().all(|v| v.is_nan()));
    assert_eq!((&spoiled[..6], &spoiled[12..]), (&all[..6], &all[12..]));
}

#[test]
fn known_sizes() {
    // timm's vit_small_patch16_224 and torchvision's vit_b_16, without their classifiers.
    let weights = |config: ViTConfig| -> usize {
        ViT::new(config, &mut ChaCha8Rng::seed_from_u64(1)).unwrap().parameters().iter().map(|p| p.values.len()).sum()
    };
    assert_eq!(weights(ViTConfig::small(224, 16)), 21_665_664);
    assert_eq!(ViTConfig { width: 768, heads: 12, hidden: 3072, ..ViTConfig::small(224, 16) }.weights(), 85_798_656);
}

#[test]
fn sizes_that_do_not_fit_are_refused_before_memory_is_taken() {
    let huge = usize::MAX / 2;
    for config in [
        ViTConfig { size: 9, ..TINY },
        ViTConfig { patch: 0, ..TINY },
        ViTConfig { size: 0, ..TINY },
        ViTConfig { heads: 4, ..TINY },
        ViTConfig { heads: 0, ..TINY },
        ViTConfig { width: 0, ..TINY },
        ViTConfig { hidden: 0, ..TINY },
        ViTConfig { blocks: 0, ..TINY },
        ViTConfig { blocks: huge, ..TINY },
        ViTConfig { width: huge, heads: 1, ..TINY },
        ViTConfig { size: huge, patch: 1, ..TINY },
        ViTConfig { size: 4096, patch: 1, width: 4096, heads: 1, ..TINY },
    ] {
        let refused = ViT::new(config, &mut ChaCha8Rng::seed_from_u64(1));
        assert!(matches!(refused, Err(TensorError::Shape { .. })), "{config:?}");
    }
    let mut vit = moved(TINY);
    for shape in [&[1, 3, 8, 9][..], &[1, 1, 8, 8], &[0, 3, 8, 8], &[1, 3, 0, 8], &[3, 8, 8]] {
        let images = Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(matches!(vit.forward(&images), Err(TensorError::Shape { .. })), "{shape:?}");
    }
    assert!(matches!(vit.backward(&tensor(&[1, 6], 1)), Err(TensorError::NoSavedState("ViT"))));
    vit.forward(&tensor(&[2, 3, 8, 8], 1)).unwrap();
    assert!(matches!(vit.backward(&tensor(&[1, 6], 1)), Err(TensorError::Shape { .. })));
}
