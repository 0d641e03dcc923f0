use musubi_model::{
    AttributeFragment, EntityFragment, FragmentValue, InstanceFragment, Json, NGSI_LD, Patch, Value,
};
use musubi_model::{AttributeType as Kind, InvalidName, TypeName};

use super::*;
use crate::test_terms::ExampleTerms;

mod laws;

fn name(term: &str) -> AttrName {
    ExampleTerms.attribute(term).unwrap()
}

fn instance(kind: Kind, text: &str) -> InstanceFragment {
    let value = Value { kind, json: Json::parse(text).unwrap() };
    InstanceFragment { value: Some(FragmentValue::Typed(value)), ..InstanceFragment::default() }
}

fn one(term: &str, instance: InstanceFragment) -> AttributeFragment {
    AttributeFragment { name: name(term), instances: [instance].into_iter().collect() }
}

/// An entity with attributes of every kind.
fn car() -> Entity {
    let attribute = |term: &str, kind, text: &str| one(term, instance(kind, text));
    let mut speed = attribute("speed", Kind::Property, "55");
    speed.instances.push(InstanceFragment {
        dataset_id: Some("urn:gps".parse().unwrap()),
        ..instance(Kind::Property, "70")
    });
    let temperature = InstanceFragment {
        observed_at: Patch::Set("2020-08-01T12:00:00Z".parse().unwrap()),
        unit_code: Patch::Set("CEL".into()),
        attributes: vec![
            attribute("accuracy", Kind::Property, "0.5"),
            attribute("raw", Kind::Property, r#"{"air":{"pm":40},"null":null}"#),
        ],
        ..instance(Kind::Property, "-20.5")
    };
    let attributes = vec![
        attribute("brand", Kind::Property, r#""Mercedes""#),
        speed,
        one("temperature", temperature),
        attribute("parked", Kind::Property, "true"),
        attribute("colors", Kind::Property, r#"["blue","red",["deep"]]"#),
        attribute("counts", Kind::Property, "[1,20]"),
        attribute(
            "address",
            Kind::Property,
            r#"{"city":"Berlin","geo":{"zip":"10117","lanes":[1,2]}}"#,
        ),
        attribute("empty", Kind::Property, "null"),
        attribute("built", Kind::Property, r#""2020-01-02T00:00:00+09:00""#),
        attribute("day", Kind::Property, r#""2020-01-02""#),
        attribute("opens", Kind::Property, r#""09:30:00Z""#),
        attribute(
            "checked",
            Kind::Property,
            r#"{"@type":"DateTime","@value":"2021-01-01T00:00:00Z"}"#,
        ),
        attribute("place", Kind::GeoProperty, r#"{"type":"Point","coordinates":[1,2]}"#),
        attribute("parkedAt", Kind::Relationship, r#""urn:ngsi-ld:Parking:1""#),
        attribute("owners", Kind::Relationship, r#"["urn:p:1","urn:p:2"]"#),
        attribute("stops", Kind::ListRelationship, r#"["urn:s:1","urn:s:2"]"#),
        attribute("kind", Kind::VocabProperty, r#""https://example.org/van""#),
        attribute(
            "name",
            Kind::LanguageProperty,
            r#"{"en":"red","fr":["rouge","vin"],"de-CH":"rot"}"#,
        ),
        attribute("raw", Kind::JsonProperty, r#"{"value":"late","type":7}"#),
        attribute("route", Kind::ListProperty, r#"["550","551"]"#),
    ];
    let fragment = EntityFragment {
        id: Some("urn:car:1".parse().unwrap()),
        types: vec!["urn:t".parse().unwrap()],
        attributes,
        ..EntityFragment::default()
    };
    Entity::create(fragment, "2020-01-01T00:00:00Z".parse().unwrap()).unwrap()
}

fn check(text: &str, expected: bool) {
    let query = Query::parse(text, &ExampleTerms).unwrap();
    assert_eq!(query.matches(&car()), expected, "{text}: {query:?}");
}

#[test]
fn existence_is_asked_with_a_path_alone() {
    check("brand", true);
    check("!brand", false);
    check("unknown", false);
    check("!unknown", true);
    check("temperature.accuracy", true);
    check("temperature.unknown", false);
    check("!temperature.unknown", true);
    check("temperature.observedAt", true);
    check("brand.observedAt", false);
    check("address[city]", true);
    check("address[postcode]", false);
    check("address[geo.zip]", true);
    check("brand[city]", false);
    check("colors[length]", false);
    check("temperature.raw[air.pm]", true);
    check("temperature.raw[null]", true);
    check("empty", true);
    check("name[en]", true);
    check("name[ja]", false);
    check("parkedAt", true);
    check("parkedAt[x]", false);
}

#[test]
fn scalars_compare_by_value_and_type() {
    check("brand==\"Mercedes\"", true);
    check("brand!=\"Mercedes\"", false);
    check("brand==\"BMW\"", false);
    check("brand!=\"BMW\"", true);
    check("brand==Mercedes", true);
    check("brand==\"Mer\\u0063edes\"", true);
    check("temperature==-20.5", true);
    check("temperature==-2.05e1", true);
    check("temperature<0", true);
    check("temperature<=-20.5", true);
    check("temperature>-20.5", false);
    check("temperature>=-20.5", true);
    check("parked==true", true);
    check("parked==false", false);
    check("parked!=false", true);
    check("brand>\"Mazda\"", true);
    check("brand<\"mercedes\"", true);
    check("temperature==\"-20.5\"", false);
    check("temperature!=\"-20.5\"", true);
    check("brand>5", false);
    check("brand<5", false);
    check("brand!=5", true);
    check("parked==\"true\"", false);
    check("empty==0", false);
    check("empty!=0", true);
    check("unknown==1", false);
    check("unknown!=1", false);
    check("address==\"Berlin\"", false);
    check("address!=\"Berlin\"", true);
    check(" ( brand == \"Mercedes\" ; speed > 50 ) ", true);
}

#[test]
fn any_instance_may_match() {
    check("speed==55", true);
    check("speed==70", true);
    check("speed>60", true);
    check("speed==60", false);
    check("speed!=55", true);
    check("speed.datasetId==urn:gps", true);
    check("speed.datasetId==\"urn:other\"", false);
}

#[test]
fn an_array_equals_what_is_in_it() {
    check("colors==\"red\"", true);
    check("colors==\"green\"", false);
    check("colors!=\"red\"", false);
    check("colors!=\"green\"", true);
    check("colors==\"deep\"", false);
    check("colors==\"black\",\"red\"", true);
    check("colors!=\"black\",\"red\"", false);
    check("colors!=\"black\",\"white\"", true);
    check("counts>5", false);
    check("counts==15..25", true);
    check("address[geo.lanes]==2", true);
    check("route==\"550\",\"552\"", true);
    check("route==\"552\"", false);
    check("colors~=\"red\"", false);
    check("colors!~=\"red\"", false);
}

#[test]
fn lists_and_ranges_are_for_equality() {
    check("temperature==-30..-20", true);
    check("temperature==-20.5..-20.5", true);
    check("temperature==-20..0", false);
    check("temperature!=-20..0", true);
    check("temperature!=-30..0", false);
    check("temperature==1..2,-21..-20", true);
    check("brand==\"A\"..\"N\"", true);
    check("brand==\"N\"..\"Z\"", false);
    check("brand==1..2", false);
    check("brand==\"BMW\",\"Mercedes\"", true);
    check("brand==\"BMW\", 5, true", false);
    check("day==2020-01-01..2020-01-03", true);
}

#[test]
fn times_compare_as_moments() {
    check("temperature.observedAt>=2020-08-01T12:00:00Z", true);
    check("temperature.observedAt>2020-08-01T12:00:00Z", false);
    check("temperature.observedAt==2020-08-01T12:00:00.000Z", true);
    check("temperature.observedAt>\"2017-12-24T12:00:00Z\"", true);
    check("temperature.observedAt==2020-01-01T00:00:00Z..2020-12-31T00:00:00Z", true);
    check("createdAt==2020-01-01T00:00:00Z", true);
    check("modifiedAt>\"2020-01-01T00:00:00Z\"", false);
    check("brand.createdAt<2021-01-01T00:00:00Z", true);
    check("expiresAt", false);
    check("built==2020-01-01T15:00:00Z", true);
    check("built==\"2020-01-01T15:00:00Z\"", false);
    check("built==2020-01-02", false);
    check("day>2020-01-01", true);
    check("day==2020-01-02", true);
    check("day>2019-12-31T00:00:00Z", false);
    check("opens<10:00:00Z", true);
    check("opens==09:30:00.000Z", true);
    check("checked>2020-06-01T00:00:00Z", true);
    check("brand>2020-06-01T00:00:00Z", false);
    check("brand!=2020-06-01T00:00:00Z", true);
}

#[test]
fn relationships_and_terms_compare_as_uris() {
    check("parkedAt==\"urn:ngsi-ld:Parking:1\"", true);
    check("parkedAt==urn:ngsi-ld:Parking:1", true);
    check("parkedAt!=urn:ngsi-ld:Parking:1", false);
    check("parkedAt==urn:ngsi-ld:Parking:2", false);
    check("parkedAt!=urn:ngsi-ld:Parking:2", true);
    check("parkedAt>\"urn:a\"", false);
    check("parkedAt~=\"urn\"", false);
    check("parkedAt!~=\"x\"", false);
    check("parkedAt==5", false);
    check("parkedAt!=5", true);
    check("owners==urn:p:2", true);
    check("owners!=urn:p:2", false);
    check("owners==urn:p:3,urn:p:1", true);
    check("stops==urn:s:1", true);
    check("stops==urn:s:3", false);
    check("kind==\"https://example.org/van\"", true);
    check("kind==https://example.org/van", true);
    check("kind==van", false);
    let expanding = Query::parse_expanding("kind==van", &ExampleTerms, &[name("kind")]).unwrap();
    assert!(expanding.matches(&car()));
    let expanding = Query::parse_expanding("brand==Mercedes", &ExampleTerms, &[name("kind")]);
    assert!(expanding.unwrap().matches(&car()));
}

#[test]
fn a_language_property_has_the_texts_of_its_languages() {
    check("name[en]==\"red\"", true);
    check("name[EN]==\"red\"", true);
    check("name[en]==\"rouge\"", false);
    check("name[fr]==\"vin\"", true);
    check("name[de-CH]==\"rot\"", true);
    check("name[*]==\"rouge\"", true);
    check("name==\"rouge\"", true);
    check("name[*]!=\"red\"", false);
    check("name!=\"red\"", false);
    check("name!=\"green\"", true);
    check("name[en]!=\"rouge\"", true);
    check("name[ja]!=\"red\"", false);
    check("name~=\"^ro\"", true);
    check("name[en]~=\"^ro\"", false);
    check("name!~=\"^x\"", true);
    check("name!~=\"^ro\"", false);
    check("name>\"s\"", true);
}

#[test]
fn members_are_raw_keys() {
    check("address[city]==\"Berlin\"", true);
    check("address[postcode]==\"Berlin\"", false);
    check("address[postcode]!=\"Berlin\"", false);
    check("temperature.raw[air.pm]==40", true);
    check("raw[value]==\"late\"", true);
    check("raw[type]>6", true);
    check("place[type]==\"Point\"", true);
    check("place[coordinates]==2", true);
}

#[test]
fn patterns_are_searched_in_texts() {
    check("brand~=\"^Mer\"", true);
    check("brand~=^Mer", true);
    check("brand~=c.d", true);
    check("brand!~=\"^Mer\"", false);
    check("brand!~=^BMW", true);
    check("brand~=(BMW|Mercedes);speed>50", true);
    check("brand~=BMW|speed>50", true);
    check("(brand~=[)|;]|speed>50)", true);
    check("brand~=\"^\\w+$\"", true);
    check("temperature~=\"2\"", false);
    check("temperature!~=\"2\"", false);
    check("temperature.unitCode~=\"^C\"", true);
}

#[test]
fn a_text_that_is_too_long_for_a_pattern_matches_neither_way() {
    let mut car = car();
    let mut set = |length: usize| {
        let text = format!("\"{}\"", "a".repeat(length));
        car.attributes[0].instances[0].value.json = Json::parse(&text).unwrap();
        let holds = |text| Query::parse(text, &ExampleTerms).unwrap().matches(&car);
        (holds("brand~=^a"), holds("brand!~=^a"), holds("brand!~=x"))
    };
    assert_eq!(set(Query::MAX_MATCHED), (true, false, true));
    assert_eq!(set(Query::MAX_MATCHED + 1), (false, false, false));
}

#[test]
fn and_binds_tighter_than_or() {
    check("brand|unknown;unknown", true);
    check("(brand|unknown);unknown", false);
    check("unknown;unknown|brand", true);
    check("((speed>50|rpm>3000);brand==\"Mercedes\")", true);
    check("(temperature>=20;temperature<=25)|speed<=60", true);
}

#[test]
fn what_is_no_query_is_refused_with_the_place() {
    let check = |text: &str, expected: &str| {
        let refusal = Query::parse(text, &ExampleTerms).unwrap_err();
        assert_eq!(format!("{} {}", refusal.at, refusal.reason), expected, "{text}");
    };
    let value = "a value is a number, a text in quotes, true, false, a time as in \
                 2024-01-11T09:00:00Z, a date, or a URI";
    check("", "1 the name of an attribute was expected");
    check("a;", "3 the name of an attribute was expected");
    check("a||b", "3 the name of an attribute was expected");
    check("5==a", "1 the name of an attribute was expected");
    check("a.", "3 the name of an attribute was expected");
    check("a b", "3 an operator, ';', '|' or the end was expected");
    check("a)", "2 an operator, ';', '|' or the end was expected");
    check("(a", "3 an operator, ';', '|' or ')' was expected");
    check("a=5", "2 an operator, ';', '|' or the end was expected");
    check("a==", "4 a value was expected");
    check("a==;b", "4 a value was expected");
    check("a==\"Eiffel", "4 the closing quote of a text is missing");
    check("a==\"\\x\"", "4 not a JSON string: unknown escape");
    check("a==1e999", &format!("4 {value}"));
    check("a==NaN?", &format!("4 {value}"));
    check("a==-", &format!("4 {value}"));
    check("a>4..5", "4 ranges and lists are for '==' and '!=' alone");
    check("a<1,2", "4 ranges and lists are for '==' and '!=' alone");
    check("a>true", "3 true and false have no order");
    check("a==1..\"x\"", "4 a range goes between two numbers, two texts or two times");
    check("a==1..", "7 a value was expected");
    check("a[", "3 the name of a member was expected");
    check("a[x", "4 '.' or ']' was expected");
    check("a[x..y]", "5 the name of a member was expected");
    check("owner{name==\"x\"", "11 '}' was expected");
    check(&vec!["a{b}"; 17].join(";"), "81 more than 16 conditions look into linked entities");
    check("owner{}", "7 the name of an attribute was expected");
    check("owner{name}[x]", "12 an operator, ';', '|' or the end was expected");
    check("a~=(", "4 not a usable regular expression: unclosed group");
    check("a~=\"\"", "4 a pattern was expected");
    check("a~=\"x", "4 the closing quote of a pattern is missing");
    check("a~=\"(\\w{1000}){1000}\"", "4 not a usable regular expression: it is too large");
    check(&"(".repeat(65), "65 parentheses nest deeper than 64 levels");
    check(&"(".repeat(10_000), "65 parentheses nest deeper than 64 levels");
    check(&vec!["a~=x"; 17].join(";"), "84 there are more than 16 patterns");
    let many = format!("a=={};a=={}", vec!["1"; 600].join(","), vec!["1"; 401].join(","));
    check(&many, "2007 there are more than 1000 values");
    check(&"a;".repeat(10_000), "1 at most 16384 bytes are accepted, and these are 20000");
    let nested = format!("{}a{}", "(".repeat(64), ")".repeat(64));
    assert!(Query::parse(&nested, &ExampleTerms).is_ok());
}

#[test]
fn a_term_that_the_context_refuses_is_named() {
    struct Nothing;
    impl Terms for Nothing {
        fn attribute(&self, term: &str) -> Result<AttrName, InvalidName> {
            Err(InvalidName::NotAbsolute(term.to_owned()))
        }
        fn entity_type(&self, term: &str) -> Result<TypeName, InvalidName> {
            Err(InvalidName::NotAbsolute(term.to_owned()))
        }
        fn vocabulary(&self, value: &str) -> String {
            value.to_owned()
        }
    }
    let refusal = Query::parse("a.createdAt;b", &Nothing).unwrap_err();
    assert_eq!(refusal.at, 1);
    let path = Query::parse("createdAt", &Nothing).unwrap();
    let created: AttrName = format!("{NGSI_LD}createdAt").parse().unwrap();
    assert!(matches!(path, Query::Exists { path, .. } if path.names == [created]));
}
