//! Absolute IRIs, as identifiers use them.

/// Whether the text is an absolute IRI (RFC 3987) of characters that a person can see. RFC 3987
/// allows letters that look like nothing, with which two identifiers would look the same.
pub(crate) fn is_absolute(text: &str) -> bool {
    oxiri::Iri::parse(text).is_ok() && (text.is_ascii() || !text.chars().any(is_invisible))
}

/// Spaces, controls, and what is drawn as nothing: formatting characters, fillers, variation
/// selectors, tags.
fn is_invisible(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(
            character,
            '\u{AD}'
                | '\u{34F}'
                | '\u{61C}'
                | '\u{115F}'..='\u{1160}'
                | '\u{17B4}'..='\u{17B5}'
                | '\u{180B}'..='\u{180F}'
                | '\u{200B}'..='\u{200F}'
                | '\u{202A}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{FE00}'..='\u{FE0F}'
                | '\u{FEFF}'
                | '\u{FFA0}'
                | '\u{FFF0}'..='\u{FFFB}'
                | '\u{1BCA0}'..='\u{1BCA3}'
                | '\u{1D173}'..='\u{1D17A}'
                | '\u{E0000}'..='\u{E0FFF}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_and_visible_iris_are_accepted() {
        for text in [
            "urn:ngsi-ld:Shelter:1",
            "https://example.org/a#b",
            "urn:ngsi-ld:Ciudad:París",
            "urn:避難所:1",
        ] {
            assert!(is_absolute(text), "{text}");
        }
        for text in ["", "Shelter 4", "/a", "thisisaninvaliduri", "urn:a b", "urn:a<b"] {
            assert!(!is_absolute(text), "{text}");
        }
        let hidden = [
            0x202E, 0x200B, 0xFEFF, 0x2028, 0xA0, 0x3C, 0xFE0F, 0xE0100, 0xFDD0, 0xFFFE, 0x115F,
            0x3164, 0xFFA0, 0x2800,
        ];
        for code in hidden {
            let text = format!("urn:ngsi-ld:Vehicle:A{}B", char::from_u32(code).unwrap());
            assert!(!is_absolute(&text), "U+{code:X}");
        }
    }
}
