//! The checksum of pages and of the manifest: CRC-32C (Castagnoli), as of RFC 3720, appendix B.4.

/// The polynomial, its bits in reverse.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// What eight bytes at a time are looked up in: how a byte changes the checksum, with so many bytes
/// behind it.
static TABLES: [[u32; 256]; 8] = tables();

#[expect(clippy::indexing_slicing, reason = "an index out of bounds would not compile here")]
const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0_u32; 256]; 8];
    let mut byte = 0_u32;
    while byte < 256 {
        let mut value = byte;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        tables[0][byte as usize] = value;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut at = 0;
        while at < 256 {
            let before = tables[table - 1][at];
            tables[table][at] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            at += 1;
        }
        table += 1;
    }
    tables
}

/// The checksum of several pieces of bytes, one after the other.
pub(crate) fn crc32c(pieces: &[&[u8]]) -> u32 {
    let [t0, t1, t2, t3, t4, t5, t6, t7] = &TABLES;
    let mut sum = u32::MAX;
    for piece in pieces {
        let (words, rest) = piece.as_chunks::<8>();
        for [a, b, c, d, e, f, g, h] in words {
            let [first, second, third, fourth] = sum.to_le_bytes();
            sum = look(t7, a ^ first)
                ^ look(t6, b ^ second)
                ^ look(t5, c ^ third)
                ^ look(t4, d ^ fourth)
                ^ look(t3, *e)
                ^ look(t2, *f)
                ^ look(t1, *g)
                ^ look(t0, *h);
        }
        for byte in rest {
            let [low, ..] = sum.to_le_bytes();
            sum = (sum >> 8) ^ look(t0, low ^ byte);
        }
    }
    !sum
}

fn look(table: &[u32; 256], byte: u8) -> u32 {
    table.get(usize::from(byte)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32c(&[b""]), 0);
        assert_eq!(crc32c(&[b"123456789"]), 0xe306_9283);
        assert_eq!(crc32c(&[&[0; 32]]), 0x8a91_36aa);
        assert_eq!(crc32c(&[&[0xff; 32]]), 0x62a8_ab43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&[&ascending]), 0x46dd_794e);
        assert_eq!(crc32c(&[&ascending[..5], &ascending[5..]]), 0x46dd_794e);
    }
}
