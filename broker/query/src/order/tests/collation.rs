//! Texts under collations, as their readers expect them.

use super::*;

/// The texts in the order of a collation; those that stand equal stay as they are.
fn sorted_by(tag: &str, texts: &[&str]) -> Vec<String> {
    let collation = Collation::parse(tag).unwrap();
    let mut keyed: Vec<_> = texts.iter().map(|text| (collation.key(text), *text)).collect();
    keyed.sort_by(|(one, _), (other, _)| one.cmp(other));
    keyed.into_iter().map(|(_, text)| text.to_owned()).collect()
}

fn check(tag: &str, expected: &[&str]) {
    let mut backwards = expected.to_vec();
    backwards.reverse();
    assert_eq!(sorted_by(tag, &backwards), expected, "{tag}");
}

fn are_equal(tag: &str, one: &str, other: &str) -> bool {
    let collation = Collation::parse(tag).unwrap();
    collation.key(one) == collation.key(other)
}

#[test]
fn the_default_is_the_order_of_the_root() {
    assert_eq!(Collation::default(), Collation::parse("und").unwrap());
    assert_eq!(Collation::default(), Collation::parse("und-x-icu").unwrap());
    assert_eq!(parse("a").collation, Collation::default());
    let key = |text| Collation::default().key(text);
    assert!(key("a") < key("A") && key("A") < key("á") && key("á") < key("b"));
    assert!(key("b") < key("あ") && key("あ") < key("ア") && key("ア") < key("一"));
}

#[test]
fn a_japanese_reader_finds_words_where_the_dictionary_has_them() {
    // Digits, letters, kana, and then characters in the order of JIS X 0208, not of Unicode.
    check("ja", &["1", "10", "2", "a", "A", "b", "あい", "わ", "亜", "愛知", "一", "大阪", "東京"]);
    check("und", &["あい", "わ", "一", "亜", "大阪", "愛知", "東京"]);
    // Voiced and small kana stand beside their plain ones; a long vowel counts as that vowel.
    check("ja", &["はは", "ばば", "ぱぱ", "はひ"]);
    check("ja", &["きゃく", "きやく", "きゆ"]);
    check("ja", &["カード", "かあど", "カイ"]);
    check("ja", &["こうひい", "コーヒー", "コオヒイ", "こか"]);
    check("ja", &["つか", "っき", "つき", "づき"]);
}

#[test]
fn kana_and_width_make_no_difference_to_a_japanese_reader_unless_asked_for() {
    for (one, other) in [("かく", "カク"), ("カク", "ｶｸ"), ("A", "Ａ"), ("1", "１")] {
        assert!(are_equal("ja", one, other), "{one} {other}");
        assert!(!are_equal("und", one, other), "{one} {other}");
        assert!(!are_equal("ja-u-ks-identic", one, other), "{one} {other}");
    }
    // Words of both kinds of kana stand among each other, whichever is first.
    check("ja", &["さいた", "サイト", "さいふ", "ｻｲﾎ"]);
    check("ja-u-ks-level4", &["かく", "カク", "かぐ"]);
    assert!(are_equal("ja-u-ks-level2", "ガ", "ｶﾞ"));
    // Two ways to write the same character.
    assert!(are_equal("ja", "が", "か\u{3099}"));
}

#[test]
fn a_tag_may_say_more_about_the_order() {
    check("de", &["Adler", "Afrika", "Ärger", "Auto"]);
    check("de-u-co-phonebk", &["Adler", "Ärger", "Afrika", "Auto"]);
    check("sv", &["zebra", "å", "ä", "ö"]);
    check("und-u-kn", &["町2", "町10", "町100"]);
    check("ja-u-kn-true", &["2", "10"]);
    check("und", &["10", "2"]);
    check("und-u-kf-upper", &["A", "a"]);
    check("und-x-binary", &["A", "b", "á"]);
    check("und-u-ka-shifted", &["a b", "ab c", "a-d"]);
    assert!(are_equal("und-u-ks-level1", "a", "Á"));
    assert!(are_equal("und-u-ks-level2", "a", "A"));
    assert!(!are_equal("und-u-ks-level2", "a", "á"));
    assert!(!are_equal("und-u-ks-identic", "a", "A"));
    assert!(!are_equal("und-u-ks-level1-kc", "a", "A"));
    // A language without an order of its own.
    check("xx", &["a", "á", "b"]);
    check("ja-JP-x-icu", &["亜", "一"]);
}

#[test]
fn what_is_no_collation_is_refused() {
    let check = |text: &str, reason: &str| {
        let refusal = Order::parse("a", Some(text), &ExampleTerms).unwrap_err();
        assert_eq!(refusal.parameter, "collation");
        assert!(refusal.reason.contains(reason), "{text}: {}", refusal.reason);
    };
    for text in
        ["", "!!nope", "nope", "j", "ja-u", "ja-u-ks-toolongvalue", "日本", "und_", "ja ,en"]
    {
        check(text, "was expected");
    }
    check("de-u-co-telephon", "\"telephon\" is no value of the key co");
    check("ja-u-ks-level9", "\"level9\" is no value of the key ks");
    check("ja-u-kf-yes", "is no value of the key kf");
    check("ja-u-kn-maybe", "is no value of the key kn");
    check("ja-u-ks", "\"\" is no value of the key ks");
    check("fr-u-kb-true", "the key kb of a collation is not known");
    check("ja-u-ca-japanese", "the key ca of a collation is not known");
    check("ja-t-en", "of extensions, u alone");
    check("ja-x-mine", "of private subtags");
    check("ja-x-binary", "of private subtags");
    check(&format!("ja-x-{}", "a-".repeat(200)), "not as long as that");
}

#[test]
fn texts_are_ordered_by_the_collation_of_the_query() {
    let entities = |texts: &[&str]| -> Vec<Entity> {
        let quoted = |text: &str| format!("\"{text}\"");
        texts.iter().map(|text| with_values(text, Kind::Property, &[&quoted(text)])).collect()
    };
    let order = |order_by, tag| Order::parse(order_by, Some(tag), &ExampleTerms).unwrap();
    assert_eq!(sorted(&order("a", "ja"), entities(&["一", "亜"])), ["亜", "一"]);
    assert_eq!(sorted(&order("a;desc", "ja"), entities(&["亜", "一"])), ["一", "亜"]);
    assert_eq!(sorted(&order("id", "ja"), entities(&["一", "亜"])), ["亜", "一"]);
    assert_eq!(sorted(&order("a", "und"), entities(&["一", "亜"])), ["一", "亜"]);
    // Equal ones stay in the order of their creation.
    assert_eq!(
        sorted(&order("a", "ja"), entities(&["カク", "かく", "ｶｸ"])),
        ["カク", "かく", "ｶｸ"]
    );
}
