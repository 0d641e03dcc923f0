//! From bytes to text: UTF-8, or the `Shift_JIS` that Windows writes.

use musubi_adapter_kit::Encoding;

/// The text of a file; without a text, a sentence that says where the bytes are of no encoding.
pub(crate) fn decode(bytes: &[u8], encoding: Encoding) -> Result<String, String> {
    let bare = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let utf8 = std::str::from_utf8(bare);
    match (encoding, utf8) {
        (Encoding::Auto | Encoding::Utf8, Ok(text)) => Ok(text.to_owned()),
        (Encoding::Utf8, Err(error)) => {
            Err(format!("byte {} is not UTF-8", error.valid_up_to() + 1))
        }
        (Encoding::Auto, Err(_)) | (Encoding::ShiftJis, _) => shift_jis(bare),
    }
}

fn shift_jis(bytes: &[u8]) -> Result<String, String> {
    let (text, _, damaged) = encoding_rs::SHIFT_JIS.decode(bytes);
    if !damaged {
        return Ok(text.into_owned());
    }
    let line = text.lines().position(|line| line.contains('\u{FFFD}')).map_or(1, |index| index + 1);
    Err(format!("line {line} has bytes that are neither UTF-8 nor Shift_JIS"))
}
