//! The compute floor of radio-ssl: NHWC kernels with backward, the ResNet trunk, Adam, schedules, checkpoints.
