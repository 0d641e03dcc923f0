use musubi_model::{Json, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn integers_back(values: &[i64]) -> usize {
    let mut bytes = Vec::new();
    Integers::encode(values, &mut bytes);
    let mut input = Input::new(&bytes);
    assert_eq!(Integers::decode(&mut input, values.len()).unwrap(), values);
    assert!(input.is_empty());
    bytes.len()
}

#[test]
fn steady_integers_take_next_to_nothing() {
    assert!(integers_back(&[7; 2000]) <= 3);
    let minutes: Vec<i64> = (0..2000).map(|at| 1_700_000_000_000_000 + at * 60_000_000).collect();
    assert!(integers_back(&minutes) < 60, "{}", integers_back(&minutes));
    let flags: Vec<i64> = (0..2000).map(|at| i64::from(at > 700)).collect();
    assert!(integers_back(&flags) < 10);
    assert_eq!(integers_back(&[]), 0);
}

#[test]
fn an_outlier_costs_its_block_only() {
    let mut values: Vec<i64> = (0..2048).map(|at| at % 4).collect();
    let before = integers_back(&values);
    values[1000] = i64::MAX;
    values[1001] = i64::MIN;
    assert!(integers_back(&values) < before + 128 * 8 + 32);
}

fn texts_of(values: &[Json]) -> Vec<&[u8]> {
    values.iter().map(|value| value.as_str().as_bytes()).collect()
}

fn values_back(texts: &[&str]) -> Values {
    let values: Vec<Json> = texts.iter().map(|text| Json::parse(text).unwrap()).collect();
    let mut bytes = Vec::new();
    Values::encode(&texts_of(&values), &mut bytes);
    let mut input = Input::new(&bytes);
    let column = Values::decode(&mut input, values.len()).unwrap();
    assert!(input.is_empty());
    assert_eq!(column.clone().into_json().unwrap(), values);
    let numbers: Option<Vec<f64>> = values.iter().map(Json::as_f64).collect();
    let bits = |numbers: Option<Vec<f64>>| {
        numbers.map(|numbers| numbers.into_iter().map(f64::to_bits).collect::<Vec<_>>())
    };
    assert_eq!(bits(column.numbers()), bits(numbers), "{texts:?}");
    column
}

#[test]
fn numbers_come_back_as_they_were_written() {
    for texts in [
        &["21.3", "21", "20.95", "-3.1", "0"][..],
        &["21.30", "21.00", "20.95", "-0.10"],
        &["21.0", "21.35", "0.0", "-3.0"],
        &["21.30", "21", "20.9500", "0.000"],
        &["1", "2", "1e3", "3", "-0", "4", "5", "-0.0", "6", "7"],
        &["123456789012345678901234567890", "1", "2", "3"],
        &["999999999999999999", "0.000000000000000001", "1", "0.1"],
        &["9007199254740993", "9007199254740992", "0.1"],
        &["0.1", "0.2", "0.30000000000000004"],
        &["1E400", "1"][1..],
        &["true", "1", "2", "3", "4"],
    ] {
        values_back(texts);
    }
    let kinds = ["21.30", "21.00", "20.95"];
    assert!(matches!(values_back(&kinds), Values::Numbers(_)));
}

#[test]
fn a_number_with_many_digits_does_not_lengthen_the_others() {
    let texts: Vec<String> = (0..1000).map(|at| format!("{}.{}", at * 7 % 50, at % 9)).collect();
    let mut values: Vec<Json> = texts.iter().map(|text| Json::parse(text).unwrap()).collect();
    let size = |values: &[Json]| {
        let mut bytes = Vec::new();
        Values::encode(&texts_of(values), &mut bytes);
        bytes.len()
    };
    let before = size(&values);
    values[500] = Json::parse("0.123456789012345").unwrap();
    assert!(size(&values) < before + 64);
}

#[test]
fn texts_that_come_again_stand_once() {
    let texts: Vec<String> = (0..1000).map(|at| format!("\"state number {}\"", at % 5)).collect();
    let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    let mut bytes = Vec::new();
    Texts::encode(&texts, &mut bytes);
    assert!(bytes.len() < 500, "{}", bytes.len());
}

fn some_integers() -> impl Strategy<Value = Vec<i64>> {
    prop_oneof![
        vec(any::<i64>(), 0..300),
        vec(-5..5_i64, 0..600),
        (any::<i64>(), vec(0..1000_i64, 0..600), prop_oneof![Just(1), Just(1000), any::<i64>()])
            .prop_map(|(start, steps, unit)| {
                let mut value = start;
                let next = |step: i64| {
                    value = value.wrapping_add(step.wrapping_mul(unit));
                    value
                };
                steps.into_iter().map(next).collect()
            }),
    ]
}

fn some_number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (-100_000..100_000_i64, 0..4_usize).prop_map(|(number, digits)| {
            format!("{}.{:0digits$}", number / 1000, number.rem_euclid(10_i64.pow(3)))
                .trim_end_matches('.')
                .to_owned()
        }),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => any::<f64>().prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| Json::from(&serde_json::Value::from(number)).as_str().to_owned()),
        1 => "-?[1-9][0-9]{0,25}(\\.[0-9]{1,25})?(e-?[0-9]{1,2})?",
    ]
}

fn some_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        (0..100_000_i64).prop_map(Timestamp::from_seconds),
        any::<i64>().prop_map(Timestamp::from_micros),
        any::<i64>().prop_map(Timestamp::from_bits),
        Just("2020-08-01T12:05:00.000Z".parse().unwrap()),
    ]
}

proptest! {
    #[test]
    fn integers_are_read_back(values in some_integers()) {
        integers_back(&values);
    }

    #[test]
    fn values_are_read_back(texts in vec(some_number(), 1..200), word in "[a-c]{0,3}", words in 0..9_usize) {
        let mut texts = texts;
        for at in 0..words.min(texts.len()) {
            texts[at] = format!("\"{word}{}\"", at % 2);
        }
        values_back(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn texts_are_read_back(texts in vec("[ab]{0,12}", 0..200)) {
        let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        let mut bytes = Vec::new();
        Texts::encode(&texts, &mut bytes);
        let mut input = Input::new(&bytes);
        let read = Texts::decode(&mut input, texts.len()).unwrap();
        prop_assert!(input.is_empty());
        for (at, text) in texts.iter().enumerate() {
            let index = read.indices().map_or(at, |indices| indices[at]);
            prop_assert_eq!(read.distinct(index).unwrap(), *text);
        }
    }

    #[test]
    fn floats_are_read_back(
        values in prop_oneof![
            vec(any::<f64>(), 0..50),
            vec((-1000..1000_i32).prop_map(|number| f64::from(number) / 10.0), 0..300),
            vec(prop_oneof![Just(-0.0), Just(0.0)], 0..3),
        ],
    ) {
        let mut bytes = Vec::new();
        Floats::encode(&values, &mut bytes);
        let mut input = Input::new(&bytes);
        let read = Floats::decode(&mut input, values.len()).unwrap();
        prop_assert!(input.is_empty());
        let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
        prop_assert_eq!(bits(read), bits(values));
    }

    #[test]
    fn times_are_read_back_as_they_were_written(
        times in vec(proptest::option::weighted(0.9, some_time()), 1..200),
        others in vec(any::<i64>(), 200),
    ) {
        let others = &others[..times.len()];
        let mut bytes = Vec::new();
        Times::encode(&times, Some(others), &mut bytes);
        let mut input = Input::new(&bytes);
        let mut read = Times::decode(&mut input, times.len()).unwrap();
        if read.is_beside() {
            read.resolve(others).unwrap();
        }
        let micros: Vec<_> = times.iter().map(|time| time.map(Timestamp::as_micros)).collect();
        prop_assert_eq!(read.clone().into_options(), micros.clone());
        prop_assert_eq!(read.clone().into_all(), micros.into_iter().collect::<Option<Vec<_>>>());
        let written = read.written(&mut input).unwrap_or_default();
        let bits = |times: Vec<Option<Timestamp>>| {
            times.into_iter().map(|time| time.map(Timestamp::to_bits)).collect::<Vec<_>>()
        };
        if times.iter().any(Option::is_some) {
            prop_assert_eq!(bits(written), bits(times));
        }
        prop_assert!(input.is_empty());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300), count in 0..5000_usize) {
        let _ = Integers::decode(&mut Input::new(&bytes), count);
        let _ = Floats::decode(&mut Input::new(&bytes), count);
        let _ = Texts::decode(&mut Input::new(&bytes), count);
        let mut input = Input::new(&bytes);
        if let Ok(times) = Times::decode(&mut input, count) {
            let _ = times.clone().into_options();
            let _ = times.written(&mut input);
        }
        if let Ok(values) = Values::decode(&mut Input::new(&bytes), count) {
            let _ = (values.numbers(), values.into_json());
        }
    }
}
