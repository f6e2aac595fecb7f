//! Bytes read as a script: what to do, with which numbers and texts.

/// What is left of the bytes. Nothing is refused: where they end, everything is 0 or empty.
pub(crate) struct Script<'a>(pub(crate) &'a [u8]);

impl<'a> Script<'a> {
    /// The next step; none at the end.
    pub(crate) fn step(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.step().unwrap_or_default()
    }

    /// A number: mostly a small one, at times one near a border.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            byte @ 0..0xc0 => byte.into(),
            0xc0 => u64::MAX,
            0xc1 => u64::MAX - u64::from(self.byte()),
            0xc2 => i64::MAX as u64 - u64::from(self.byte()),
            0xc3 => u32::MAX.into(),
            byte => {
                let few = usize::from(byte % 8) + 1;
                (0..few).fold(0, |number, _| number << 8 | u64::from(self.byte()))
            }
        }
    }

    /// So many bytes, or what is there.
    pub(crate) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        head
    }

    /// A text behind its length.
    pub(crate) fn text(&mut self) -> String {
        let count = usize::from(self.byte());
        String::from_utf8_lossy(self.bytes(count)).into_owned()
    }
}

/// Lengths of pieces to cut a stream into: always the same for the same bytes.
pub(crate) struct Cuts(u64);

impl Cuts {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64(bytes))
    }

    /// The next length, from 1 on: many of a byte or few, some of hundreds.
    pub(crate) fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let draw = (self.0 >> 33) as usize;
        if draw.is_multiple_of(4) { 1 + draw / 4 % 700 } else { 1 + draw / 4 % 9 }
    }

    /// `bytes` in pieces.
    pub(crate) fn pieces(mut self, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut rest = bytes;
        std::iter::from_fn(move || {
            let (head, tail) = rest.split_at(self.next().min(rest.len()));
            rest = tail;
            (!head.is_empty()).then_some(head)
        })
    }
}

/// Bytes in which `0xf5 n` stands for `n` times 256 bytes `x`: a short input that reaches the bounds of long ones.
pub(crate) fn swollen(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut script = Script(bytes);
    while let Some(byte) = script.step() {
        if byte == 0xf5 && out.len() < 1 << 20 {
            out.resize(out.len() + 256 * usize::from(script.byte()), b'x');
        } else {
            out.push(byte);
        }
    }
    out
}
