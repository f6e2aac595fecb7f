//! Matrix product, layer norm, softmax and GELU on plain slices, in the widest vectors there are.
//!
//! Everything is inlined into one `pulp` dispatch, which picks AVX-512, AVX2 or scalar code when the
//! program starts; no unsafe code is needed here. Sums run in a fixed order, so that the same input
//! gives the same bits on the same machine.

use pulp::Simd;

/// Columns of a panel: weights are stored as `[panel][depth][PANEL]`, the last panel filled with 0.
pub(super) const PANEL: usize = 16;

/// Rows of numbers, of which the columns from `first` on are read.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) data: &'a [f32],
    pub(super) stride: usize,
    pub(super) first: usize,
}

impl<'a> Rows<'a> {
    fn iter(self) -> impl Iterator<Item = &'a [f32]> {
        self.data.chunks_exact(self.stride).map(move |row| row.get(self.first..).unwrap_or_default())
    }
}

/// A matrix in panels: `depth` rows, `columns` columns.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a> {
    pub(super) data: &'a [f32],
    pub(super) depth: usize,
    pub(super) columns: usize,
}

/// Panels that hold the row-major matrix `w` of `columns` columns.
pub(super) fn pack(w: &[f32], columns: usize) -> Vec<f32> {
    let mut packed = Vec::new();
    for first in (0..columns).step_by(PANEL) {
        for row in w.chunks_exact(columns) {
            let cells = row.get(first..).unwrap_or_default();
            packed.extend(cells.iter().copied().chain(std::iter::repeat(0.0)).take(PANEL));
        }
    }
    packed
}

/// Multiplies `rows` by `w` and hands every stretch of a result row to `emit` as (row, first column, values).
#[inline(always)]
pub(super) fn matmul<S: Simd>(
    simd: S,
    rows: Rows<'_>,
    w: Panels<'_>,
    scratch: &mut Vec<f32>,
    emit: impl FnMut(usize, usize, &[f32]),
) {
    // As many sums as fit the registers: rows x 2 panels x vectors of a panel.
    match S::F32_LANES {
        16 => blocks::<S, 8, 1>(simd, rows, w, scratch, emit),
        8 => blocks::<S, 3, 2>(simd, rows, w, scratch, emit),
        4 => blocks::<S, 3, 4>(simd, rows, w, scratch, emit),
        _ => blocks::<S, 2, 16>(simd, rows, w, scratch, emit),
    }
}

#[inline(always)]
fn blocks<S: Simd, const R: usize, const V: usize>(
    simd: S,
    rows: Rows<'_>,
    w: Panels<'_>,
    scratch: &mut Vec<f32>,
    mut emit: impl FnMut(usize, usize, &[f32]),
) {
    let mut rows = rows.iter().peekable();
    let mut first_row = 0;
    while rows.peek().is_some() {
        scratch.clear();
        scratch.resize(w.depth * R, 0.0);
        let mut taken = 0;
        for row in rows.by_ref().take(R) {
            for (group, value) in scratch.chunks_exact_mut(R).zip(row) {
                if let Some(cell) = group.get_mut(taken) {
                    *cell = *value;
                }
            }
            taken += 1;
        }
        let (x, _) = scratch.as_chunks::<R>();
        let panel = w.depth * PANEL;
        for (pair, data) in w.data.chunks(2 * panel).enumerate() {
            let column = pair * 2 * PANEL;
            let (left, right) = data.split_at(panel);
            let right = if right.is_empty() { left } else { right };
            let sums = block::<S, R, V>(simd, x, left, right);
            let width = (w.columns - column).min(2 * PANEL);
            for (row, sums) in sums.iter().take(taken).enumerate() {
                let mut values = [0f32; 2 * PANEL];
                let (vectors, _) = S::as_mut_simd_f32s(&mut values);
                for (to, from) in vectors.iter_mut().zip(sums.iter().flatten()) {
                    *to = *from;
                }
                emit(first_row + row, column, values.get(..width).unwrap_or_default());
            }
        }
        first_row += taken;
    }
}

/// `R` rows by two panels; all sums stay in registers.
#[inline(always)]
fn block<S: Simd, const R: usize, const V: usize>(
    simd: S,
    x: &[[f32; R]],
    left: &[f32],
    right: &[f32],
) -> [[[S::f32s; V]; 2]; R] {
    let mut sums = [[[simd.splat_f32s(0.0); V]; 2]; R];
    let (left, _) = S::as_simd_f32s(left);
    let (right, _) = S::as_simd_f32s(right);
    let (left, _) = left.as_chunks::<V>();
    let (right, _) = right.as_chunks::<V>();
    for ((x, left), right) in x.iter().zip(left).zip(right) {
        for (sums, x) in sums.iter_mut().zip(x) {
            let x = simd.splat_f32s(*x);
            for (sums, w) in sums.iter_mut().zip([left, right]) {
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum = simd.mul_add_e_f32s(x, *w, *sum);
                }
            }
        }
    }
    sums
}

/// Sum of a row in 16 running sums, because float sums do not vectorise by themselves.
#[inline(always)]
fn sum(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = row.as_chunks::<PANEL>();
    let mut sums = [0f32; PANEL];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += of(*value);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|value| of(*value)).sum::<f32>()
}

/// Layer norm of one row (biased variance, epsilon 1e-5) into `out`.
#[inline(always)]
pub(super) fn norm(row: &[f32], gain: &[f32], bias: &[f32], out: &mut [f32]) {
    let count = row.len() as f32;
    let mean = sum(row, |value| value) / count;
    let variance = sum(row, |value| (value - mean) * (value - mean)) / count;
    let scale = 1.0 / (variance + 1e-5).sqrt();
    for (((out, value), gain), bias) in out.iter_mut().zip(row).zip(gain).zip(bias) {
        *out = (value - mean) * scale * gain + bias;
    }
}

/// Softmax of one row in place, scaled first.
#[inline(always)]
pub(super) fn softmax(row: &mut [f32], scale: f32) {
    let top = row.iter().fold(f32::NEG_INFINITY, |top, value| top.max(*value)) * scale;
    for value in row.iter_mut() {
        *value = exp(*value * scale - top);
    }
    let total = 1.0 / sum(row, |value| value);
    for value in row.iter_mut() {
        *value *= total;
    }
}

/// GELU in its tanh form: x times the logistic of twice the inner term.
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    let inner = 1.595_769 * x * (1.0 + 0.044_715 * x * x);
    x / (1.0 + exp(-inner))
}

/// e^x to about 1e-7 of its value, without branches: 2^n by the exponent bits, the rest by a polynomial.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let rest = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let poly = [1.988e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5]
        .into_iter()
        .fold(0.0, |sum, coefficient| sum * rest + coefficient);
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127).wrapping_shl(23));
    (poly * rest * rest + rest + 1.0) * power
}
