//! Lines that are handed on without being copied: each is a place in a block that they share.

use std::io::{self, Read};
use std::ops::Deref;
use std::rc::Rc;

use memchr::memchr;

use super::weblog::{Block, Blocks, bare};

/// A line without its end.
pub(crate) struct Text {
    block: Rc<Block>,
    begin: u32,
    end: u32,
}

impl Deref for Text {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.block[self.begin as usize..self.end as usize]
    }
}

/// Gives each line to `what`. One that is too long comes as an empty one, which is as broken.
pub(crate) fn each<R: Read>(mut blocks: Blocks<R>, mut what: impl FnMut(Text)) -> io::Result<()> {
    let mut block = Rc::new(Block::new());
    loop {
        // If somebody keeps a line, the block is kept as well, and there is a new one.
        if Rc::get_mut(&mut block).is_none() {
            block = Rc::new(Block::new());
        }
        let free = Rc::get_mut(&mut block).expect("it is new, or nobody has a line of it");
        if !blocks.fill(free)? {
            break;
        }
        let mut begin = 0;
        while begin < block.len() {
            let rest = &block[begin..];
            let length = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let end = begin + bare(&rest[..length]).len();
            what(text(&block, begin, end));
            begin += length;
        }
    }
    (0..blocks.too_long).for_each(|_| what(text(&block, 0, 0)));
    Ok(())
}

fn text(block: &Rc<Block>, begin: usize, end: usize) -> Text {
    Text {
        block: Rc::clone(block),
        begin: begin as u32,
        end: end as u32,
    }
}
