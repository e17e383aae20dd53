//! Two threads of the system that park and unpark each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Result;

use crate::clock::{Cost, Meter};
use crate::remote::{Partner, warm_up};

pub fn remote(core: usize, count: u64) -> Result<Cost> {
    let here = thread::current();
    let answered = Arc::new(AtomicBool::new(false));
    let partner = Partner::new(core, {
        let answered = answered.clone();
        move || {
            answered.store(true, Ordering::Release);
            here.unpark();
        }
    });
    let trips = |count| {
        for _ in 0..count {
            partner.ask();
            while !answered.swap(false, Ordering::Acquire) {
                thread::park();
            }
        }
    };
    trips(warm_up(count));
    let meter = Meter::start();
    trips(count);
    Ok(meter.cost_of_each(count))
}
