//! The shell of what is looked at again and again: a thread that looks, hands over, waits.
//!
//! The pause is counted from the end of a look, so that a slow host is not looked at all the time. While the core takes
//! nothing the look waits with it, and what began and ended meanwhile is missed as between any two looks.

use std::io;

use nms_kit::{
    clock,
    intake::{Closed, Sender},
    task::Tasks,
};
use nms_proto::id::EndpointId;

use crate::{moment::Now, portion::Portion};

/// Looks at once, and then `interval_ms` after each look, on a thread called `name` until the stop.
///
/// # Errors
/// The thread cannot be started.
pub fn start(
    name: &'static str,
    interval_ms: u64,
    tasks: &Tasks,
    (sender, source): (Sender, EndpointId),
    mut look: impl FnMut(Now) -> Portion + Send + 'static,
) -> io::Result<()> {
    let stop = tasks.stop().clone();
    tasks.thread(name, move || {
        while !stop.is_requested() {
            let portion = look(Now::read());
            if portion.messages() > 0 || !portion.lost.is_empty() {
                let sent = smol::block_on(stop.or(sender.send(portion.into_chunk(&source))));
                if let Some(Err(Closed)) = sent {
                    log::debug!("nothing is looked at any more: the core has ended collector={name}");
                    return;
                }
            }
            smol::block_on(stop.or(clock::pause(interval_ms)));
        }
    })
}
