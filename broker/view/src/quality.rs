//! Weights of what somebody prefers (RFC 9110, section 12.4.2).

/// A weight of at most three decimals in thousandths: `0.25` is 250. None if the text is no
/// number from 0 to 1 of that form.
pub fn thousandths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction: u32 = if digits { format!("{fraction:0<3}").parse().ok()? } else { return None };
    match (whole, fraction) {
        ("0", _) => Some(fraction),
        ("1", 0) => Some(1000),
        _ => None,
    }
}
