//! The chart of what size does: one small panel for each operation, as an SVG that is readable on
//! a light and on a dark ground.

use std::fmt::Write as _;

use super::growth::Growth;
use crate::sample::number;

/// Panels beside each other.
const COLUMNS: u32 = 3;
const PANEL: (f64, f64) = (280.0, 190.0);
/// What is above the panels.
const HEAD: f64 = 74.0;
/// The plot in its panel: left, top, right, bottom.
const PLOT: (f64, f64, f64, f64) = (40.0, 56.0, 264.0, 158.0);
/// The upper end of each plot, as a multiple of the cost in the smallest store.
const TOP: f64 = 2.0;

const STYLE: &str = "\
    svg { font: 12px system-ui, sans-serif; }\n\
    .ground { fill: #ffffff; }\n\
    text { fill: #1f2328; }\n\
    .quiet { fill: #59636e; font-size: 11px; }\n\
    .title { font-size: 15px; font-weight: 600; }\n\
    .name { font-weight: 600; }\n\
    .grid { stroke: #d1d9e0; }\n\
    .limit { stroke: #b35900; stroke-dasharray: 5 4; }\n\
    .line { fill: none; stroke-width: 2; }\n\
    .cpu { stroke: #0b62c4; }\n\
    .cpu-point { fill: #0b62c4; }\n\
    .time { stroke: #a03583; stroke-dasharray: 2 3; }\n\
    .time-point { fill: #a03583; }\n\
    .over { fill: #b35900; font-weight: 600; }\n\
    @media (prefers-color-scheme: dark) {\n\
    .ground { fill: #0d1117; }\n\
    text { fill: #f0f6fc; }\n\
    .quiet { fill: #9198a1; }\n\
    .grid { stroke: #3d444d; }\n\
    .limit { stroke: #f0a04b; }\n\
    .cpu { stroke: #58a6ff; }\n\
    .cpu-point { fill: #58a6ff; }\n\
    .time { stroke: #e38ccb; }\n\
    .time-point { fill: #e38ccb; }\n\
    .over { fill: #f0a04b; }\n\
    }\n";

/// The chart of these costs, relative to those at the first of these sizes; `limit` is how large
/// the last may be.
pub(crate) fn draw(sizes: &[u32], all: &[Growth], limit: f64) -> String {
    let rows = u32::try_from(all.len()).unwrap_or_default().div_ceil(COLUMNS);
    let (width, height) =
        (PANEL.0 * f64::from(COLUMNS) + 20.0, HEAD + PANEL.1 * f64::from(rows) + 10.0);
    let largest = number(sizes.last().copied().unwrap_or_default().into());
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title\">\n\
         <title id=\"title\">What a request costs, by the size of the store</title>\n\
         <style>\n{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n"
    );
    // Writing into a string does not fail.
    let _ = writeln!(
        svg,
        "<text class=\"title\" x=\"20\" y=\"28\">What a request costs in a store of up to {largest} \
         entities, as a multiple of its cost in the smallest</text>\n\
         <line class=\"line cpu\" x1=\"20\" y1=\"48\" x2=\"44\" y2=\"48\"/>\
         <text x=\"50\" y=\"52\">CPU time of the broker</text>\n\
         <line class=\"line time\" x1=\"200\" y1=\"48\" x2=\"224\" y2=\"48\"/>\
         <text x=\"230\" y=\"52\">median time to the answer</text>\n\
         <line class=\"limit\" x1=\"410\" y1=\"48\" x2=\"434\" y2=\"48\"/>\
         <text x=\"440\" y=\"52\">what is promised for the largest: {limit} ×</text>"
    );
    for (place, growth) in (0..).zip(all) {
        let (column, row) = (place % COLUMNS, place / COLUMNS);
        let (x, y) = (10.0 + PANEL.0 * f64::from(column), HEAD + PANEL.1 * f64::from(row));
        let _ = writeln!(svg, "<g transform=\"translate({x} {y})\">");
        panel(&mut svg, sizes, growth, limit);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, sizes: &[u32], growth: &Growth, limit: f64) {
    let (left, _, right, bottom) = PLOT;
    let (processor, latency) = (growth.processor(), growth.latency());
    let costs: Vec<_> = processor.iter().map(|cost| number(*cost)).collect();
    let _ = writeln!(
        svg,
        "<text class=\"name\" x=\"{left}\" y=\"16\">{}</text>\n\
         <text class=\"quiet\" x=\"{left}\" y=\"33\">{} µs of CPU</text>",
        text(&growth.what.replace('`', "")),
        costs.join(" → ")
    );
    for multiple in [0.0, 1.0, TOP] {
        let y = height(multiple);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>\
             <text class=\"quiet\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{multiple}</text>",
            left - 6.0,
            y + 4.0
        );
    }
    let y = height(limit);
    let _ = writeln!(
        svg,
        "<line class=\"limit\" x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>"
    );
    let places = across(sizes);
    for (place, size) in places.iter().zip(sizes) {
        let anchor = match *place {
            first if first <= left => "start",
            last if last >= right => "end",
            _ => "middle",
        };
        let _ = writeln!(
            svg,
            "<text class=\"quiet\" text-anchor=\"{anchor}\" x=\"{place:.1}\" y=\"{:.1}\">{}</text>",
            bottom + 16.0,
            number((*size).into())
        );
    }
    // What is done in one process has one cost.
    if latency != processor {
        curve(svg, &places, &latency, "time");
    }
    curve(svg, &places, &processor, "cpu");
    beyond(svg, &processor, &latency);
}

/// The multiples in the largest store, if the plot has no room for them.
fn beyond(svg: &mut String, processor: &[f64], latency: &[f64]) {
    let [cpu, time] = [processor, latency].map(|costs| relative(costs).last().unwrap_or_default());
    if cpu.max(time) > TOP {
        let (_, top, right, _) = PLOT;
        let _ = writeln!(
            svg,
            "<text class=\"over\" text-anchor=\"end\" x=\"{right}\" y=\"{}\">CPU {} ×, time {} ×</text>",
            top - 6.0,
            number(cpu),
            number(time)
        );
    }
}

/// Costs as multiples of the first.
fn relative(costs: &[f64]) -> impl Iterator<Item = f64> {
    let first = costs.first().copied().unwrap_or_default().max(0.01);
    costs.iter().map(move |cost| cost / first)
}

/// The costs of an operation, as multiples of the first.
fn curve(svg: &mut String, places: &[f64], costs: &[f64], class: &str) {
    let points: Vec<_> = places.iter().copied().zip(relative(costs)).collect();
    let line: Vec<_> =
        points.iter().map(|(x, multiple)| format!("{x:.1},{:.1}", height(*multiple))).collect();
    let _ = writeln!(svg, "<polyline class=\"line {class}\" points=\"{}\"/>", line.join(" "));
    for (x, multiple) in points {
        let y = height(multiple);
        let circle = format!("cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"");
        let _ = writeln!(svg, "<circle class=\"{class}-point\" {circle}/>");
    }
}

/// Where the sizes stand, on a logarithmic axis from the first to the last.
fn across(sizes: &[u32]) -> Vec<f64> {
    let (left, _, right, _) = PLOT;
    let logarithms: Vec<_> = sizes.iter().map(|size| f64::from(*size).max(1.0).ln()).collect();
    let [first, last] = [logarithms.first(), logarithms.last()]
        .map(|logarithm| logarithm.copied().unwrap_or_default());
    let share = |logarithm: f64| (logarithm - first) / (last - first).max(0.01);
    logarithms.iter().map(|logarithm| left + share(*logarithm) * (right - left)).collect()
}

/// Where a multiple stands; what is too high stands at the top.
fn height(multiple: f64) -> f64 {
    let (_, top, _, bottom) = PLOT;
    bottom - multiple.clamp(0.0, TOP) / TOP * (bottom - top)
}

/// Text between tags.
fn text(plain: &str) -> String {
    plain.replace('&', "&amp;").replace('<', "&lt;")
}
