//! Frames: lengths are refused before anything is allocated, and the cut of the stream does not matter.

use nms_proto::frame::{Direction, FrameError, FrameReader, frame};
use nms_proto::limits::FRAME_BYTES_MAX;
use proptest::prelude::*;

fn framed(payload: &[u8]) -> Vec<u8> {
    frame(|out| {
        out.extend_from_slice(payload);
        Ok::<(), ()>(())
    })
    .unwrap()
}

#[test]
fn refuses_lengths_outside_the_limits() {
    let first = |length: u32| {
        let mut reader = FrameReader::new(Direction::Upward);
        reader.push(&length.to_be_bytes());
        reader.next_frame().map(|frame| frame.map(<[u8]>::len))
    };
    let max = u32::try_from(FRAME_BYTES_MAX).unwrap();
    assert_eq!(first(0), Err(FrameError::Empty));
    assert_eq!(first(1), Ok(None));
    assert_eq!(first(max), Ok(None));
    for length in [max + 1, 1 << 31, u32::MAX] {
        assert_eq!(first(length), Err(FrameError::TooLong { length, max: FRAME_BYTES_MAX }));
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same_frames(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..8),
        cuts in proptest::collection::vec(1usize..50, 1..40),
    ) {
        let bytes: Vec<u8> = payloads.iter().flat_map(|payload| framed(payload)).collect();
        let mut reader = FrameReader::new(Direction::Upward);
        let mut got = Vec::new();
        let mut rest = bytes.as_slice();
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let (head, tail) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            reader.push(head);
            while let Some(frame) = reader.next_frame().unwrap() {
                got.push(frame.to_vec());
            }
            rest = tail;
        }
        prop_assert_eq!(got, payloads);
        prop_assert!(reader.is_at_boundary());
    }
}
