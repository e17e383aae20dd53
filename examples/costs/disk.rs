//! Reads of the disk, past the page cache where that can be had (`O_DIRECT`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use super::machine::Random;
use crate::talk_parts::cache;

const SIZE: u64 = 64 << 20;
const BLOCK: usize = 4096;

/// A file that is there for a while.
pub(crate) struct Disk {
    file: File,
    direct: bool,
}

/// Memory that the disk can write to by itself.
#[repr(align(4096))]
struct Room([u8; BLOCK]);

impl Disk {
    pub(crate) fn new(folder: &Path) -> Result<Disk, String> {
        let path = folder.join(format!("greenlet-costs-{}", std::process::id()));
        let made = Disk::make(&path);
        // It is there for as long as it is open, however this program ends.
        let _ = fs::remove_file(&path);
        made.map_err(|error| format!("{}: {error}", path.display()))
    }

    fn make(path: &Path) -> io::Result<Disk> {
        let mut file = File::create_new(path)?;
        // Not zeros: some disks know those by heart.
        let block: Vec<u8> = (0..1_u32 << 18)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        for _ in 0..SIZE / block.len() as u64 {
            file.write_all(&block)?;
        }
        cache::drop_cache(&file)?;
        let (direct, file) = match open(path, true) {
            Ok(file) if file.read_at(&mut Room([0; BLOCK]).0, 0).is_ok() => (true, file),
            _ => (false, open(path, false)?),
        };
        Ok(Disk { file, direct })
    }

    pub(crate) fn is_direct(&self) -> bool {
        self.direct
    }

    /// Reads so many blocks, in no order.
    pub(crate) fn read(&self, count: u64) -> io::Result<f64> {
        if !self.direct {
            cache::drop_cache(&self.file)?;
        }
        let (mut room, mut random) = (Room([0; BLOCK]), Random(1));
        let begin = Instant::now();
        for _ in 0..count {
            let block = random.below(SIZE / BLOCK as u64);
            self.file.read_exact_at(&mut room.0, block * BLOCK as u64)?;
        }
        Ok(begin.elapsed().as_secs_f64())
    }
}

#[cfg_attr(not(target_os = "linux"), allow(unused_variables))]
fn open(path: &Path, direct: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(target_os = "linux")]
    if direct {
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_DIRECT);
    }
    options.read(true).open(path)
}
