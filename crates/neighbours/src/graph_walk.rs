//! The walk through a graph towards a query: from row to linked row, always on from the nearest one not yet left.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::graph::Graph;

/// A row and how far it is, ordered by distance and then by number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Near {
    /// Squared distance of the copies in `f32`.
    pub squared: f32,
    pub row: u32,
}

impl Ord for Near {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.squared.total_cmp(&other.squared).then(self.row.cmp(&other.row))
    }
}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Near {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Near {}

/// What a walk needs to remember, kept from one walk to the next.
pub(crate) struct Walk {
    /// In which walk each row was last seen.
    seen: Vec<u32>,
    now: u32,
}

impl Walk {
    pub fn new(rows: usize) -> Self {
        Self { seen: vec![0; rows], now: 0 }
    }

    /// The `width` nearest rows that the walk meets on a layer, ascending (algorithm 2).
    pub fn search(&mut self, graph: &Graph, layer: usize, query: &[f32], from: &[Near], width: usize) -> Vec<Near> {
        if self.now == u32::MAX {
            self.seen.fill(0);
            self.now = 0;
        }
        self.now += 1;
        let mut ahead: BinaryHeap<Reverse<Near>> = BinaryHeap::new();
        let mut nearest: BinaryHeap<Near> = BinaryHeap::with_capacity(width + 1);
        for &start in from {
            self.seen[start.row as usize] = self.now;
            ahead.push(Reverse(start));
            nearest.push(start);
        }
        while nearest.len() > width {
            nearest.pop();
        }
        while let Some(Reverse(here)) = ahead.pop() {
            let full = nearest.len() >= width;
            if full && nearest.peek().is_some_and(|farthest| here > *farthest) {
                break;
            }
            for &row in graph.links(layer, here.row) {
                let seen = &mut self.seen[row as usize];
                if *seen == self.now {
                    continue;
                }
                *seen = self.now;
                let near = Near { squared: graph.points.near(query, row), row };
                if nearest.len() < width || nearest.peek().is_some_and(|farthest| near < *farthest) {
                    ahead.push(Reverse(near));
                    nearest.push(near);
                    if nearest.len() > width {
                        nearest.pop();
                    }
                }
            }
        }
        nearest.into_sorted_vec()
    }
}
