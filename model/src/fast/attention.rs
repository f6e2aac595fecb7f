//! Attention of a pass: for each sequence and head, the kernel's matrix product on keys and values
//! that are put into panels on the way.

use pulp::Simd;

use super::Scratch;
use super::kernel::{PANEL, Panels, Rows, matmul, softmax};

/// The heads of a layer.
#[derive(Clone, Copy)]
pub(super) struct Heads {
    pub(super) count: usize,
    pub(super) width: usize,
}

/// Attention of each sequence's queries over its own rows, into `mixed`.
#[inline(always)]
pub(super) fn attend<S: Simd>(simd: S, s: &mut Scratch, heads: Heads) {
    let width = heads.count * heads.width;
    let scale = 1.0 / (heads.width as f32).sqrt();
    s.mixed.resize(s.query.len(), 0.0);
    let (mut query, mut mixed, mut key_value) = (s.query.as_slice(), s.mixed.as_mut_slice(), s.key_value.as_slice());
    for span in &s.spans {
        let (here, behind) = query.split_at(span.wanted * width);
        let (out, out_behind) = mixed.split_at_mut(span.wanted * width);
        let (kv, kv_behind) = key_value.split_at(span.rows * 2 * width);
        (query, mixed, key_value) = (behind, out_behind, kv_behind);
        for head in 0..heads.count {
            let first = head * heads.width;
            pack_keys(kv, 2 * width, first, heads.width, &mut s.keys);
            pack_values(kv, 2 * width, width + first, heads.width, &mut s.values);
            s.scores.resize(span.wanted * span.rows, 0.0);
            let scores = &mut s.scores;
            let keys = Panels { data: &s.keys, depth: heads.width, columns: span.rows };
            matmul(simd, Rows { data: here, stride: width, first }, keys, &mut s.pack, |row, column, values| {
                let out = scores.get_mut(row * span.rows + column..).unwrap_or_default();
                out.iter_mut().zip(values).for_each(|(out, value)| *out = *value);
            });
            for row in scores.chunks_exact_mut(span.rows.max(1)) {
                softmax(row, scale);
            }
            let values = Panels { data: &s.values, depth: span.rows, columns: heads.width };
            matmul(
                simd,
                Rows { data: scores, stride: span.rows, first: 0 },
                values,
                &mut s.pack,
                |row, column, values| {
                    let out = out.get_mut(row * width + first + column..).unwrap_or_default();
                    out.iter_mut().zip(values).for_each(|(out, value)| *out = *value);
                },
            );
        }
    }
}

/// The keys of one head, transposed into panels.
#[inline(always)]
fn pack_keys(kv: &[f32], stride: usize, first: usize, depth: usize, out: &mut Vec<f32>) {
    let rows = kv.len() / stride;
    out.clear();
    out.resize(rows.div_ceil(PANEL) * depth * PANEL, 0.0);
    for (panel, rows) in out.chunks_exact_mut(depth * PANEL).zip(kv.chunks(PANEL * stride)) {
        for (lane, row) in rows.chunks_exact(stride).enumerate() {
            let values = row.get(first..first + depth).unwrap_or_default();
            for (group, value) in panel.chunks_exact_mut(PANEL).zip(values) {
                if let Some(cell) = group.get_mut(lane) {
                    *cell = *value;
                }
            }
        }
    }
}

/// The values of one head in panels.
#[inline(always)]
fn pack_values(kv: &[f32], stride: usize, first: usize, columns: usize, out: &mut Vec<f32>) {
    out.clear();
    for column in (0..columns).step_by(PANEL) {
        for row in kv.chunks_exact(stride) {
            let end = (first + column + PANEL).min(first + columns);
            let values = row.get(first + column..end).unwrap_or_default();
            out.extend_from_slice(values);
            out.resize(out.len() + PANEL - values.len(), 0.0);
        }
    }
}
