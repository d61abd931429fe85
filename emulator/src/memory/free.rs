//! Which frames are free.
//!
//! Free frames are kept by block, so that a whole block that has become free can be handed out whole, and so that frames
//! handed out one after the other are neighbours where that is possible: neighbours can be mapped together.

use super::BLOCK;

const WORDS: usize = BLOCK as usize / 64;

/// The free frames of one block.
#[derive(Clone, Copy, Default)]
struct Block {
    bits: [u64; WORDS],
    count: u32,
    /// It is in the list of those that may have some.
    listed: bool,
}

/// All free frames that have been handed out before.
#[derive(Default)]
pub(super) struct Free {
    blocks: Vec<Block>,
    /// Every block that has free frames, and some that have none any more.
    some: Vec<u32>,
    count: u32,
}

impl Free {
    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// One more.
    pub(super) fn give(&mut self, number: u32) {
        let index = number / BLOCK;
        if self.blocks.len() <= index as usize {
            self.blocks.resize(index as usize + 1, Block::default());
        }
        let block = &mut self.blocks[index as usize];
        block.bits[(number % BLOCK / 64) as usize] |= 1 << (number % 64);
        block.count += 1;
        self.count += 1;
        if !block.listed {
            block.listed = true;
            self.some.push(index);
        }
    }

    /// One less: the first of a block.
    pub(super) fn take(&mut self) -> Option<u32> {
        while let Some(&index) = self.some.last() {
            let block = &mut self.blocks[index as usize];
            if let Some(word) = block.bits.iter().position(|word| *word != 0) {
                let bit = block.bits[word].trailing_zeros();
                block.bits[word] &= block.bits[word] - 1;
                block.count -= 1;
                self.count -= 1;
                return Some(index * BLOCK + word as u32 * 64 + bit);
            }
            block.listed = false;
            self.some.pop();
        }
        None
    }

    /// A whole block less: the number of its first frame.
    pub(super) fn take_block(&mut self) -> Option<u32> {
        let index = self.blocks.iter().position(|block| block.count == BLOCK)?;
        let block = &mut self.blocks[index];
        (block.bits, block.count) = ([0; WORDS], 0);
        self.count -= BLOCK;
        Some(index as u32 * BLOCK)
    }
}
