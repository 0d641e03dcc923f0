//! The checksum of pages and of the manifest: CRC-32C (Castagnoli), as of RFC 3720, appendix B.4.

/// The checksum of several pieces of bytes, one after the other.
pub(crate) fn crc32c(pieces: &[&[u8]]) -> u32 {
    pieces.iter().fold(0, |sum, piece| ::crc32c::crc32c_append(sum, piece))
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
