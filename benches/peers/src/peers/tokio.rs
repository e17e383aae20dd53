//! `tokio` with its current_thread runtime: as bare as the question allows, as what looks after
//! sockets and timers costs the scheduler something.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, mpsc};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::clock::{Cost, Meter};
use crate::remote::{Partner, warm_up};
use crate::skynet::BRANCHES;
use crate::timers::milliseconds;

pub fn yield_(tasks: usize, count: u64) -> Result<f64> {
    let turns = count / tasks as u64;
    let round = async {
        let meter = Meter::start();
        let tasks = (0..tasks).map(|_| {
            tokio::spawn(async move {
                for _ in 0..turns {
                    yield_now().await;
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await?;
        }
        Ok(meter.cost_of_each(count).cpu)
    };
    bare()?.block_on(round)
}

pub fn spawn(at_once: usize, count: u64) -> Result<f64> {
    let round = async {
        let meter = Meter::start();
        let mut tasks = Vec::with_capacity(at_once);
        for _ in 0..count / at_once as u64 {
            tasks.extend((0..at_once).map(|_| tokio::spawn(async {})));
            for task in tasks.drain(..) {
                task.await?;
            }
        }
        Ok(meter.cost_of_each(count).cpu)
    };
    bare()?.block_on(round)
}

pub fn remote(core: usize, count: u64) -> Result<Cost> {
    bare()?.block_on(trips(core, count))
}

/// The same in a runtime that also looks after a socket.
pub fn remote_of_a_server(core: usize, count: u64) -> Result<Cost> {
    runtime()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = tokio::spawn(async move { listener.accept().await.map(drop) });
        let cost = trips(core, count).await;
        server.abort();
        cost
    })
}

fn trips(core: usize, count: u64) -> impl Future<Output = Result<Cost>> {
    let home = Arc::new(Notify::new());
    let partner = Partner::new(core, {
        let home = home.clone();
        move || home.notify_one()
    });
    async move {
        let trips = async |count| {
            for _ in 0..count {
                partner.ask();
                home.notified().await;
            }
        };
        trips(warm_up(count)).await;
        let meter = Meter::start();
        trips(count).await;
        Ok(meter.cost_of_each(count))
    }
}

pub fn timers(count: u64) -> Result<f64> {
    let round = async {
        let meter = Meter::start();
        let tasks = milliseconds(count).map(|ms| tokio::spawn(sleep(Duration::from_millis(ms))));
        for task in tasks.collect::<Vec<_>>() {
            task.await?;
        }
        Ok(meter.cost_of_each(count).cpu)
    };
    Builder::new_current_thread()
        .enable_time()
        .build()?
        .block_on(round)
}

pub fn skynet(leaves: u64) -> Result<u64> {
    bare()?.block_on(async {
        let (up, mut root) = mpsc::channel(1);
        tokio::spawn(node(0, leaves, up));
        root.recv().await.context("no sum")
    })
}

/// Boxed, as it is within itself.
fn node(
    number: u64,
    leaves: u64,
    up: mpsc::Sender<u64>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if leaves == 1 {
            let _ = up.send(number).await;
            return;
        }
        let (sender, mut sums) = mpsc::channel(BRANCHES as usize);
        let part = leaves / BRANCHES;
        for branch in 0..BRANCHES {
            tokio::spawn(node(number + branch * part, part, sender.clone()));
        }
        drop(sender);
        let mut sum = 0;
        while let Some(part) = sums.recv().await {
            sum += part;
        }
        let _ = up.send(sum).await;
    })
}

pub fn echo() -> Result<()> {
    runtime()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            // A connection that breaks is no concern of the others.
            tokio::spawn(echo_back(stream));
        }
    })
}

async fn echo_back(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

fn bare() -> Result<Runtime> {
    Ok(Builder::new_current_thread().build()?)
}

/// The runtime of a server.
pub fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}
