//! The classification experiments of the paper (its section 3, Figs. 4 to 7) and one on its views, each a command and a page.
//!
//! All of them share their stages: a sky, cutouts, pre-trained encoders, features, predictions. Each stage stands in a folder
//! named after the SHA-256 of everything it depends on ([`stage_store`]), so what one figure has made the next one finds, and a
//! killed run continues.
//!
//! Reading order: [`settings`], every number; [`labelled`] and [`pools`], what is classified and what is learnt from; [`encoders`],
//! [`frozen`], [`linear_heads`], [`label_shares`], from pre-training to predictions; [`over_sets`], scores with intervals;
//! [`claims`], what the paper says and whether it holds; [`experiment`], all of it together; then [`fig4`] to [`fig7`] and [`views`].
//!
//! **Protocol.** Frozen features are the mean over the four quarter turns, batch norm knows the labelled cutouts (no label is read
//! for that), and a multinomial logistic regression is the head: the paper trains one dense layer with softmax for 30 epochs on the
//! same features, which is that regression not fitted to its end. Sets are balanced and share no piece of sky between their halves.
pub mod claims;
pub mod encoders;
pub mod experiment;
pub mod fig4;
pub mod fig5;
pub mod fig6;
pub mod fig7;
pub mod frozen;
pub mod label_shares;
pub mod labelled;
pub mod linear_heads;
pub mod map_quality;
pub mod over_sets;
pub mod pages;
pub mod pools;
pub mod settings;
pub mod stage_store;
pub mod views;

pub use settings::FigureOptions;
